import { hash } from 'node:crypto'
import { catchError, concat, defer, EMPTY, merge, Observable, type Subscriber, takeUntil, throwError } from 'rxjs'
import {
  type Assigned,
  type Epoch,
  type Header,
  noHeaders,
  type PartitionEnd,
  type Position,
  type SourceContext,
  type SourceTask,
  type Store,
  type StoreCodec,
  StreamRecord,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import { ReplayLog } from '../internal/replay-log.js'
import { soleAssignment } from '../internal/sole-partition.js'
import type { Ask } from './client.js'
import type { IdAlone, ServerEvent } from './decoder.js'
import { EventStream, isUsable } from './event-stream.js'
import { blockCodec, RecentEvents } from './recent-events.js'

export interface SseTaskOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly identity?: ((event: Omit<ServerEvent, 'isTooLong'>) => string | undefined) | undefined
  readonly idleTimeout: number
  readonly reconnect: number
  readonly maxEventBytes: number
}

/** An event that came, as it is kept until it is committed. */
interface Arrived {
  /** Undefined where nothing came but an id. */
  readonly record: StreamRecord<string> | undefined
  /** What a repeat of it is known by; undefined when it can't be known. */
  readonly identity: string | undefined
  /** The stream goes on after this. */
  readonly lastId: string
  readonly isTooLong: boolean
}

const lastIdCodec: StoreCodec<string> = { version: 1, save: (value) => value, load: (saved) => saved as string }

/** One stream as a source: its position is the number of events, and the id of the last one goes with it. */
export class SseTask implements SourceTask<string> {
  private readonly partition: TopicPartition
  private readonly stream: EventStream
  private readonly log: ReplayLog<Arrived>
  private readonly recent: RecentEvents
  private readonly last: Store<string>
  /** The epoch that waits for events. */
  private reader: (() => void) | undefined
  /** The connection that waits for a reader. */
  private connection: (() => void) | undefined
  /** The end of the stream, which waits for all that came before it. */
  private ending: (() => void) | undefined

  constructor(
    private readonly options: SseTaskOptions,
    private readonly context: SourceContext,
    ask: Ask,
  ) {
    const { url, idleTimeout, reconnect, maxEventBytes, headers } = options
    const { stage, clock, log } = context
    this.partition = { topic: `sse:${stage}`, partition: 0 }
    this.log = new ReplayLog(this.partition)
    this.recent = new RecentEvents(context.store(stage, blockCodec), this.partition)
    this.last = context.store(`${stage}.last-id`, lastIdCodec)
    this.stream = new EventStream({
      url,
      ask,
      headers,
      idleTimeoutMs: idleTimeout,
      reconnectMs: reconnect,
      maxEventBytes,
      clock,
      log,
      wanted$: this.wanted$,
      arrived: (events) => this.arrived(events),
    })
  }

  get assignments$(): Observable<Assigned> {
    return merge(
      soleAssignment(this.partition, (positions) => this.start(positions)),
      // Who has said that the stream is over may give nothing of it a second time.
      this.stream.run().pipe(
        catchError((error: unknown) =>
          concat(
            this.settled$,
            throwError(() => error),
          ),
        ),
      ),
    )
  }

