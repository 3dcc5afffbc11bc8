import { hash } from 'node:crypto'
import { inspect } from 'node:util'
import { concatMap, defer, EMPTY, finalize, from, NEVER, type Observable, repeat, takeUntil, timer } from 'rxjs'
import { z } from 'zod'
import { causeOf } from '../model/cause-of.js'
import {
  type Assigned,
  asWeirError,
  type Configurable,
  type Duration,
  defineSource,
  type Epoch,
  fn,
  type Key,
  nestsBeyond,
  noHeaders,
  type PartitionEnd,
  type Position,
  type RejectionPolicy,
  recordKeyOf,
  rejectionPolicy,
  type Source,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  someTime,
  storeKeyOf,
  type TopicPartition,
  usualDepth,
} from '../model/index.js'
import { type Identity, KnownItems, knownCodec } from './feed/known-items.js'
import { Poller } from './feed/poller.js'
import { httpAddress } from './internal/http-address.js'
import { ReplayLog } from './internal/replay-log.js'
import { soleAssignment } from './internal/sole-partition.js'

export interface FeedOptions<V, W = V> {
  /** Where the document is. */
  readonly url: string
  /** The items of a document, which is parsed JSON. What it throws leaves the document for its next turn. */
  readonly items: (document: unknown) => Iterable<V>
  /**
   * What an item is known by: one that was there before is not new. Where an item has several ids, or changes them, all
   * of them: any that was there before will do.
   */
  readonly id: (item: V) => string | readonly string[]
  /** When an item happened, ms since the Unix epoch; the oldest come first. */
  readonly time: (item: V) => number
  /** When an item was last changed, ms: one that was changed since comes again. Default: an item comes once. */
  readonly updated?: (item: V) => number
  /** What is emitted of an item, given the id by which it was known first. Default: the item. */
  readonly value?: (item: V, id: string) => W
  /** The key of what is emitted. Default: none. */
  readonly key?: (value: W) => string
  /** What becomes of an item of which one of these functions throws. Default `skip`: counted and logged. */
  readonly onError?: RejectionPolicy
  /** How often it is asked for; a server that wants more time gets it. Default `'60s'`. */
  readonly every?: Duration
  /** How long an answer may take. Default `'30s'`. */
  readonly timeout?: Duration
  /** How large the document may be, unpacked, in bytes; a larger one counts as no answer. Default 64 MiB. */
  readonly maxBytes?: number
  /** After how many items it idles. Default: never. */
  readonly count?: number
  /** Names the stage in graphs, logs and metrics. Default `feed`. */
  readonly name?: string
}

const schema = z.strictObject({
  url: httpAddress.describe('Where the document is; a login in it becomes a header.'),
  items: fn<FeedOptions<unknown>['items']>().describe('The items of a document, which is parsed JSON.'),
  id: fn<FeedOptions<unknown>['id']>().describe(
    'What an item is known by, one id or several: one that was there before is not new.',
  ),
  time: fn<FeedOptions<unknown>['time']>().describe('When an item happened, ms since the Unix epoch.'),
  updated: fn<(item: unknown) => number>()
    .optional()
    .describe('When an item was last changed, ms: one that was changed since comes again.'),
  value: fn<(item: unknown, id: string) => unknown>()
    .optional()
    .describe('What is emitted of an item, given the id by which it was known first; the item if not given.'),
  key: fn<(value: unknown) => string>().optional().describe('The key of what is emitted; none if not given.'),
  onError: rejectionPolicy.optional().describe('What becomes of an item of which a function throws.'),
  every: someTime.default(60_000).describe('How often it is asked for; a server that wants more time gets it.'),
  timeout: someTime.default(30_000).describe('How long an answer may take.'),
  maxBytes: z
    .int()
    .min(1)
    .default(64 * 1024 * 1024)
    .describe('How large the document may be, unpacked, in bytes; a larger one counts as no answer.'),
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
  onError: 'skip',
  stores: (_options, stage) => [stage],
  detail: ({ url }) => url,
  build: (options, context) => new FeedTask(options, context),
})

/**
 * Polls a JSON document over HTTP and emits the items that were not in it before, the oldest first. It asks politely:
 * not more often than `every`, with the ETag of what it has, and later where the server says `Retry-After`. A server
 * that does not answer is logged and asked again at the next turn. An item that can't be read, or nests deeper than 100, is
 * rejected by itself, once. Integers that a number can't hold come as bigints.
 *
 * Items may change: with `updated` an item that was changed comes again, and it is the same item as long as one of its ids
 * is.
 *
 * Records have the time of their arrival. An epoch that fails is replayed from memory. The ids of the newest 100,000
 * items are kept with the positions, so that a process that starts again, and has the checkpoints of the one before,
 * emits only what is new since. What a document showed only while no process ran does not come.
 */
