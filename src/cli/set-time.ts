import { lastValueFrom } from 'rxjs'
import { backTo, changeProgress, nextTimeSet, setBack } from '../engine/index.js'
import { partitionName, timeText } from '../model/index.js'
import { audited } from './audit.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { table } from './paint.js'
import { prepare } from './prepare.js'
import { keptOf, thereIs } from './progress.js'
import { withEngine } from './stored.js'
import { timeOption } from './time-option.js'

export interface SetTimeOptions {
  readonly to: string
  readonly config?: string
}

/**
 * `weir state set-time <flow> --to <time>`: sets the event time of all partitions of a flow back, of whose records one has
 * moved it too far ahead. Positions and state stay. A process that runs the flow begins anew from there.
 */
export async function setTime(flow: string, { to, config }: SetTimeOptions, io: Io): Promise<number> {
  const time = timeOption('--to', to)
  const prepared = await prepare(config === undefined ? {} : { config }, io)
  return withEngine(prepared, async (engine) => {
    const kept = await keptOf(engine, prepared, flow)
    if (kept.length === 0) throw nothingHeld(flow, prepared.topology.declared)
    const timeSets = nextTimeSet(kept.map(({ held }) => held))
    return audited(
      { prepared, engine },
      { action: 'state.set-time', subject: flow, asked: { to } },
      io,
      async (tell) => {
        const rows: string[][] = []
        for (const { held, checkpoints } of kept) {
          const change$ = changeProgress(checkpoints, held, (progress) => setBack(progress, time, timeSets))
          const before = await lastValueFrom(change$, { defaultValue: undefined })
          const times = [before?.streamTime, backTo(before?.streamTime, time)].map(shownTime)
          rows.push([partitionName(held), times[0] ?? '', '→', times[1] ?? ''])
          tell({ partitions: rows.length })
        }
        io.stdout.write(
          `${table(rows).join('\n')}\nWindows that end later and were told already are told again, of what comes from now on.\n`,
        )
        return exitCodes.ok
      },
    )
  })
}

function nothingHeld(flow: string, declared: readonly string[]): UsageError {
  const why = declared.includes(flow) ? 'it has not run yet, or keeps none' : thereIs('flow', declared)
  return new UsageError(`flow '${flow}' has no time in a checkpoint store: ${why}`)
}

/** The time of an event as people read it. */
export function shownTime(time: number | undefined): string {
  return time === undefined ? '–' : timeText(time)
}
