import { relative } from 'node:path'
import { configFaults } from '../config/describe.js'
import { type FlowTopology, printTopology } from '../engine/index.js'
import { exitCodes, type Io } from './io.js'
import { painter, table } from './paint.js'
import { type Prepared, prepare } from './prepare.js'

export interface CheckOptions {
  readonly config?: string
  readonly json?: boolean
}

/** `weir check`: validates everything without connecting, and prints what each flow guarantees. */
export async function check(options: CheckOptions, io: Io): Promise<number> {
  if (options.json) return checkAsJson(options, io)
  const prepared = await prepare(options, io)
  io.stdout.write(prepared.redact(`${report(prepared, io).join('\n')}\n`))
  return exitCodes.ok
}

/** `weir graph`: prints the topology. */
export async function graph(options: { readonly config?: string }, io: Io): Promise<number> {
  const { topology, redact } = await prepare(options, io)
  io.stdout.write(redact(`${printTopology(topology)}\n`))
  return exitCodes.ok
}

function report({ topology, file }: Prepared, io: Io): string[] {
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
  ]
}

/** What keeps the checkpoints of a flow, if it has any. */
function keeperOf({ parts, checkpoints }: FlowTopology): string | undefined {
  return parts.some(({ checkpointed }) => checkpointed) ? checkpoints : undefined
}

async function checkAsJson(options: CheckOptions, io: Io): Promise<number> {
  const print = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`
  try {
    const { topology, redact } = await prepare(options, io)
    const { app, checkpoints } = topology
    const flows = topology.flows.map((flow) => {
      const { name, guarantee, guaranteedBy } = flow
      return { name, guarantee, guaranteedBy, checkpoints: keeperOf(flow) }
    })
    io.stdout.write(redact(print({ ok: true, app, checkpoints, flows })))
    return exitCodes.ok
  } catch (error) {
    io.stdout.write(print({ ok: false, faults: configFaults(error, io.cwd) }))
    throw error
  }
}
