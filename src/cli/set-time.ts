import { isoReader, type PartitionProgress, partitionName, timeText } from '../model/index.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { table } from './paint.js'
import { prepare } from './prepare.js'
import { changeProgress, keptOf, thereIs } from './progress.js'
import { withEngine } from './stored.js'

export interface SetTimeOptions {
  readonly to: string
  readonly config?: string
}

/**
 * `weir state set-time <flow> --to <time>`: sets the event time of all partitions of a flow back, of whose records one has
 * moved it too far ahead. Positions and state stay. A process that runs the flow begins anew from there.
 */
export async function setTime(flow: string, { to, config }: SetTimeOptions, io: Io): Promise<number> {
  const time = isoReader()(to)
  if (Number.isNaN(time)) throw new UsageError(`--to: '${to}' is no time; write 2026-01-31T12:00:00Z`)
  const prepared = await prepare(config === undefined ? {} : { config }, io)
  await withEngine(prepared, async (engine) => {
    const kept = await keptOf(engine, prepared, flow)
    if (kept.length === 0) throw nothingHeld(flow, prepared.topology.declared)
    const timeSets = Math.max(...kept.map(({ held }) => held.progress?.timeSets ?? 0)) + 1
    const rows: string[][] = []
    for (const { held, checkpoints } of kept) {
      const before = await changeProgress(checkpoints, held, (progress) => setBack(progress, time, timeSets))
      rows.push([partitionName(held), shownTime(before?.streamTime), '→', shownTime(backTo(before?.streamTime, time))])
    }
    io.stdout.write(
      `${table(rows).join('\n')}\nWindows that end later and were told already are told again, of what comes from now on.\n`,
    )
  })
  return exitCodes.ok
}

function nothingHeld(flow: string, declared: readonly string[]): UsageError {
  const why = declared.includes(flow) ? 'it has not run yet, or keeps none' : thereIs('flow', declared)
  return new UsageError(`flow '${flow}' has no time in a checkpoint store: ${why}`)
}

/**
 * Results up to that time stay final; what was told to others before is no longer believed. They are further than a partition's
 * own watermark may then be, as after it was idle: what comes too late for them is told so record by record.
 */
export function setBack(progress: PartitionProgress | undefined, time: number, timeSets: number): PartitionProgress {
  const { movedOnMs: _, ...kept } = progress ?? { position: 0 }
  const { streamTime, watermark, together } = kept
  const times = { streamTime: backTo(streamTime, time), watermark: backTo(watermark, time) }
  return { ...kept, ...times, together: backTo(together, time), timeSets, toldIdle: true }
}

function backTo(time: number | undefined, limit: number): number | undefined {
  return time === undefined ? undefined : Math.min(time, limit)
}

/** The time of an event as people read it. */
export function shownTime(time: number | undefined): string {
  return time === undefined ? '–' : timeText(time)
}
