import { concat, defer, EMPTY, ignoreElements, merge, type Observable, tap } from 'rxjs'
import type { ChannelWriter, RetryPolicy, StreamRecord } from '../../model/index.js'
import { errorOf, type Failed, FailedRecords, type Retrying, toldOf } from './failed.js'
import type { RetryContext, RetryJoint } from './joint.js'
import { messageOf } from './message.js'
import { type Kept, letters, recordOf, WaitingRecords } from './waiting-records.js'

interface Writing {
  readonly writer: ChannelWriter
  partitions: number
}

/** Sends what failed to retry topics: what an epoch has failed is committed with it, and written with the next one. */
export class Retries implements Retrying {
  private readonly topics = new Map<string, Writing>()
  private readonly failed = new FailedRecords()
  private readonly waiting: WaitingRecords
  /** After an error the writers have to be opened anew. */
  private isOpen = false

  constructor(
    private readonly joint: RetryJoint,
    private readonly context: RetryContext,
  ) {
    const { flow, stage, log } = context
    this.waiting = new WaitingRecords(context, joint.store)
    const connection = context.connection(joint.connectionKind)
    for (const { topic } of joint.tiers) {
      const request = { topic, group: topic, like: joint.like, instance: undefined, place: { flow, stage }, log }
      this.topics.set(topic, { writer: joint.channel.writer(connection, request), partitions: 1 })
    }
  }

  /** Completes when the topics are there. */
  open(): Observable<never> {
    const opened$ = [...this.topics.values()].map((to) =>
      to.writer.open().pipe(
        tap((partitions) => {
          to.partitions = partitions
        }),
        ignoreElements(),
      ),
    )
    return concat(
      ...opened$,
      run(() => {
        this.isOpen = true
      }),
    )
  }

  close(): Observable<never> {
    return merge(...[...this.topics.values()].map(({ writer }) => writer.close()))
  }

  take(policy: RetryPolicy, failed: Failed): void {
    this.failed.take(policy, failed)
  }

  watch(): (record: StreamRecord) => void {
    return this.failed.watch()
  }

  /** All that waits by now was committed with an epoch before. */
  flush(): Observable<never> {
    return defer(() => {
      const kept = [...this.waiting.all()]
      const written$ = concat(
        this.isOpen ? EMPTY : this.open(),
        defer(() => this.write(kept)),
        run(() => {
          this.isOpen = true
          for (const one of kept) this.waiting.delete(one)
        }),
      )
      return concat(
        kept.length === 0 ? EMPTY : written$,
        run(() => this.keep()),
      )
    })
  }

  over(): void {
    this.failed.clear()
  }

  private write(kept: readonly Kept[]): Observable<never> {
    this.isOpen = false
    const first = this.topics.values().next().value as Writing
    for (const one of kept) {
      const { part, waiting } = one
      const { to, facts } = waiting
      if (to === letters) {
        const { stage, attempts } = facts
        this.context.rejections.letter({ record: recordOf(one), error: errorOf(facts), stage, attempts })
        continue
      }
      // One of a tier that there is no more waits in another for as long as it has to.
      const { writer, partitions } = this.topics.get(to) ?? first
      writer.write({ ...messageOf(waiting, facts), partition: part.partition.partition % partitions })
    }
    return concat(...[...this.topics.values()].map(({ writer }) => writer.flush()))
  }

  private keep(): void {
    for (const failed of this.failed.decided()) {
      const { record, tierMs } = failed
      const to = this.joint.tiers.find(({ ms }) => ms === tierMs)?.topic ?? letters
      this.waiting.add(record, { to, ...toldOf(failed, this.context) })
    }
  }
}

/** Does something when subscribed, and completes. */
function run(effect: () => void): Observable<never> {
  return defer(() => {
    effect()
    return EMPTY
  })
}
