import { catchError, concat, defer, EMPTY, ignoreElements, type Observable, takeUntil, tap, timer } from 'rxjs'
import {
  type AwaitedAgain,
  type ChannelWriter,
  describeError,
  type HeldPartition,
  type PartitionTold,
  type Position,
  type SinkContext,
} from '../../model/index.js'

/** A partition that was told to be idle, and since then to be awake. */
interface Awakening {
  readonly partition: PartitionTold
  /** Where what told it ends in each partition of the internal topic; undefined before that is acknowledged and asked for. */
  ends: readonly Position[] | undefined
  isAcknowledged: boolean
  isOver: boolean
}

const [leastWaitMs, mostWaitMs, patienceMs] = [1_000, 30_000, 2_000]

/**
 * Finds out when the task that reads an internal topic awaits partitions again that it was told to be idle. It does when it
 * has committed all that was in the topic when an announcement that says so was there: before that it may have closed
 * windows without them, up to the watermark that is committed, and from then on it never does. Who had a partition before
 * is not heard any more by then, for its generation is older.
 */
export class Awakenings {
  private readonly all = new Map<string, Awakening>()
  private waitMs = leastWaitMs
  private askAt = 0

  constructor(
    private readonly topic: string,
    private readonly writer: ChannelWriter,
    private readonly awaited: AwaitedAgain,
    private readonly context: SinkContext,
  ) {}

  /** A partition is announced. */
  told(name: string, partition: PartitionTold): void {
    const { idle, movedOnMs, topic, generation } = partition
    const isAwake = !idle && movedOnMs === 0 && this.context.time.toldIdle(topic, partition.partition)
    if (!isAwake) this.all.delete(name)
    else if (this.all.get(name)?.partition.generation !== generation) {
      this.all.set(name, { partition, ends: undefined, isAcknowledged: false, isOver: false })
      this.waitMs = leastWaitMs
      this.askAt = this.now() + leastWaitMs
    }
  }

  /** All announcements so far are in the topic. */
  acknowledged(): void {
    for (const awakening of this.all.values()) awakening.isAcknowledged = true
  }

  /** The writer is opened anew: what it had to write may be lost. */
  clear(): void {
    this.all.clear()
  }

  /** Asks, from time to time, how far the other task is. Never errors, and takes no longer than a moment. */
  ask(): Observable<never> {
    return defer(() => {
      const open = [...this.all.values()].filter(({ isAcknowledged, isOver }) => isAcknowledged && !isOver)
      const { held } = this.context
      if (open.length === 0 || held === undefined || this.now() < this.askAt) return EMPTY
      this.waitMs = Math.min(2 * this.waitMs, mostWaitMs)
      this.askAt = this.now() + this.waitMs
      const isFresh = open.some(({ ends }) => ends === undefined)
      return concat(
        isFresh ? this.askEnds(open) : EMPTY,
        held(this.topic).pipe(tap((all) => this.compare(open, all))),
      ).pipe(
        ignoreElements(),
        catchError((error: unknown) => {
          this.context.log.debug(`asking how far an internal topic is read: ${describeError(error)}`)
          return EMPTY
        }),
        takeUntil(timer(patienceMs, this.context.clock.scheduler)),
      )
    })
  }

  private askEnds(open: readonly Awakening[]): Observable<never> {
    return this.writer.ends().pipe(
      tap((ends) => {
        for (const awakening of open) awakening.ends ??= ends
      }),
      ignoreElements(),
    )
  }

  private compare(open: readonly Awakening[], held: readonly HeldPartition[]): void {
    for (const awakening of open) {
      const closed = awakening.ends && closedBy(awakening.ends, held)
      if (closed === undefined) continue
      awakening.isOver = true
      this.awaited(awakening.partition, closed)
    }
  }

  private now(): number {
    return this.context.clock.scheduler.now()
  }
}

/** The highest watermark of those who have read up to there; undefined while one of them has not. */
function closedBy(ends: readonly Position[], held: readonly HeldPartition[]): number | undefined {
  let closed = Number.NEGATIVE_INFINITY
  for (const { partition, offset } of ends) {
    const progress = held.find((one) => one.partition === partition)?.progress
    if (progress === undefined || progress.position < offset) return undefined
    closed = Math.max(closed, progress.watermark ?? closed)
  }
  return closed
}
