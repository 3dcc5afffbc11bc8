import { mkdtempSync } from 'node:fs'
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installApicurio } from './apicurio-install.js'
import { ServerProcess } from './server-process.js'
import { freePort } from './server-support.js'

export { requireApicurio } from './apicurio-install.js'

/** Where it speaks Confluent's REST interface. */
const interfacePath = '/apis/ccompat/v7'
/** It is asked little, and should be up soon. */
const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx300m', '-Xshare:auto']

interface SchemaReference {
  readonly name: string
  readonly subject: string
  readonly version: number
}

/** Apicurio Registry, in memory, behind a way in that counts what is asked, and can be out of order. Up in ten seconds. */
export class SchemaRegistryServer {
  /** What was asked, as `GET /schemas/ids/1`. */
  readonly requests: string[] = []
  /** While set, every request gets this status; 0 hangs up. */
  outage: number | undefined

  private constructor(
    private readonly server: ServerProcess,
    private readonly port: number,
    private readonly front: ReturnType<typeof createServer>,
  ) {}

  /** Its schemas may only change so that readers of the last version go on, as is usual with Confluent's. */
  static async start(): Promise<SchemaRegistryServer> {
    const folder = installApicurio()
    const port = await freePort()
    const home = mkdtempSync(join(tmpdir(), 'weir-registry-'))
    const server = new ServerProcess({ directory: home, upMs: 120_000 })
    const listening = ['-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${port}`, '-Dquarkus.log.level=WARN']
    const level = () => put(`http://127.0.0.1:${port}${interfacePath}/config`, { compatibility: 'BACKWARD' })
    if (!(await server.start('java', [...jvm, ...listening, '-jar', join(folder, runner)], level))) {
      const { said } = server
      server.remove()
      throw new Error(`starting Apicurio: ${said}`)
    }
    const front = createServer((request, response) => registry.pass(request, response))
    const registry = new SchemaRegistryServer(server, port, front)
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
    await registry.warmUp()
    return registry
  }

  get url(): string {
    return `http://127.0.0.1:${(this.front.address() as AddressInfo).port}`
  }

  /** What is asked for the first time takes seconds on a busy machine, longer than clients wait. */
  private async warmUp(): Promise<void> {
    for (const [type, schema] of [
      ['AVRO', { type: 'record', name: 'First', fields: [] }],
      ['JSON', { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' }],
    ] as const) {
      await this.register(type, schema, type)
      await this.isCompatible(type, schema, type)
      await send('DELETE', this.own(`/subjects/${type}`))
    }
  }

  /** Registers a schema as a producer of another program would. Returns its id. */
  async register(
    subject: string,
    schema: object | string,
    schemaType = 'AVRO',
    references: readonly SchemaReference[] = [],
  ): Promise<number> {
    const body = { schema: JSON.stringify(schema), schemaType, references }
    return ((await post(this.own(`/subjects/${encodeURIComponent(subject)}/versions`), body)) as { id: number }).id
  }

  /**
   * The schemas of a subject, oldest first. Several that register one at once may get versions of their own from Apicurio, all
   * of the same id: it looks for the text, and adds a version, in two steps.
   */
  async schemas(subject: string): Promise<unknown[]> {
    const path = this.own(`/subjects/${encodeURIComponent(subject)}/versions`)
    const found = await fetch(path)
    if (found.status === 404) return []
    const versions = await Promise.all(
      ((await found.json()) as number[]).map(async (version) => {
        return (await (await fetch(`${path}/${version}`)).json()) as { id: number; schema: string }
      }),
    )
    return [...new Map(versions.map(({ id, schema }) => [id, JSON.parse(schema) as unknown])).values()]
  }

  /** Whether the registry would take that as the next version of a subject, which has some. */
  async isCompatible(subject: string, schema: object, schemaType = 'AVRO'): Promise<boolean> {
    const path = this.own(`/compatibility/subjects/${encodeURIComponent(subject)}/versions`)
    const answer = await post(path, { schema: JSON.stringify(schema), schemaType })
    return (answer as { is_compatible: boolean }).is_compatible
  }

  async close(): Promise<void> {
    this.front.closeAllConnections()
    await new Promise((resolve) => this.front.close(resolve))
    await this.server.end('SIGKILL')
    this.server.remove()
  }

  private own(path: string): string {
    return `http://127.0.0.1:${this.port}${interfacePath}${path}`
  }

  private pass(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', headers } = request
    this.requests.push(`${method} ${new URL(url, this.url).pathname}`)
    if (this.outage === 0) return void request.socket.destroy()
    if (this.outage !== undefined) {
      response.writeHead(this.outage, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
      response.end(JSON.stringify({ error_code: this.outage * 100 + 1, message: 'out of order' }))
      return
    }
    const passed = ask(this.own(url), { method, headers: { ...headers, host: `127.0.0.1:${this.port}` } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    passed.on('error', () => request.socket.destroy())
    request.pipe(passed)
  }
}

const runner = 'apicurio-registry-app-2.6.13.Final-runner.jar'

const post = (url: string, body: unknown) => send('POST', url, body)
const put = (url: string, body: unknown) => send('PUT', url, body)

async function send(method: string, url: string, body?: unknown): Promise<unknown> {
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
  const answer = await fetch(url, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`)
  return JSON.parse(text) as unknown
}
