import { defer, Observable, type Subscription, tap, timer } from 'rxjs'
import {
  type AssignmentChange,
  type Clock,
  type Epoch,
  type PartitionEnd,
  PartitionMap,
  type Position,
  type SourceTask,
  type StreamRecord,
  type TopicPartition,
  type WeirError,
} from '../../model/index.js'
import { factsOf } from './message.js'

type Holding = SourceTask & Required<Pick<SourceTask, 'hold' | 'goOn'>>

/** A timer that is longer would only be one more that an epoch ends. */
const longestMs = 60_000

/** Why a partition is held: when its next record is due, by the clock, and when that is by the time that passes. */
interface Held {
  readonly due: number
  readonly until: number
}

/**
 * Reads a retry topic: each partition up to the first record whose time has not come. There it is held, and nothing of it is
 * kept, until then; the others go on. Clocks may be wrong: nothing waits longer here than it would have to from its beginning.
 */
export class WaitingSource implements SourceTask {
  readonly assignments$: Observable<AssignmentChange>
  private readonly held = new PartitionMap<Held>()
  /** By how much the clock was found to be behind that of who wrote a partition, ms. */
  private readonly behind = new PartitionMap<number>()
  private alarm: Subscription | undefined

  constructor(
    private readonly source: Holding,
    private readonly clock: Clock,
  ) {
    this.assignments$ = defer(() => {
      this.held.clear()
      return source.assignments$.pipe(tap(({ partitions }) => this.forget(partitions)))
    })
  }

  read(epoch: Epoch): Observable<StreamRecord> {
    return new Observable((out) => {
      out.add(() => this.alarm?.unsubscribe())
      out.add(
        this.source.read(epoch).subscribe({
          next: (record) => {
            if (!this.hasToWait(record)) out.next(record)
          },
          error: (error: unknown) => out.error(error),
          complete: () => out.complete(),
        }),
      )
      this.resume()
    })
  }

  positions(): readonly Position[] {
    return this.source.positions()
  }

  rewind(positions: readonly Position[], error: unknown): Observable<never> {
    return defer(() => {
      this.held.clear()
      return this.source.rewind(positions, error)
    })
  }

  commit(positions: readonly Position[]): Observable<never> {
    return this.source.commit(positions)
  }

  failed(error: unknown): void {
    this.source.failed?.(error)
  }

  trouble(): WeirError | undefined {
    return this.source.trouble?.()
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return this.source.ends()
  }

  private hasToWait({ headers, origin }: StreamRecord): boolean {
    const { topic, partition } = origin
    const { due, wait } = factsOf(headers) ?? { due: 0, wait: 0 }
    const now = this.clock.now()
    if (due <= now) this.behind.delete(topic, partition)
    const left = due - now - (this.behind.get(topic, partition) ?? 0)
    if (left <= 0) return false
    this.source.hold(origin)
    this.held.set(topic, partition, { due, until: this.clock.scheduler.now() + Math.min(left, wait) })
    this.wait()
    return true
  }

  /** Reads on where the time has come. */
  private resume(): void {
    const [now, passed] = [this.clock.now(), this.clock.scheduler.now()]
    for (const [at, { due, until }] of [...this.held.entries()]) {
      const { topic, partition } = at
      if (due > now && until > passed) continue
      if (due > now) this.behind.set(topic, partition, due - now)
      this.held.delete(topic, partition)
      this.source.goOn(at)
    }
    this.wait()
  }

  private wait(): void {
    this.alarm?.unsubscribe()
    if (this.held.size === 0) return
    const first = Math.min(...[...this.held.values()].map(({ until }) => until))
    const ms = Math.min(Math.max(1, first - this.clock.scheduler.now()), longestMs)
    this.alarm = timer(ms, this.clock.scheduler).subscribe(() => this.resume())
  }

  /** They were held by who had them before, or are not read any more. */
  private forget(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.held.delete(topic, partition)
  }
}
