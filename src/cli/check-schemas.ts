import { firstValueFrom } from 'rxjs'
import { avroVersion, compareSchemas, jsonVersion, type VersionSchema } from '../codecs/compatibility/index.js'
import { documentOf, versionSchemaOf } from '../codecs/event-schemas/event-schema.js'
import { readSchemaFolder } from '../codecs/event-schemas/folder.js'
import { readRegistered } from '../codecs/event-schemas/registered.js'
import { SchemaRegistry } from '../codecs/schema-registry.js'
import type { ConfigFault, FlowTopology, OperatorNode, SourceNode, Topology } from '../engine/index.js'
import { isWeirError, messageOf } from '../model/index.js'

/** What the schemas of a configuration are, beside those of registries. */
export interface SchemaFindings {
  readonly faults: readonly ConfigFault[]
  readonly warnings: readonly ConfigFault[]
  /** The registries that were asked, and why one could not be. */
  readonly registries: readonly { readonly address: string; readonly unreachable?: string }[]
}

/** A stage that decodes the values of a topic by a registry. */
interface Decoding {
  readonly flow: string
  readonly node: OperatorNode
  readonly topic: string
}

/**
 * Reads the schemas that flows validate by, and asks each registry that is named whether a stage that decodes can read what
 * the schemas of its topic wrote: the newest, or it is a fault; older ones, or it is a warning.
 */
export async function checkSchemas(topology: Topology): Promise<SchemaFindings> {
  const faults: ConfigFault[] = [...folderFaults(topology)]
  const warnings: ConfigFault[] = []
  const registries: { address: string; unreachable?: string }[] = []
  for (const [name, { definition, options }] of topology.connections) {
    const decodings = topology.flows.flatMap(decodingsOf).filter(({ node }) => node.connection === name)
    if (definition.kind !== 'schemaRegistry' || decodings.length === 0) continue
    const registry = new SchemaRegistry(options as ConstructorParameters<typeof SchemaRegistry>[0])
    if (!registry.isNamed) continue
    const { address } = registry
    try {
      for (const decoding of decodings) await compare(decoding, registry, faults, warnings)
      registries.push({ address })
    } catch (error) {
      if (!isWeirError(error) || error.code !== 'WEIR_REGISTRY_UNREACHABLE') throw error
      registries.push({ address, unreachable: messageOf(error) })
    } finally {
      await registry.close()
    }
  }
  return { faults, warnings, registries }
}

/** Folders of schemas that don't hold. */
function* folderFaults({ connections }: Topology): Generator<ConfigFault> {
  for (const [name, { definition, options }] of connections) {
    if (definition.kind !== 'eventSchemas') continue
    const { from } = options as { readonly from: string }
    if (/^https?:/.test(from)) continue
    try {
      for (const schema of [...readSchemaFolder(from).values()].flat()) if (schema.type === 'JSON') documentOf(schema)
    } catch (error) {
      yield { message: `connection '${name}': ${messageOf(error)}`, hint: isWeirError(error) ? error.hint : undefined }
    }
  }
}

function decodingsOf({ name, parts }: FlowTopology): Decoding[] {
  return parts.flatMap((part) =>
    part.inputs.flatMap(({ source, stages }) => {
      const node = [...stages, ...part.stages].find(({ definition }) => definition.name in readers)
      return node === undefined ? [] : topicsOf(source).map((topic) => ({ flow: name, node, topic }))
    }),
  )
}

function topicsOf({ definition, options }: SourceNode): readonly string[] {
  return definition.name === 'kafka.source' ? (definition.reads?.(options)?.topics ?? []) : []
}

/** What each of the stages reads values as; undefined where it takes what comes, or can't tell. */
const readers: Readonly<Record<string, (options: never) => VersionSchema | undefined>> = {
  'avro.decode': ({ schema }: { schema?: object }) => (schema === undefined ? undefined : avroVersion(schema)),
  'jsonSchema.decode': ({ schema }: { schema: Described }) => {
    try {
      const described = schema['~standard'].jsonSchema?.input({ target: 'draft-2020-12' })
      return described === undefined ? undefined : jsonVersion(described)
    } catch {
      // It has what JSON Schema has no words for.
      return undefined
    }
  },
}

interface Described {
  readonly '~standard': {
    readonly jsonSchema?: { input(options: { target: string }): Readonly<Record<string, unknown>> }
  }
}

async function compare(
  { flow, node, topic }: Decoding,
  registry: SchemaRegistry,
  faults: ConfigFault[],
  warnings: ConfigFault[],
): Promise<void> {
  const reader = readers[node.definition.name]?.(node.options as never)
  if (reader === undefined) return
  const subject = `${topic}-value`
  const versions = await firstValueFrom(registry.versionsOf(subject))
  for (const version of versions) {
    const schema = await firstValueFrom(readRegistered(registry, subject, version))
    const sides = { writer: `v${version}`, reader: 'the stage', newer: 'reader' } as const
    const { verdict, faults: found } = compareSchemas(versionSchemaOf(schema), reader, sides)
    if (verdict === 'compatible') continue
    const what = found.map(({ path, what }) => (path === '' ? what : `${path}: ${what}`)).join('; ')
    const cant = verdict === 'incompatible' ? 'can not read' : 'may not be able to read'
    const fault = {
      message: `flow '${flow}', stage '${node.name}': its schema ${cant} what v${version} of '${subject}' wrote: ${what}`,
      hint: found[0]?.mend,
      declaredAt: node.declaredAt,
    }
    const isRefused = verdict === 'incompatible' && version === versions.at(-1)
    if (isRefused) faults.push(fault)
    else warnings.push(fault)
  }
}
