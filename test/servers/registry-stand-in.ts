import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Schema, Type } from 'avsc'

interface Registered {
  readonly id: number
  readonly version: number
  readonly type: string
  readonly schema: string
}

interface Asked {
  readonly schema: string
  readonly schemaType?: string
}

type Answer = readonly [status: number, body: unknown]

/** A schema registry in memory that speaks as much of Confluent's REST interface as its clients need. */
export class RegistryStandIn {
  /** What was asked, as `GET /schemas/ids/1`. */
  readonly requests: string[] = []
  /** While set, every request gets this status; 0 hangs up. */
  outage: number | undefined
  private readonly byId = new Map<number, Registered>()
  private readonly subjects = new Map<string, Registered[]>()

  private constructor(private readonly server: ReturnType<typeof createServer>) {}

  static async start(): Promise<RegistryStandIn> {
    const server = createServer((request, response) => void registry.handle(request, response))
    const registry = new RegistryStandIn(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return registry
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Registers a schema as a producer of another program would. Returns its id. */
  register(subject: string, schema: object | string, type = 'AVRO'): number {
    const [status, body] = this.add(subject, { schema: JSON.stringify(schema), schemaType: type })
    if (status !== 200) throw new Error(`registering '${subject}': ${JSON.stringify(body)}`)
    return (body as { id: number }).id
  }

  /** The schemas of a subject, oldest first. */
  versions(subject: string): unknown[] {
    return (this.subjects.get(subject) ?? []).map(({ schema }) => JSON.parse(schema))
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '', this.url)
    this.requests.push(`${request.method} ${pathname}`)
    if (this.outage === 0) return void request.socket.destroy()
    const body = await bodyOf(request)
    const [status, answer] =
      this.outage === undefined
        ? this.route(request.method ?? '', pathname, body)
        : [this.outage, { error_code: this.outage * 100 + 1, message: 'out of order' }]
    response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
    response.end(JSON.stringify(answer))
  }

  private route(method: string, path: string, body: string): Answer {
    const id = /^\/schemas\/ids\/(\d+)$/.exec(path)?.[1]
    if (method === 'GET' && id !== undefined) return this.schema(Number(id))
    const [, name = '', rest = ''] = /^\/subjects\/([^/]+)(.*)$/.exec(path) ?? []
    const subject = decodeURIComponent(name)
    if (method === 'POST' && rest === '/versions') return this.add(subject, JSON.parse(body) as Asked)
    if (method === 'POST' && rest === '') return this.lookUp(subject, JSON.parse(body) as Asked)
    if (method === 'GET' && rest === '/versions/latest') return this.latest(subject)
    return [404, { error_code: 404, message: `no ${method} ${path}` }]
  }

  private schema(id: number): Answer {
    const found = this.byId.get(id)
    if (found === undefined) return [404, { error_code: 40_403, message: `Schema ${id} not found` }]
    return [200, { schema: found.schema, ...(found.type === 'AVRO' ? {} : { schemaType: found.type }) }]
  }

  private add(subject: string, { schema, schemaType: type = 'AVRO' }: Asked): Answer {
    const versions = this.subjects.get(subject) ?? []
    const known = versions.find((version) => version.schema === schema)
    if (known !== undefined) return [200, { id: known.id }]
    const latest = versions.at(-1)
    if (latest !== undefined && !isBackward(type, schema, latest.schema)) {
      return [409, { error_code: 409, message: `Schema being registered is incompatible with an earlier schema` }]
    }
    const same = [...this.byId.values()].find((other) => other.schema === schema && other.type === type)
    const added = { id: same?.id ?? this.byId.size + 1, version: versions.length + 1, type, schema }
    this.byId.set(added.id, added)
    this.subjects.set(subject, [...versions, added])
    return [200, { id: added.id }]
  }

  private lookUp(subject: string, { schema }: Asked): Answer {
    const found = this.subjects.get(subject)?.find((version) => version.schema === schema)
    return found === undefined
      ? [404, { error_code: 40_403, message: 'Schema not found' }]
      : [200, { subject, id: found.id, version: found.version, schema }]
  }

  private latest(subject: string): Answer {
    const found = this.subjects.get(subject)?.at(-1)
    return found === undefined
      ? [404, { error_code: 40_401, message: `Subject '${subject}' not found` }]
      : [200, { subject, id: found.id, version: found.version, schema: found.schema, schemaType: found.type }]
  }
}

/** Whether what was written with the old schema can be read with the new one. */
function isBackward(type: string, schema: string, old: string): boolean {
  const [reader, writer] = [JSON.parse(schema) as Schema, JSON.parse(old) as Schema]
  if (type !== 'AVRO') {
    const needed = (of: unknown) => (of as { required?: string[] }).required ?? []
    return needed(reader).every((field) => needed(writer).includes(field))
  }
  try {
    Type.forSchema(reader).createResolver(Type.forSchema(writer))
    return true
  } catch {
    return false
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