export function feed<V, W = V>(options: Configurable<FeedOptions<V, W>>): Source<W> {
  return feedDefinition.declare(options)
}

/** An item that came, until it is committed. */
interface Arrived {
  readonly record: StreamRecord
  readonly identity: Identity
  /** The id by which it was known first. */
  readonly first: string
  /** Why it can't be emitted. */
  readonly fault: unknown
}

/** All of a value as text, whatever it is; what lies deeper tells no two items apart. */
const everything = { depth: usualDepth, maxArrayLength: null, maxStringLength: null, breakLength: Infinity } as const

/** What an item tells of itself. */
interface Told {
  readonly item: unknown
  readonly time: number
  readonly identity: Identity
  readonly fault: unknown
}

class FeedTask implements SourceTask {
  private readonly partition: TopicPartition
  private readonly poller: Poller
  private readonly known: KnownItems
  private readonly log: ReplayLog<Arrived>
  /** The poll that is under way; an epoch may end before it does, and the next one waits on. */
  private polling: Promise<void> | undefined

  constructor(
    private readonly options: Options,
    private readonly context: SourceContext,
  ) {
    const { url, every, timeout, maxBytes } = options
    this.partition = { topic: `feed:${context.stage}`, partition: 0 }
    this.log = new ReplayLog(this.partition)
    this.known = new KnownItems(context.store(context.stage, knownCodec), this.partition)
    this.poller = new Poller({ url, everyMs: every, timeoutMs: timeout, maxBytes, clock: context.clock })
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
    return defer(() => {
      for (const { identity, first } of this.log.committing(positions)) this.known.settle(identity, first)
      return this.log.commit(positions)
    })
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
    this.known.load()
    // What came and was not emitted is asked for once more.
    this.poller.forget()
  }

  private *waiting(epoch: Epoch): Generator<StreamRecord> {
    while (epoch.room() > 0) {
      const item = this.log.next()
      if (item === undefined) return
      const { record, identity, first, fault } = item
      this.known.emit(record.origin.offset, identity, first)
      if (fault === undefined) yield record
      else this.context.reject(record, asWeirError(fault, 'WEIR_RECORD_MALFORMED'))
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
    const { url } = this.options
    try {
      const document = await this.poller.poll()
      if (document !== undefined) this.take([...this.options.items(document.body)])
    } catch (error) {
      // What could not be read is no document to have: the next answer has to be all of it.
      this.poller.forget()
      this.context.log.warn({ url }, `polling ${url}: ${causeOf(error)}; asking again in its turn`)
    }
  }

  private take(items: readonly unknown[]): void {
    const told = items.map((item) => this.tell(item)).sort((a, b) => a.time - b.time)
    for (const { item, identity, fault } of told) {
      if (this.log.end >= this.options.count) return
      const first = this.known.takeNew(identity)
      if (first !== undefined) this.log.push({ identity, first, ...this.made(item, first, fault) })
    }
  }

  /** What an item tells of itself. One that can't is known by all that it is, and comes first. */
  private tell(item: unknown): Told {
    const { id, time, updated } = this.options
    try {
      if (nestsBeyond(item, usualDepth)) throw new TypeError(`it nests deeper than ${usualDepth}`)
      const identity = { ids: idsOf(id(item)), updated: updated && timeOf('updated', updated(item)) }
      return { item, time: timeOf('time', time(item)), identity, fault: undefined }
    } catch (fault) {
      const text = hash('sha1', inspect(item, everything), 'base64')
      return { item, time: Number.NEGATIVE_INFINITY, identity: { ids: [text], updated: undefined }, fault }
    }
  }

  private made(item: unknown, first: string, fault: unknown): Pick<Arrived, 'record' | 'fault'> {
    if (fault !== undefined) return { record: this.record(item, null), fault }
    const { value: valueOf, key } = this.options
    try {
      const value = valueOf === undefined ? item : valueOf(item, first)
      return { record: this.record(value, recordKeyOf(storeKeyOf(key?.(value)))), fault: undefined }
    } catch (thrown) {
      return { record: this.record(item, null), fault: thrown }
    }
  }

  private record(value: unknown, key: Key): StreamRecord {
    const timestamp = this.context.clock.now()
    const origin = { ...this.partition, offset: this.log.end, key, value, timestamp }
    return new StreamRecord(key, value, timestamp, noHeaders, origin)
  }
}

function idsOf(told: unknown): readonly string[] {
  const ids: readonly unknown[] = Array.isArray(told) ? told : [told]
  if (ids.length > 0 && ids.every((id) => typeof id === 'string' && id !== '')) return ids as readonly string[]
  throw new TypeError(`id: expected text, or several, and got ${JSON.stringify(told) ?? 'undefined'}`)
}

function timeOf(what: string, told: unknown): number {
  if (typeof told === 'number' && Number.isFinite(told)) return told
  throw new TypeError(`${what}: expected a time in ms, and got ${String(told)}`)
}
