import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, WeirError } from '../../model/index.js'
import { isPlainObject } from '../../model/plain-object.js'
import { type EventSchema, nameOf, parsed, refsIn, uriOf } from './event-schema.js'

interface Draft extends EventSchema {
  readonly references: Map<string, EventSchema>
}

/**
 * The schemas in a folder, `<event type>/v<version>.json` or `.avsc`, of each type the oldest first.
 * Errors: WEIR_CONFIG_INVALID when it can't be read, or a file refers to one that is not there.
 */
export function readSchemaFolder(folder: string): ReadonlyMap<string, readonly EventSchema[]> {
  const types = namesIn(folder).filter(({ isFolder }) => isFolder)
  const all = types.flatMap(({ name }) => readType(folder, name))
  const byUri = new Map(all.flatMap((schema) => urisOf(schema).map((uri) => [uri, schema] as const)))
  for (const schema of all) connect(schema, byUri)
  return new Map(types.map(({ name }) => [name, all.filter(({ eventType }) => eventType === name)]))
}

function readType(folder: string, eventType: string): Draft[] {
  const files = namesIn(join(folder, eventType)).flatMap(({ name }) => {
    const [, version, ending] = /^v(\d+)\.(json|avsc)$/.exec(name) ?? []
    return version === undefined ? [] : [{ version: Number(version), ending, name }]
  })
  const versions = new Set(files.map(({ version }) => version))
  if (versions.size < files.length) throw invalid(join(folder, eventType), 'two files are of one version')
  return files
    .sort((one, other) => one.version - other.version)
    .map(({ name, version, ending }) => ({
      eventType,
      version,
      type: ending === 'json' ? 'JSON' : 'AVRO',
      text: readFileSync(join(folder, eventType, name), 'utf8'),
      references: new Map<string, EventSchema>(),
    }))
}

/** Its place in the folder, and the name that it gives itself. */
function urisOf(schema: EventSchema): string[] {
  const uri = uriOf(schema)
  const own = baseOf(schema)
  // Versions often have one `$id`: the newest of them is meant then.
  return own === uri ? [uri] : [uri, own]
}

function connect(schema: Draft, byUri: ReadonlyMap<string, EventSchema>): void {
  if (schema.type === 'AVRO') return connectAvro(schema, byUri)
  const own = baseOf(schema)
  for (const ref of refsIn(parsed(schema))) {
    const target = byUri.get(new URL(ref, own).href)
    if (target !== undefined) {
      if (target !== schema) schema.references.set(ref, target)
    } else if (!isEmbedded(parsed(schema), new URL(ref, own).href, own)) {
      throw invalid(nameOf(schema), `'${ref}' leads to no schema of the folder`)
    }
  }
}

/** Avro refers by the names of types; those that a schema does not define itself stand in another event type. */
function connectAvro(schema: Draft, byUri: ReadonlyMap<string, EventSchema>): void {
  const text = schema.text
  for (const other of byUri.values()) {
    if (other.type !== 'AVRO' || other === schema || other.eventType === schema.eventType) continue
    const name = avroName(parsed(other))
    if (name !== undefined && text.includes(`"${name}"`) && isNewest(other, byUri)) schema.references.set(name, other)
  }
}

function avroName(root: unknown): string | undefined {
  if (!isPlainObject(root) || typeof root['name'] !== 'string') return undefined
  const { name, namespace } = root
  return typeof namespace === 'string' && !name.includes('.') ? `${namespace}.${name}` : name
}

function isNewest(schema: EventSchema, all: ReadonlyMap<string, EventSchema>): boolean {
  return [...all.values()].every((other) => other.eventType !== schema.eventType || other.version <= schema.version)
}

function baseOf(schema: EventSchema): string {
  const uri = uriOf(schema)
  const root = schema.type === 'JSON' ? parsed(schema) : undefined
  const id = isPlainObject(root) ? root['$id'] : undefined
  return typeof id === 'string' ? new URL(id, uri).href.replace(/#$/, '') : uri
}

/** Whether a part of the schema gives itself that name. */
function isEmbedded(part: unknown, uri: string, base: string): boolean {
  if (Array.isArray(part)) return part.some((item) => isEmbedded(item, uri, base))
  if (!isPlainObject(part)) return false
  const id = part['$id']
  if (typeof id === 'string' && new URL(id, base).href.replace(/#$/, '') === uri) return true
  return Object.values(part).some((value) => isEmbedded(value, uri, base))
}

function namesIn(folder: string): { name: string; isFolder: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
      .sort((one, other) => (one.name < other.name ? -1 : 1))
  } catch (error) {
    throw invalid(folder, messageOf(error), error)
  }
}

function invalid(what: string, why: string, cause?: unknown): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `reading the schemas of ${what}: ${why}`, { cause })
}
