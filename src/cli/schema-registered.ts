import { type CompatibilityLevel, checkChange, levels, type VersionFault } from '../codecs/compatibility/index.js'
import { type EventSchema, nameOf, versionSchemaOf } from '../codecs/event-schemas/event-schema.js'
import { readSchemaFolder } from '../codecs/event-schemas/folder.js'
import { readRegistered } from '../codecs/event-schemas/registered.js'
import type { SchemaReference, SchemaRegistry } from '../codecs/schema-registry.js'
import { exitCodes, type Io } from './io.js'
import { painter, table } from './paint.js'
import { faultLines } from './schema-check.js'
import { answer, type RegistryOptions, schemaFolder, withRegistry } from './schema-registry.js'

interface Placed {
  readonly schema: EventSchema
  readonly id: number
  /** Which version of its subject it is in the registry. */
  readonly registered: number
  readonly isNew: boolean
}

/**
 * `weir schema register`: registers the schemas of a folder, each under its event type, those that others refer to first.
 * Errors: WEIR_CONFIG_INVALID when the registry refuses one.
 */
export async function schemaRegister(folder: string | undefined, options: RegistryOptions, io: Io): Promise<number> {
  const all = [...readSchemaFolder(schemaFolder(folder, io)).values()].flat()
  return withRegistry(options, io, async (registry) => {
    const placed = new Map<EventSchema, Placed>()
    for (const schema of all) await place(schema, registry, placed)
    const rows = [...placed.values()]
    if (options.json)
      io.stdout.write(
        `${JSON.stringify(
          rows.map(({ schema: { eventType, version }, ...row }) => ({ eventType, version, ...row })),
          undefined,
          2,
        )}\n`,
      )
    else
      for (const line of table(
        rows.map(({ schema, id, registered, isNew }) => [
          isNew ? '+' : '=',
          nameOf(schema),
          `version ${registered}`,
          `id ${id}`,
          isNew ? 'registered' : 'was there',
        ]),
      ))
        io.stdout.write(`${line}\n`)
    return exitCodes.ok
  })
}

async function place(schema: EventSchema, registry: SchemaRegistry, placed: Map<EventSchema, Placed>): Promise<Placed> {
  const known = placed.get(schema)
  if (known !== undefined) return known
  const references: SchemaReference[] = []
  for (const [name, reference] of schema.references) {
    const { registered } = await place(reference, registry, placed)
    references.push({ name, subject: reference.eventType, version: registered })
  }
  const { eventType, type, text } = schema
  const before = await answer(registry.lookUp(eventType, type, text, references))
  if (before === undefined) await answer(registry.id(eventType, type, text, true, references))
  const { id, version } = before ??
    (await answer(registry.lookUp(eventType, type, text, references))) ?? { id: 0, version: 0 }
  const row = { schema, id, registered: version, isNew: before === undefined }
  placed.set(schema, row)
  return row
}

/** `weir schema ls`: the subjects of a registry. */
export async function schemaList(options: RegistryOptions, io: Io): Promise<number> {
  return withRegistry(options, io, async (registry) => {
    const rows = []
    for (const subject of await answer(registry.subjects())) {
      const versions = await answer(registry.versionsOf(subject))
      const last = versions.at(-1)
      const newest = last === undefined ? undefined : await answer(registry.version(subject, last))
      if (newest === undefined) continue
      rows.push({ subject, type: newest.type, versions, id: newest.id, rule: await answer(registry.level(subject)) })
    }
    if (options.json) io.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
    else if (rows.length === 0) io.stdout.write(`${registry.address} has no schemas\n`)
    else {
      const paint = painter(io.stdout, io)
      const [heading = '', ...lines] = table([
        ['subject', 'type', 'versions', 'newest id', 'rule'],
        ...rows.map(({ subject, type, versions, id, rule }) => [subject, type, versions.join(', '), String(id), rule]),
      ])
      io.stdout.write(`${[paint('dim', heading), ...lines].join('\n')}\n`)
    }
    return exitCodes.ok
  })
}

interface Difference {
  readonly eventType: string
  /** In the folder, or in the registry where it is not there. */
  readonly version: number
  readonly where: 'both' | 'folder' | 'registry'
  /** Of what would be registered: what is against it by the rule of the subject. */
  readonly faults: readonly VersionFault[]
}

/** `weir schema diff`: what of a folder is not registered, and the other way round. 1 when they differ. */
export async function schemaDiff(folder: string | undefined, options: RegistryOptions, io: Io): Promise<number> {
  const local = readSchemaFolder(schemaFolder(folder, io))
  return withRegistry(options, io, async (registry) => {
    const differences: Difference[] = []
    for (const [eventType, schemas] of local) differences.push(...(await compareType(eventType, schemas, registry)))
    if (options.json) io.stdout.write(`${JSON.stringify(differences, undefined, 2)}\n`)
    else io.stdout.write(`${diffLines(differences, registry.address, io).join('\n')}\n`)
    return differences.every(({ where }) => where === 'both') ? exitCodes.ok : exitCodes.failed
  })
}

async function compareType(
  eventType: string,
  schemas: readonly EventSchema[],
  registry: SchemaRegistry,
): Promise<Difference[]> {
  const versions = await answer(registry.versionsOf(eventType))
  const there: EventSchema[] = []
  for (const version of versions) there.push(await answer(readRegistered(registry, eventType, version)))
  const level = asLevel(await answer(registry.level(eventType)))
  const isThere = (schema: EventSchema) => there.some((one) => isSameText(one, schema))
  const before = there.map((one) => ({ name: `registered v${one.version}`, schema: versionSchemaOf(one) }))
  const own = schemas.map((schema) => {
    const { version } = schema
    if (isThere(schema)) return { eventType, version, where: 'both' as const, faults: [] }
    const next = { name: `v${version}`, schema: versionSchemaOf(schema) }
    const { faults } = checkChange(before, next, level)
    before.push(next)
    return { eventType, version, where: 'folder' as const, faults }
  })
  const others = there
    .filter((one) => !schemas.some((schema) => isSameText(one, schema)))
    .map(({ version }) => ({ eventType, version, where: 'registry' as const, faults: [] }))
  return [...own, ...others]
}

function asLevel(level: string): CompatibilityLevel {
  return levels.find((one) => one === level) ?? 'BACKWARD'
}

/** Registries keep the text, or write it anew. */
function isSameText(one: EventSchema, other: EventSchema): boolean {
  const plain = ({ text }: EventSchema) => JSON.stringify(JSON.parse(text))
  return one.type === other.type && plain(one) === plain(other)
}

function diffLines(differences: readonly Difference[], address: string, io: Io): string[] {
  if (differences.length === 0) return ['there are no schemas in the folder']
  const paint = painter(io.stdout, io)
  const symbols = { both: '=', folder: '+', registry: '-' } as const
  const texts = { both: 'registered', folder: 'not registered', registry: 'only registered' } as const
  const colors = { both: 'dim', folder: 'green', registry: 'red' } as const
  return [
    `beside ${address}`,
    '',
    ...differences.flatMap(({ eventType, version, where, faults }) => [
      paint(
        colors[where],
        `${symbols[where]} ${eventType}/v${version}   ${texts[where]}${faults.length > 0 ? ', and would be refused' : ''}`,
      ),
      ...faults.flatMap(faultLines),
    ]),
  ]
}