  read(epoch: Epoch): Observable<StreamRecord<string>> {
    return new Observable<StreamRecord<string>>((subscriber) => {
      this.recent.begin()
      const pump = () => {
        while (!subscriber.closed && epoch.room() > 0) {
          const event = this.log.next()
          if (event === undefined) return this.wait(pump)
          this.emit(event, epoch, subscriber)
        }
        subscriber.complete()
      }
      subscriber.add(() => {
        this.reader = undefined
      })
      pump()
    }).pipe(takeUntil(epoch.cut$))
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

  /** Of a stream that can't be reached nobody knows how far it is. */
  ends(): Observable<readonly PartitionEnd[]> {
    return this.stream.trouble === undefined ? this.log.ends() : EMPTY
  }

  trouble(): WeirError | undefined {
    return this.stream.trouble
  }

  private start(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      if (this.log.start(positions)) return EMPTY
      this.recent.load()
      this.stream.lastId = this.stored.get(0, 'last')?.value ?? ''
      return EMPTY
    })
  }

  /** Completes when an epoch waits for events. */
  private readonly wanted$ = new Observable<never>((subscriber) => {
    if (this.reader !== undefined) return subscriber.complete()
    this.connection = () => subscriber.complete()
    return () => {
      this.connection = undefined
    }
  })

  /** Completes when an epoch waits for events, and all that came is committed. */
  private readonly settled$ = new Observable<never>((subscriber) => {
    if (this.isSettled) return subscriber.complete()
    this.ending = () => subscriber.complete()
    return () => {
      this.ending = undefined
    }
  })

  private get isSettled(): boolean {
    return this.reader !== undefined && this.log.isEmpty
  }

  private wait(reader: () => void): void {
    this.reader = reader
    this.connection?.()
    if (this.isSettled) this.ending?.()
  }

  private arrived(events: readonly (ServerEvent | IdAlone)[]): void {
    for (const event of events) {
      if (event.data === undefined) this.moveTo(event.id)
      else this.arrive(event)
    }
    if (this.log.position === this.log.end) return
    const { reader } = this
    this.reader = undefined
    reader?.()
  }

  private moveTo(id: string): void {
    if (!isUsable(id)) return
    this.stream.lastId = id
    this.log.push({ record: undefined, identity: undefined, lastId: id, isTooLong: false })
  }

  private arrive(event: ServerEvent): void {
    const { id, data, isTooLong } = event
    const identity = this.identityOf(event)
    if (identity !== undefined) {
      if (this.recent.has(identity)) return
      this.recent.add(identity)
    }
    // Not before: a repeat lies behind what came already.
    if (id !== undefined && isUsable(id)) this.stream.lastId = id
    const timestamp = this.context.clock.now()
    const { topic, partition } = this.partition
    const origin = { topic, partition, offset: this.log.end, key: null, value: data, timestamp }
    const record = new StreamRecord(null, data, timestamp, headersOf(event), origin)
    this.log.push({ record, identity, lastId: this.stream.lastId, isTooLong })
  }

  private emit(event: Arrived, epoch: Epoch, subscriber: Subscriber<StreamRecord<string>>): void {
    const { record, identity, lastId } = event
    if (record === undefined) return this.keep(lastId)
    if (identity !== undefined) this.recent.emit(record.origin.offset, identity)
    this.keep(lastId)
    if (event.isTooLong) this.reject(record, subscriber)
    else subscriber.next(record)
    // Afterwards, for what fills the epoch also ends it.
    epoch.take(1, record.value.length)
  }

  private reject(record: StreamRecord<string>, subscriber: Subscriber<unknown>): void {
    const { url, maxEventBytes } = this.options
    const message = `reading ${url}: an event has more than ${maxEventBytes} bytes`
    const hint = 'If it should have come, raise maxEventBytes; its beginning is kept.'
    try {
      this.context.reject(record, new WeirError('WEIR_RECORD_TOO_LARGE', message, { hint }))
    } catch (error) {
      subscriber.error(error)
    }
  }

  private keep(lastId: string): void {
    const entry = this.stored.get(0, 'last')
    if (entry === undefined) {
      this.stored.add(0, 'last', lastId)
    } else if (entry.value !== lastId) {
      entry.value = lastId
      this.stored.touch(entry)
    }
  }

  private get stored() {
    return this.last.of(this.partition.topic, this.partition.partition)
  }

  /** Events of one id can differ: those of Wikimedia have the time in ms for it. */
  private identityOf(event: ServerEvent): string | undefined {
    const identity = this.options.identity?.(event) ?? (event.id ? `${event.id}\n${event.data}` : undefined)
    return identity === undefined ? undefined : hash('sha1', identity, 'binary')
  }
}

function headersOf({ type }: ServerEvent): readonly Header[] {
  return type === undefined || type === 'message' ? noHeaders : [{ 'sse.event': type }]
}
