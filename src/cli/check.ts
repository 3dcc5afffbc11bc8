import { relative } from 'node:path'
import { configFaults, configWarnings, describeWarning } from '../config/describe.js'
import { ConfigError, type FlowTopology, printTopology, stateFaults } from '../engine/index.js'
import { checkSchemas, type SchemaFindings } from './check-schemas.js'
import { exitCodes, type Io } from './io.js'
import { type Paint, painter, table } from './paint.js'
import { type Prepared, prepare } from './prepare.js'
import { storesOf, withStored } from './stored.js'

export interface CheckOptions {
  readonly config?: string
  readonly json?: boolean
  /** Compares with the state that is stored, too. */
  readonly state?: boolean
}

interface Checked {
  readonly prepared: Prepared
  readonly schemas: SchemaFindings
}

/**
 * `weir check`: validates everything, and prints what each flow guarantees, and how it reads. It asks schema registries that are named, and
 * refuses a schema that can't read what is on its topic; only `--state` connects to anything else, the checkpoint stores,
 * and refuses a configuration that would lose state there.
 */
export async function check(options: CheckOptions, io: Io): Promise<number> {
  if (options.json) return checkAsJson(options, io)
  const { prepared, schemas } = await checked(options, io)
  io.stdout.write(prepared.redact(`${report(prepared, schemas, options, io).join('\n')}\n`))
  return exitCodes.ok
}

/** Errors, besides those of the configuration: a `ConfigError` when state would be lost, and WEIR_CHECKPOINT_UNREACHABLE. */
async function checked(options: CheckOptions, io: Io): Promise<Checked> {
  const prepared = await prepare(options, io)
  const schemas = await checkSchemas(prepared.topology)
  if (schemas.faults.length > 0) throw new ConfigError(schemas.faults)
  if (options.state) {
    const faults = await withStored(prepared, ({ changes }) => stateFaults(changes))
    if (faults.length > 0) throw new ConfigError(faults)
  }
  return { prepared, schemas }
}

/** `weir graph`: prints the topology. */
export async function graph(options: { readonly config?: string }, io: Io): Promise<number> {
  const { topology, redact } = await prepare(options, io)
  io.stdout.write(redact(`${printTopology(topology)}\n`))
  return exitCodes.ok
}

function report(prepared: Prepared, schemas: SchemaFindings, options: CheckOptions, io: Io): string[] {
  const { topology, file } = prepared
  const paint = painter(io.stdout, io)
  const rows = topology.flows.map((flow) => {
    const { stage, why } = flow.guaranteedBy
    return [flow.name, flow.guarantee, stage, keeperOf(flow) ?? '–', why]
  })
  const [heading = '', ...lines] = table([['flow', 'guarantee', 'set by', 'checkpoints', 'because'], ...rows])
  return [
    `${paint('green', '✓')} ${relative(io.cwd, file)} holds: app ${topology.app}, checkpoints in ${topology.checkpoints}`,
    '',
    `  ${paint('dim', heading)}`,
    ...lines.map((line) => `  ${line}`),
    ...wayLines(topology.flows, paint),
    ...stateLines(stateOf(prepared, options), storesOf(prepared)),
    ...schemaLines(schemas),
    ...[...topology.flows.flatMap(({ warnings }) => warnings), ...schemas.warnings].flatMap((warning) => [
      '',
      `${paint('yellow', '!')} ${describeWarning(warning, io.cwd)}`,
    ]),
  ]
}

function wayLines(flows: readonly FlowTopology[], paint: Paint): string[] {
  const rows = flows.flatMap(({ name: flow, ways }) =>
    ways.map(({ source, detail = '', name, because }) => [flow, source, detail, name, because]),
  )
  if (rows.length === 0) return []
  const [heading = '', ...lines] = table([['flow', 'source', 'reads', 'by', 'because'], ...rows])
  return ['', `  ${paint('dim', heading)}`, ...lines.map((line) => `  ${line}`)]
}

/** Whether what is stored was compared with the flows; undefined where nothing outlives the process. */
function stateOf(prepared: Prepared, { state }: CheckOptions): 'holds' | 'not looked at' | undefined {
  if (storesOf(prepared).length === 0) return undefined
  return state ? 'holds' : 'not looked at'
}

function stateLines(state: ReturnType<typeof stateOf>, where: readonly string[]): string[] {
  if (state === undefined) return []
  const stores = where.join(', ')
  return [
    '',
    state === 'holds'
      ? `  the state in ${stores} fits: none of it would be lost`
      : `  the state in ${stores} was not looked at: weir check --state does, weir plan tells more`,
  ]
}

function schemaLines({ registries }: SchemaFindings): string[] {
  return registries.flatMap(({ address, unreachable }) => [
    '',
    unreachable === undefined
      ? `  the schemas in ${address} fit: what they wrote last can be read`
      : `  the schemas in ${address} were not looked at: ${unreachable}`,
  ])
}

/** What keeps the checkpoints of a flow, if it has any. */
function keeperOf({ parts, checkpoints }: FlowTopology): string | undefined {
  return parts.some(({ checkpointed }) => checkpointed) ? checkpoints : undefined
}

async function checkAsJson(options: CheckOptions, io: Io): Promise<number> {
  const print = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`
  try {
    const { prepared, schemas } = await checked(options, io)
    const { topology, redact } = prepared
    const { app, checkpoints } = topology
    const flows = topology.flows.map((flow) => {
      const { name, guarantee, guaranteedBy, ways } = flow
      return { name, guarantee, guaranteedBy, checkpoints: keeperOf(flow), ways }
    })
    const warnings = configWarnings([...topology.flows.flatMap((flow) => flow.warnings), ...schemas.warnings], io.cwd)
    io.stdout.write(
      redact(
        print({
          ok: true,
          app,
          checkpoints,
          state: stateOf(prepared, options),
          registries: schemas.registries,
          flows,
          warnings,
        }),
      ),
    )
    return exitCodes.ok
  } catch (error) {
    const text = print({ ok: false, faults: configFaults(error, io.cwd) })
    io.stdout.write(io.secrets?.redact(text) ?? text)
    throw error
  }
}
