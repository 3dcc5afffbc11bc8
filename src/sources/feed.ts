import {
  concat,
  concatMap,
  defer,
  EMPTY,
  finalize,
  from,
  NEVER,
  type Observable,
  of,
  repeat,
  takeUntil,
  timer,
} from 'rxjs'
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
  type Store,
  type StoreCodec,
  StreamRecord,
  type TopicPartition,
} from '../model/index.js'
import { Poller } from './feed/poller.js'

/** Of how many items it is remembered that they came: far more than a feed shows at once. */
const remembered = 100_000

/** Ids are forgotten by segments of so many items. */
const segmentLength = 10_000

const idCodec: StoreCodec<true> = { version: 1, save: (value) => value, load: () => true }

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
  /** The ids of items that were emitted, by segments of the offset. */
  private readonly emitted: Store<true>
  /** The ids of items that came, oldest first, those too that are not emitted yet. */
  private seen = new Set<string>()
  /** Records that are not committed yet, and the offset of the first of them. */
  private log: StreamRecord[] = []
  private base = 0
  private position = 0
  /** The poll that is under way; an epoch may end before it does, and the next one waits on. */
  private polling: Promise<void> | undefined

  constructor(
    private readonly options: Options,
    private readonly context: SourceContext,
  ) {
    const { url, every, timeout } = options
    this.partition = { topic: `feed:${context.stage}`, partition: 0 }
    this.emitted = context.store(context.stage, idCodec)
    this.poller = new Poller({ url, everyMs: every, timeoutMs: timeout, clock: context.clock })
  }

  get assignments$(): Observable<Assigned> {
    const assigned: Assigned = {
      kind: 'assigned',
      partitions: [this.partition],
      total: 1,
      start: (positions) => this.start(positions),
    }
    return concat(of(assigned), NEVER).pipe(finalize(() => this.poller.abort()))
  }

  read(epoch: Epoch): Observable<StreamRecord> {
    return defer(() => from(this.waiting(epoch))).pipe(
      repeat({ delay: () => (epoch.room() > 0 ? this.more() : EMPTY) }),
      takeUntil(epoch.cut$),
    )
  }

  positions(): readonly Position[] {
    return [{ ...this.partition, offset: this.position }]
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      this.position = positions[0]?.offset ?? this.position
      return EMPTY
    })
  }

  commit(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      const offset = positions[0]?.offset ?? this.base
      this.log = this.log.slice(offset - this.base)
      this.base = offset
      return EMPTY
    })
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return defer(() => of([{ ...this.partition, offset: this.position, end: this.end }]))
  }

  private start(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      this.position = positions[0]?.offset ?? 0
      // A task that starts again in this process still has what it did not commit.
      if (this.position < this.base || this.position > this.end) this.log = []
      if (this.log.length === 0) this.resume()
      return EMPTY
    })
  }

  /** Goes on where the checkpoint ends, whoever wrote it. */
  private resume(): void {
    this.base = this.position
    const { topic, partition } = this.partition
    const ids = this.emitted.of(topic, partition)
    const segments = [...ids.segments()].sort((a, b) => a - b)
    this.seen = new Set(segments.flatMap((segment) => [...(ids.segment(segment)?.keys() ?? [])].map(String)))
    // What came and was not emitted is asked for once more.
    this.poller.forget()
  }

  private get end(): number {
    return this.base + this.log.length
  }

  private *waiting(epoch: Epoch): Generator<StreamRecord> {
    while (this.position < this.end && epoch.room() > 0) {
      const record = this.log[this.position - this.base] as StreamRecord
      this.remember(this.position++, record.value)
      yield record
      // Afterwards, for what fills the epoch also ends it.
      epoch.take(1, 0)
    }
  }

  private remember(offset: number, item: unknown): void {
    const { topic, partition } = this.partition
    const ids = this.emitted.of(topic, partition)
    const segment = Math.floor(offset / segmentLength)
    ids.add(segment, this.options.id(item), true)
    if (offset % segmentLength === 0) ids.dropSegment(segment - remembered / segmentLength - 1)
  }

  /** Emits when the document has been asked for again. */
  private more(): Observable<unknown> {
    const { clock } = this.context
    if (this.position >= this.options.count) return NEVER
    if (this.polling !== undefined) return from(this.polling)
    const waitMs = Math.max(0, this.poller.dueAt - clock.now())
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
    const fresh = items.filter((item) => !this.seen.has(id(item)))
    fresh.sort((a, b) => time(a) - time(b))
    for (const item of fresh) {
      if (this.end >= count) return
      if (this.seen.has(id(item))) continue
      this.seen.add(id(item))
      this.log.push(this.record(item))
    }
    for (const oldest of this.seen) {
      if (this.seen.size <= remembered) break
      this.seen.delete(oldest)
    }
  }

  private record(value: unknown): StreamRecord {
    const key = this.options.key?.(value) ?? null
    const timestamp = this.context.clock.now()
    const origin = { ...this.partition, offset: this.end, key, value, timestamp }
    return new StreamRecord(key, value, timestamp, noHeaders, origin)
  }
}
