import { lastValueFrom } from 'rxjs'
import { changeProgress, type Engine, logEndsOf } from '../engine/index.js'
import { describeError, type LogEnds, type PartitionProgress, partitionName, WeirError } from '../model/index.js'
import { audited } from './audit.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { partitionOption, wholeNumber } from './number-option.js'
import { table } from './paint.js'
import { type Prepared, prepare } from './prepare.js'
import { type Kept, keptOf, thereIs } from './progress.js'
import { withEngine } from './stored.js'

export interface SetPositionOptions {
  readonly to: string
  readonly partition?: string
  readonly config?: string
}

/** An end of the log, or an offset in it. */
type Target = 'earliest' | 'latest' | number

/** Where one partition is to go on. */
interface Move {
  readonly kept: Kept
  readonly to: number
}

/**
 * `weir state set-position <flow> <topic> --to <offset>`: where a flow goes on that has its positions in a checkpoint store.
 * Its state stays as it is. A process that runs the flow begins anew from there.
 */
export async function setPosition(
  flow: string,
  topic: string,
  { to, partition, config }: SetPositionOptions,
  io: Io,
): Promise<number> {
  const target = targetOf(to)
  const only = partitionOption(partition)
  const prepared = await prepare(config === undefined ? {} : { config }, io)
  return withEngine(prepared, async (engine) => {
    const all = await keptOf(engine, prepared, flow)
    const asked = all.filter(({ held }) => held.topic === topic && (only === undefined || held.partition === only))
    if (asked.length === 0) throw nothingHeld({ flow, topic, only }, all, prepared)
    // All are judged before any is moved.
    const moves = movesTo(target, asked, await endsOf(target, asked, { engine, prepared, io }))
    const deed = { action: 'state.set-position', subject: flow, asked: { topic, partition, to } }
    return audited({ prepared, engine }, deed, io, async (tell) => {
      const rows: string[][] = []
      for (const { kept, to: offset } of moves) {
        const before = await moveTo(kept, offset)
        rows.push([partitionName(kept.held), String(before?.position ?? '–'), '→', String(offset)])
        tell({ positions: rows.length })
      }
      io.stdout.write(`${table(rows).join('\n')}\n${stateStays}\n`)
      return exitCodes.ok
    })
  })
}

export const stateStays = 'State stays as it is: what is read again counts again.'

/** Sets where a partition goes on, and tells what was known of it before. Errors: those of the checkpoint store. */
export function moveTo({ held, checkpoints }: Kept, offset: number): Promise<PartitionProgress | undefined> {
  const change$ = changeProgress(checkpoints, held, (progress) => movedTo(progress, offset))
  return lastValueFrom(change$, { defaultValue: undefined })
}

interface Asking {
  readonly engine: Engine
  readonly prepared: Prepared
  readonly io: Io
}

/** Where the logs begin and end; undefined where that can't be told. Who names an offset can do without. */
async function endsOf(
  target: Target,
  asked: readonly Kept[],
  { engine, prepared, io }: Asking,
): Promise<readonly LogEnds[] | undefined> {
  const [first] = asked
  if (first === undefined) return undefined
  const partitions = asked.map(({ held: { topic, partition } }) => ({ topic, partition }))
  try {
    return await logEndsOf(first.held.task, partitions, prepared.topology, engine.kept, engine)
  } catch (error) {
    if (typeof target !== 'number' || !(error instanceof WeirError)) throw error
    io.stderr.write(`it was not looked at whether there is such an offset: ${prepared.redact(describeError(error))}\n`)
    return undefined
  }
}

/** Errors: `UsageError` for what no log has. */
function movesTo(target: Target, asked: readonly Kept[], ends: readonly LogEnds[] | undefined): readonly Move[] {
  if (ends === undefined) {
    if (target === 'latest')
      throw new UsageError("--to: nobody tells what is the latest here; write an offset, or 'earliest'")
    return asked.map((kept) => ({ kept, to: target === 'earliest' ? 0 : target }))
  }
  const moves = asked.flatMap((kept) => {
    const { topic, partition } = kept.held
    const log = ends.find((one) => one.topic === topic && one.partition === partition)
    // A topic that was made anew may have fewer.
    return log === undefined ? [] : [{ kept, to: offsetIn(log, target) }]
  })
  if (moves.length > 0) return moves
  throw new UsageError(`there is no ${asked.map(({ held }) => partitionName(held)).join(', ')} any more`)
}

/** Errors: `UsageError` for an offset that the log does not have. */
export function offsetIn(log: LogEnds, target: Target): number {
  if (target === 'earliest') return log.start
  if (target === 'latest') return log.end
  if (target >= log.start && target <= log.end) return target
  throw new UsageError(
    `--to: ${partitionName(log)} has no offset ${target}: it begins at ${log.start}, and the next record gets ${log.end}. Write one of these, 'earliest' or 'latest', and --partition for those that differ`,
  )
}

/** Whatever is read from there on is new to those behind an internal topic; and it may be another topic of that name. */
function movedTo(progress: PartitionProgress | undefined, position: number): PartitionProgress {
  const { id: _, ...facts } = progress?.facts ?? { partitions: 0 }
  const before = (facts.before ?? 0) + Math.max(progress?.position ?? 0, 1)
  return { ...progress, position, facts: facts.partitions === 0 ? undefined : { ...facts, before } }
}

function nothingHeld(
  { flow, topic, only }: { readonly flow: string; readonly topic: string; readonly only: number | undefined },
  all: readonly Kept[],
  prepared: Prepared,
): UsageError {
  const partitions = all.filter(({ held }) => held.topic === topic).map(({ held }) => String(held.partition))
  if (partitions.length > 0)
    return new UsageError(
      `flow '${flow}' has no position of partition ${only} of topic '${topic}': ${thereIs('partition', partitions)}`,
    )
  const topics = [...new Set(all.map(({ held }) => held.topic))]
  if (topics.length > 0)
    return new UsageError(`flow '${flow}' has no position of topic '${topic}': ${thereIs('topic', topics)}`)
  return new UsageError(
    `flow '${flow}' has no position in a checkpoint store: ${
      prepared.topology.declared.includes(flow)
        ? 'it has not run yet, or its consumer group keeps them, and then kafka-consumer-groups --reset-offsets sets them'
        : thereIs('flow', prepared.topology.declared)
    }`,
  )
}

function targetOf(text: string): Target {
  if (text === 'earliest' || text === 'latest') return text
  const offset = wholeNumber(text)
  if (offset !== undefined) return offset
  throw new UsageError(`--to: '${text}' is no offset: write a number, 'earliest' or 'latest'`)
}
