import { type PartitionProgress, partitionName } from '../model/index.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { table } from './paint.js'
import { prepare } from './prepare.js'
import { changeProgress, keptOf } from './progress.js'
import { withEngine } from './stored.js'

export interface SetPositionOptions {
  readonly to: string
  readonly partition?: string
  readonly config?: string
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
  const offset = to === 'earliest' ? 0 : wholeNumber('--to', to)
  const only = partition === undefined ? undefined : wholeNumber('--partition', partition)
  const prepared = await prepare(config === undefined ? {} : { config }, io)
  await withEngine(prepared, async (engine) => {
    const rows: string[][] = []
    for (const { held, checkpoints } of await keptOf(engine, prepared, flow)) {
      if (held.topic !== topic || (only !== undefined && held.partition !== only)) continue
      const before = await changeProgress(checkpoints, held, (progress) => movedTo(progress, offset))
      rows.push([partitionName(held), String(before?.position ?? '–'), '→', String(offset)])
    }
    if (rows.length === 0) throw nothingHeld(flow, topic)
    io.stdout.write(`${table(rows).join('\n')}\nState stays as it is: what is read again counts again.\n`)
  })
  return exitCodes.ok
}

/** Whatever is read from there on is new to those behind an internal topic; and it may be another topic of that name. */
function movedTo(progress: PartitionProgress | undefined, position: number): PartitionProgress {
  const { id: _, ...facts } = progress?.facts ?? { partitions: 0 }
  const before = (facts.before ?? 0) + Math.max(progress?.position ?? 0, 1)
  return { ...progress, position, facts: facts.partitions === 0 ? undefined : { ...facts, before } }
}

function nothingHeld(flow: string, topic: string): UsageError {
  return new UsageError(
    `flow '${flow}' has no position of topic '${topic}' in a checkpoint store. Where its consumer group keeps them, kafka-consumer-groups --reset-offsets sets them`,
  )
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  throw new UsageError(`${option}: '${text}' is no offset`)
}
