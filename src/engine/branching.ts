import { defer, merge, mergeMap, Observable, Subject, type Subscriber, take, tap } from 'rxjs'
import { asWeirError, operate, type StreamRecord, WeirError } from '../model/index.js'
import type { BranchNode } from './topology.js'

type Records = Observable<StreamRecord>

/**
 * Hands each record to the first branch that takes it, as Kafka Streams does; what no branch takes goes nowhere. Routing
 * starts when every branch has subscribed, however late its sink does that, and the result completes when each of them
 * has. Errors: WEIR_STAGE_FAILED, when a branch ends before its records do.
 */
export function branching(
  branches: readonly { node: BranchNode; run: (records$: Records) => Observable<unknown> }[],
): (records$: Records) => Observable<unknown> {
  return (records$) =>
    defer(() => {
      const ready = new Subject<void>()
      let awaited = branches.length
      const lanes = branches.map(({ node }) => {
        return new Lane(node, () => {
          if (--awaited === 0) ready.next()
        })
      })
      const routed$ = ready.pipe(
        take(1),
        mergeMap(() => records$.pipe(routing(lanes)), 1),
      )
      const written = branches.map(({ run }, index) => {
        const lane = lanes[index] as Lane
        return run(lane.records$).pipe(tap({ complete: () => lane.check() }))
      })
      return merge(routed$, ...written)
    })
}

function routing(lanes: readonly Lane[]) {
  return operate<StreamRecord, never>(() => ({
    next(record) {
      for (const lane of lanes) if (lane.takes(record)) return lane.next(record)
    },
    complete() {
      for (const lane of lanes) lane.complete()
    },
  }))
}

/** The way into one branch: what it is given has a subscriber, or the epoch fails. */
class Lane {
  readonly records$: Records
  private subscriber: Subscriber<StreamRecord> | undefined
  private isOver = false

  constructor(
    private readonly node: BranchNode,
    subscribed: () => void,
  ) {
    this.records$ = new Observable((subscriber) => {
      if (this.subscriber !== undefined) throw this.error('is subscribed twice')
      this.subscriber = subscriber
      subscribed()
    })
  }

  takes(record: StreamRecord): boolean {
    const { when, name } = this.node
    try {
      return when === undefined || when(record.value, record)
    } catch (error) {
      const { topic, partition, offset } = record.origin
      throw asWeirError(error, 'WEIR_STAGE_FAILED', { stage: name, partition: { topic, partition }, offset })
    }
  }

  next(record: StreamRecord): void {
    this.listening().next(record)
  }

  complete(): void {
    const subscriber = this.listening()
    this.isOver = true
    subscriber.complete()
  }

  /** Throws when it was not given all its records: called when the branch has completed. */
  check(): void {
    if (!this.isOver) throw this.error('ended before its records did')
  }

  /** Routing starts when there is one; it may have gone since. */
  private listening(): Subscriber<StreamRecord> {
    if (this.subscriber === undefined || this.subscriber.closed) throw this.error('ended before its records did')
    return this.subscriber
  }

  private error(what: string): WeirError {
    return new WeirError('WEIR_STAGE_FAILED', `branch '${this.node.name}' ${what}`, {
      stage: this.node.name,
      hint: 'Its stages have to read it once, and to its end: `take` and the like would lose what comes after.',
    })
  }
}
