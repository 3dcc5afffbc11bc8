import { AsyncSubject, catchError, concat, defer, EMPTY, merge, type Observable, Subject, takeUntil, tap } from 'rxjs'
import type { FlowState, FlowStatus, StageCounts } from './status.js'
import type { FlowTask } from './task.js'

/** What a flow is, when its parts are in different states: the first of these that one of them is in. */
const bySeverity: readonly FlowState[] = [
  'failed',
  'retrying',
  'draining',
  'starting',
  'assigning',
  'running',
  'idle',
  'stopped',
]

/** The tasks of one flow in this process; they run and end together. */
export class RunningFlow {
  private readonly dropped = new Subject<void>()
  private isDropped = false
  private readonly ended = new AsyncSubject<never>()
  /** Completes when it has ended, however. */
  readonly ended$: Observable<never> = this.ended
  hasEnded = false

  constructor(
    readonly name: string,
    private readonly tasks: readonly FlowTask[],
  ) {}

  /** Completes when all have ended. What a failed one has to say it has told in the log and in its status. */
  run(): Observable<never> {
    const running = this.tasks.map((task) =>
      task.run().pipe(
        catchError(() => {
          this.stop()
          return EMPTY
        }),
      ),
    )
    const left$ = defer(() => (this.isDropped ? merge(...this.tasks.map((task) => task.close())) : EMPTY))
    return concat(merge(...running).pipe(takeUntil(this.dropped)), left$).pipe(
      tap({ complete: () => this.end(), unsubscribe: () => this.end() }),
    )
  }

  private end(): void {
    this.hasEnded = true
    this.ended.complete()
  }

  /** Ends it at once, and closes what it had open: what was not committed is replayed. */
  drop(): void {
    this.isDropped = true
    this.dropped.next()
  }

  stop(): void {
    for (const task of this.tasks) task.stop()
  }

  status(): FlowStatus {
    const all = this.tasks.map((task) => task.status())
    const [first, ...rest] = all as [FlowStatus, ...FlowStatus[]]
    return rest.reduce(joinStatus, first)
  }
}

function joinStatus(one: FlowStatus, other: FlowStatus): FlowStatus {
  const isWorse = rank(other) < rank(one) || (other.state === one.state && other.since > one.since)
  const worse = isWorse ? other : one
  return {
    ...one,
    state: worse.state,
    since: worse.since,
    error: worse.error ?? one.error ?? other.error,
    trouble: one.trouble ?? other.trouble,
    failures: Math.max(one.failures, other.failures),
    failingSince: earlier(one.failingSince, other.failingSince),
    lastCommitAt: lastCommit(one, other),
    // Results are final where they leave the last part.
    watermark: other.watermark,
    restoredBytes: one.restoredBytes + other.restoredBytes,
    stages: joinStages(one.stages, other.stages),
    partitions: [...one.partitions, ...other.partitions],
    stores: [...one.stores, ...other.stores],
    metrics: [...(one.metrics ?? []), ...(other.metrics ?? [])],
  }
}

/** What a stage has counted in the part of the flow behind its retry topics is its own as well. */
function joinStages(one: readonly StageCounts[], other: readonly StageCounts[]): StageCounts[] {
  const all = new Map(one.map((counts) => [counts.stage, counts]))
  for (const more of other) {
    const counts = all.get(more.stage)
    all.set(more.stage, counts === undefined ? more : sumOf(counts, more))
  }
  return [...all.values()]
}

function sumOf(one: StageCounts, other: StageCounts): StageCounts {
  const { retried = 0, skipped = 0 } = other
  return {
    ...one,
    in: one.in + other.in,
    out: one.out + other.out,
    rejected: one.rejected + other.rejected,
    retried: (one.retried ?? 0) + retried,
    skipped: (one.skipped ?? 0) + skipped,
  }
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.min(one, other)
}

function rank({ state }: FlowStatus): number {
  return bySeverity.indexOf(state)
}

/** A flow is as far as the part of it that is furthest behind; one that is idle has nothing to commit. */
function lastCommit(one: FlowStatus, other: FlowStatus): number | undefined {
  if (one.state === 'idle') return other.lastCommitAt
  if (other.state === 'idle') return one.lastCommitAt
  if (one.lastCommitAt === undefined || other.lastCommitAt === undefined) return undefined
  return Math.min(one.lastCommitAt, other.lastCommitAt)
}
