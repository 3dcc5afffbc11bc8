import { concat, defer, EMPTY, NEVER, Observable, of, type SchedulerLike } from 'rxjs'
import type {
  AssignmentChange,
  Epoch,
  PartitionEnd,
  Position,
  SourceTask,
  StreamRecord,
  TopicPartition,
} from '../model/index.js'

interface LogEntry {
  /** When it was written, virtual ms. */
  readonly at: number
  readonly record: StreamRecord
}

/** A source over logs in virtual time: records can be read from the moment they were written, again and again. */
export class LogSource implements SourceTask {
  private readonly logs: LogEntry[][] = []
  private readonly next: number[] = []
  /** Partitions of which nothing is read for now, and what has to hear when that is over. */
  private readonly held = new Set<number>()
  private resumed: (() => void) | undefined
  /** The offsets of its group, which outlive a crash as the logs do. */
  private readonly committed: number[] = []

  constructor(
    readonly topic: string,
    private readonly scheduler: SchedulerLike,
    /** How many records an epoch takes at the most; undefined leaves it to the flow. */
    private readonly epochSize: ((epoch: number) => number) | undefined,
  ) {}

  append(at: number, record: StreamRecord): void {
    this.reserve(record.origin.partition)
    this.logs[record.origin.partition]?.push({ at, record })
  }

  /** Makes sure that there is a partition of this number, be it an empty one. */
  reserve(partition: number): void {
    for (let index = this.logs.length; index <= partition; index++) {
      this.logs.push([])
      this.next.push(0)
      this.committed.push(0)
    }
  }

  get partitions(): number {
    return this.logs.length
  }

  /** The offset that the next record of a partition gets. */
  end(partition: number): number {
    return this.logs[partition]?.length ?? 0
  }

  readonly assignments$: Observable<AssignmentChange> = new Observable((subscriber) => {
    const partitions = this.logs.map((_, partition) => ({ topic: this.topic, partition }))
    const assigned: AssignmentChange = {
      kind: 'assigned',
      partitions,
      total: partitions.length,
      start: (positions) => {
        this.committed.forEach((offset, partition) => {
          this.next[partition] = offset
        })
        return this.rewind(positions)
      },
    }
    return concat(of(assigned), NEVER).subscribe(subscriber)
  })

  read(epoch: Epoch): Observable<StreamRecord> {
    return new Observable((subscriber) => {
      let left = this.epochSize?.(epoch.number) ?? Number.POSITIVE_INFINITY
      const emit = () => {
        this.resumed = undefined
        while (left > 0 && epoch.room() > 0 && !subscriber.closed) {
          const entry = this.take()
          if (entry === undefined) {
            epoch.caughtUp?.()
            return wait()
          }
          left--
          subscriber.next(entry.record)
          epoch.take(1, 0)
        }
        subscriber.complete()
      }
      const wait = () => {
        this.resumed = emit
        const at = this.nextAt()
        if (at !== undefined) subscriber.add(this.scheduler.schedule(emit, at - this.scheduler.now()))
      }
      subscriber.add(epoch.cut$.subscribe(() => subscriber.complete()))
      subscriber.add(() => {
        this.resumed = undefined
      })
      emit()
    })
  }

  hold({ partition, offset }: Position): void {
    this.next[partition] = offset
    this.held.add(partition)
  }

  goOn({ partition }: TopicPartition): void {
    if (this.held.delete(partition)) this.resumed?.()
  }

  positions(): readonly Position[] {
    return this.next.map((offset, partition) => ({ topic: this.topic, partition, offset }))
  }

  rewind(positions: readonly Position[]): Observable<never> {
    this.held.clear()
    for (const { topic, partition, offset } of positions) if (topic === this.topic) this.next[partition] = offset
    return EMPTY
  }

  commit(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      for (const { topic, partition, offset } of positions) if (topic === this.topic) this.committed[partition] = offset
      return EMPTY
    })
  }

  ends(): Observable<readonly PartitionEnd[]> {
    const now = this.scheduler.now()
    return of(
      this.logs.map((log, partition) => ({
        topic: this.topic,
        partition,
        offset: this.next[partition] ?? 0,
        end: log.filter(({ at }) => at <= now).length,
      })),
    )
  }

  /** The earliest written of the records that can be read now. */
  private take(): LogEntry | undefined {
    const partition = this.earliest()
    if (partition === undefined) return undefined
    const entry = this.entry(partition) as LogEntry
    if (entry.at > this.scheduler.now()) return undefined
    this.next[partition] = (this.next[partition] ?? 0) + 1
    return entry
  }

  private nextAt(): number | undefined {
    const partition = this.earliest()
    return partition === undefined ? undefined : this.entry(partition)?.at
  }

  private earliest(): number | undefined {
    let best: number | undefined
    for (const partition of this.logs.keys()) {
      if (this.held.has(partition)) continue
      const entry = this.entry(partition)
      if (entry === undefined) continue
      if (best === undefined || entry.at < (this.entry(best) as LogEntry).at) best = partition
    }
    return best
  }

  private entry(partition: number): LogEntry | undefined {
    return this.logs[partition]?.[this.next[partition] ?? 0]
  }
}
