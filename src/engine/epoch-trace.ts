import type { Clock, StreamRecord } from '../model/index.js'
import type { EpochTrace, Observer, StageCounts, StageTrace } from './status.js'

/** How many of an epoch's records are asked for what they are a part of. */
const mostHeads = 32

/** A stage in the running epoch, times of the clock's scheduler. */
interface Times {
  readonly counts: StageCounts
  before: Pick<StageCounts, 'in' | 'out' | 'rejected'>
  firstAt: number | undefined
  endedAt: number | undefined
}

/** Takes the times of an epoch's stages for an observer that traces, and some of the records that were read. */
export class EpochTracer {
  private readonly times: ReadonlyMap<StageCounts, Times>
  private heads: StreamRecord[] = []
  private startedAt = 0

  constructor(
    private readonly flow: string,
    stages: readonly StageCounts[],
    private readonly clock: Clock,
    private readonly tell: NonNullable<Observer['trace']>,
  ) {
    this.times = new Map(stages.map((counts) => [counts, { counts, ...asOf(counts) }]))
  }

  begin(): void {
    this.startedAt = this.now()
    this.heads = []
    for (const times of this.times.values()) Object.assign(times, asOf(times.counts))
  }

  /** A source has read a record. */
  read(record: StreamRecord): void {
    if (this.heads.length < mostHeads) this.heads.push(record)
  }

  /** Sees what comes from one stage to the next. */
  between(from: StageCounts, to: StageCounts): (record: unknown) => void {
    const [before, behind] = [this.times.get(from), this.times.get(to)]
    return () => {
      if (before !== undefined) before.firstAt ??= this.now()
      if (behind !== undefined) behind.firstAt ??= this.now()
    }
  }

  /** All that a stage had to do in this epoch is done. */
  ended(stage: StageCounts): void {
    const times = this.times.get(stage)
    if (times !== undefined) times.endedAt = this.now()
  }

  /** The epoch is committed, or has failed. One that had nothing to do is not told. */
  over(epoch: Pick<EpochTrace, 'part' | 'epoch' | 'records' | 'commitMs' | 'error'>): void {
    if (epoch.records === 0 && epoch.error === undefined) return
    const { flow, startedAt, heads } = this
    const endedAt = this.now()
    const stages = [...this.times.values()].flatMap((times) => stageTrace(times, endedAt))
    this.tell({ ...epoch, flow, startedAt, endedAt, stages, heads })
  }

  private now(): number {
    return this.clock.scheduler.now()
  }
}

function asOf({ in: came, out, rejected }: StageCounts): Omit<Times, 'counts'> {
  return { before: { in: came, out, rejected }, firstAt: undefined, endedAt: undefined }
}

/** A stage that nothing has come to had nothing to do. */
function stageTrace({ counts, before, firstAt, endedAt }: Times, overAt: number): StageTrace[] {
  if (firstAt === undefined) return []
  const { stage, kind } = counts
  const since = { in: counts.in - before.in, out: counts.out - before.out, rejected: counts.rejected - before.rejected }
  return [{ stage, kind, ...since, startedAt: firstAt, endedAt: endedAt ?? overAt }]
}
