import { concatMap, defer, EMPTY, finalize, from, NEVER, type Observable, repeat, takeUntil, timer } from 'rxjs'
import { z } from 'zod'
import {
  type Assigned,
  type Configurable,
  type Duration,
  defineSource,
  duration,
  type Epoch,
  fn,
  messageOf,
  noHeaders,
  type PartitionEnd,
  type Position,
  type Source,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  type TopicPartition,
} from '../model/index.js'
import { Poller } from './feed/poller.js'
import { idCodec, RecentIds } from './internal/recent-ids.js'
import { ReplayLog } from './internal/replay-log.js'
import { soleAssignment } from './internal/sole-partition.js'

export interface FeedOptions<V> {
  /** Where the document is. */
  readonly url: string
  /** The items of a document, which is parsed JSON. */
  readonly items: (document: unknown) => Iterable<V>
  /** What an item is known by: one that was there before is not new. */
  readonly id: (item: V) => string
  /** When an item happened, ms since the Unix epoch; the oldest come first. */
  readonly time: (item: V) => number
  /** The key of an item. Default: none. */
  readonly key?: (item: V) => string
  /** How often it is asked for; a server that wants more time gets it. Default `'60s'`. */
  readonly every?: Duration
  /** How long an answer may take. Default `'30s'`. */
  readonly timeout?: Duration
  /** After how many items it idles. Default: never. */
  readonly count?: number
  /** Names the stage in graphs, logs and metrics. Default `feed`. */
  readonly name?: string
}

const schema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe('Where the document is.'),
  items: fn<FeedOptions<unknown>['items']>().describe('The items of a document, which is parsed JSON.'),
  id: fn<FeedOptions<unknown>['id']>().describe('What an item is known by: one that was there before is not new.'),
  time: fn<FeedOptions<unknown>['time']>().describe('When an item happened, ms since the Unix epoch.'),
  key: fn<(item: unknown) => string>().optional().describe('The key of an item; none if not given.'),
  every: duration.default(60_000).describe('How often it is asked for; a server that wants more time gets it.'),
  timeout: duration.default(30_000).describe('How long an answer may take.'),
  count: z.int().min(0).default(Number.MAX_SAFE_INTEGER).describe('After how many items it idles.'),
  name: z
    .string()
    .min(1)
    .optional()
    .describe("Names the stage in graphs, logs and metrics; the source's name if not given."),
})

type Options = z.output<typeof schema>

export const feedDefinition = defineSource({
  name: 'feed',
  summary: 'Polls a JSON document over HTTP, and emits what is new in it.',
  options: schema,
  replayable: true,
  positions: 'store',
  stores: (_options, stage) => [stage],
  detail: ({ url }) => url,
  build: (options, context) => new FeedTask(options, context),
})

/**
 * Polls a JSON document over HTTP and emits the items that were not in it before, the oldest first. It asks politely:
 * not more often than `every`, with the ETag of what it has, and later where the server says `Retry-After`. A server
 * that does not answer is logged and asked again at the next turn.
 *
 * Records have the time of their arrival. An epoch that fails is replayed from memory. The ids of the newest 100,000
 * items are kept with the positions, so that a process that starts again, and has the checkpoints of the one before,
 * emits only what is new since. What a document showed only while no process ran does not come.
 */
export function feed<V>(options: Configurable<FeedOptions<V>>): Source<V> {
  return feedDefinition.declare(options)
}

class FeedTask implements SourceTask {
  private readonly partition: TopicPartition
  private readonly poller: Poller
  private readonly ids: RecentIds
  private readonly log: ReplayLog<StreamRecord>
  /** The poll that is under way; an epoch may end before it does, and the next one waits on. */
  private polling: Promise<void> | undefined

  constructor(
    private readonly options: Options,
    private readonly context: SourceContext,
  ) {
    const { url, every, timeout } = options
    this.partition = { topic: `feed:${context.stage}`, partition: 0 }
    this.log = new ReplayLog(this.partition)
    this.ids = new RecentIds(context.store(context.stage, idCodec), this.partition)
    this.poller = new Poller({ url, everyMs: every, timeoutMs: timeout, clock: context.clock })
  }

  get assignments$(): Observable<Assigned> {
    return soleAssignment(this.partition, (positions) => this.start(positions)).pipe(
      finalize(() => this.poller.abort()),
    )
  }

  read(epoch: Epoch): Observable<StreamRecord> {
    return defer(() => from(this.waiting(epoch))).pipe(
      repeat({ delay: () => (epoch.room() > 0 ? this.more() : EMPTY) }),
      takeUntil(epoch.cut$),
    )
  }

  positions(): readonly Position[] {
    return this.log.positions()
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return this.log.rewind(positions)
  }

  commit(positions: readonly Position[]): Observable<never> {
    return this.log.commit(positions)
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return this.log.ends()
  }

  private start(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      const hasKept = this.log.start(positions)
      if (!hasKept) this.resume()
      return EMPTY
    })
  }

  /** Goes on where the checkpoint ends, whoever wrote it. */
  private resume(): void {
    this.ids.load()
    // What came and was not emitted is asked for once more.
    this.poller.forget()
  }

  private *waiting(epoch: Epoch): Generator<StreamRecord> {
    while (epoch.room() > 0) {
      const record = this.log.next()
      if (record === undefined) return
      this.ids.emit(record.origin.offset, this.options.id(record.value))
      yield record
      // Afterwards, for what fills the epoch also ends it.
      epoch.take(1, 0)
    }
  }

  /** Emits when the document has been asked for again. */
  private more(): Observable<unknown> {
    const { clock } = this.context
    if (this.log.position >= this.options.count) return NEVER
    if (this.polling !== undefined) return from(this.polling)
    const waitMs = Math.max(0, this.poller.dueAt - clock.scheduler.now())
    return timer(waitMs, clock.scheduler).pipe(concatMap(() => this.poll()))
  }

  private poll(): Promise<void> {
    this.polling = this.ask().finally(() => {
      this.polling = undefined
    })
    return this.polling
  }

  private async ask(): Promise<void> {
    try {
      const document = await this.poller.poll()
      if (document !== undefined) this.take([...this.options.items(document.body)])
    } catch (error) {
      const { url } = this.options
      this.context.log.warn({ url }, `polling ${url}: ${messageOf(error)}; asking again in its turn`)
    }
  }

  private take(items: readonly unknown[]): void {
    const { id, time, count } = this.options
    const fresh = items.filter((item) => !this.ids.has(id(item)))
    fresh.sort((a, b) => time(a) - time(b))
    for (const item of fresh) {
      if (this.log.end >= count) return
      if (this.ids.has(id(item))) continue
      this.ids.add(id(item))
      this.log.push(this.record(item))
    }
  }

  private record(value: unknown): StreamRecord {
    const key = this.options.key?.(value) ?? null
    const timestamp = this.context.clock.now()
    const origin = { ...this.partition, offset: this.log.end, key, value, timestamp }
    return new StreamRecord(key, value, timestamp, noHeaders, origin)
  }
}
