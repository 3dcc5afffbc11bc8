import type { Header, Key } from '../model/index.js'
import {
  type ClientError,
  type ClientSettings,
  call,
  codes,
  disconnect,
  nativeClient,
  type Producer,
} from './client.js'
import { connectClient, onForeignCluster, onRefusal } from './connecting.js'
import { isFatal } from './errors.js'
import { isRefusedRequest, refusalOf } from './faults.js'
import { StuckError } from './stuck.js'
import { Unsent } from './unsent.js'

export interface ProducerOptions {
  /** How long it may last, once all is written, that nothing more is acknowledged, ms. */
  readonly deliveryTimeoutMs: number
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** How long a message may wait for company, ms. */
  readonly lingerMs: number
  /** Each message in a request of its own, so that a refusal names the one message that earned it. */
  readonly singly: boolean
  /** Whether a refusal names its messages where they share requests: all of the request, whichever of them earned it. */
  readonly namesRefused?: boolean
  /** Whether no message of a partition may be written after one that was not: the producer fails then. */
  readonly gapless?: boolean
  /** How large a request may become, bytes; a larger message goes alone. */
  readonly batchBytes?: number
  /** Whether the topics are those that records name: then a refused topic is a refused message. */
  readonly namesTopics?: boolean
}

export interface OutgoingMessage {
  readonly topic: string
  /** Default: by the key. */
  readonly partition?: number
  readonly key: Key
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers: readonly Header[]
}

export interface ProducerEvents<T> {
  /**
   * The broker, or the client's own limit, refused this message: it was not written, and never will be. `isSent` is
   * whether it was the broker.
   */
  refused(subject: T, error: ClientError, isSent: boolean): void
}

/**
 * What the client takes, bytes: more than any topic, so that it is the topic that decides. A request that is larger than
 * its `socket.request.max.bytes` (100 MiB) a broker would not even answer.
 */
const largestMessage = 90_000_000

const connectMs = 5_000
const flushStepMs = 1
/** What takes longer than this is asked about less often, ms: each question holds one of the few threads that clients share. */
const [patientFromMs, flushPauseMs] = [1_000, 20]
/** How long the report may be behind that says why the client gave up, ms. */
const reasonMs = 2_000
/** In the time in which something has to be acknowledged the client tells so often how much it has still to send, within limits, ms. */
const looks = { often: 5, leastMs: 100, mostMs: 60_000 } as const

/**
 * One idempotent producer. Messages of a key are written in the order of `produce`, each once, or not at all after
 * `failure` is set; then the producer is of no more use. `T` is what a refused message is told by.
 *
 * How acknowledgements are awaited was measured (messages of 200 bytes, a local broker):
 *   a report of each message to JavaScript   106 to 162 K/s, 5.8 µs of CPU a message, last report after 0.6 ms
 *   reports of errors only, flush()          124 to 516 K/s, 2.4 µs, but flush looks only every 10 ms
 *   reports of errors only, flush(1) again   the same 2.4 µs, all known after 1.3 ms
 * So errors only are reported, and `flush` asks in steps of 1 ms.
 */
export class KafkaProducer<T> {
  /** The first error that was no refusal of a single message. */
  failure: ClientError | undefined
  protected readonly client: Producer
  /** What the client's queue had no room for, in order. */
  private waiting: [OutgoingMessage, T][] = []
  private unflushed = false
  private readonly unsent = new Unsent()
  private readonly namesRefused: boolean
  /** How many messages have no report yet, where each has one. */
  private unreported = 0
  /** Whether a connection was lost since the client has last asked what there is: it writes on, whoever is there now. */
  private hasLost = false
  /** The last call that the client answers later. */
  private underWay: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly settings: ClientSettings,
    protected readonly options: ProducerOptions,
    private readonly events: ProducerEvents<T>,
  ) {
    this.namesRefused = options.namesRefused ?? options.singly
    this.client = new (nativeClient().Producer)({
      'enable.idempotence': true,
      // A message would be timed from when it was queued, though a quota may hold those before it for minutes; and one that
      // times out is no gap to the client, which writes those behind it. So none does, and `flush` tells.
      'message.timeout.ms': 0,
      'statistics.interval.ms': lookEveryMs(options.deliveryTimeoutMs),
      'linger.ms': options.lingerMs,
      'compression.type': options.compression,
      // As Java's clients do, so that topics written by both are partitioned alike.
      partitioner: 'murmur2_random',
      'enable.gapless.guarantee': options.gapless ?? false,
      'queue.buffering.max.kbytes': 131_072,
      'message.max.bytes': largestMessage,
      'batch.size': options.batchBytes ?? 1_000_000,
      'delivery.report.only.error': !this.namesRefused,
      dr_cb: true,
      ...(options.singly ? { 'batch.num.messages': 1 } : {}),
      ...settings,
    })
    this.client.on('delivery-report', (error, report) => {
      this.unreported--
      if (error) this.undelivered(named(error, report), report.opaque as T | undefined)
    })
    this.client.on('event.error', (error) => {
      this.hasLost = true
      if (isFatal(error)) this.failure ??= error
    })
    this.client.on('event.log', ({ fac }: { fac: string }) => {
      if (fac === 'FAIL') this.hasLost = true
    })
    onForeignCluster(this.client, (error) => {
      this.failure = error
    })
    this.client.on('event.stats', ({ message }: { message: string }) => this.unsent.told(message))
    this.client.on('event.throttle', ({ throttleTime }: { throttleTime: number }) => this.unsent.moves(throttleTime))
    this.client.on('error' as never, (() => undefined) as never)
  }

  /** Errors with what the client says when no broker answers in 5 s, or one refuses the login. */
  async connect(): Promise<void> {
    try {
      await connectClient(this.client, this.settings, connectMs)
    } catch (error) {
      void this.close()
      throw error
    }
    onRefusal(this.client, (refusal) => {
      this.failure ??= refusal
    })
    this.client.setPollInBackground(true)
  }

  /** Queues a message; what becomes of it shows in `flush` or `refused`. */
  produce(message: OutgoingMessage, subject: T): void {
    this.unflushed = true
    if (this.waiting.length > 0) this.waiting.push([message, subject])
    else if (!this.enqueue(message, subject)) this.waiting.push([message, subject])
  }

  /** Resolves when each message is acknowledged or refused. Errors when one has failed. */
  async flush(): Promise<void> {
    if (!this.unflushed) return this.throwFailure()
    this.unsent.moves()
    const began = performance.now()
    for (;;) {
      if (performance.now() - began > patientFromMs) await pause(flushPauseMs)
      await this.reason(() => this.failure !== undefined && isFatal(this.failure))
      this.throwFailure()
      this.enqueueWaiting()
      if ((await this.flushed()) && this.waiting.length === 0) break
      if (this.unsent.restsMs > this.options.deliveryTimeoutMs) this.failure ??= this.stuck()
    }
    while (this.hasLost) await this.ask()
    // A report is handed over by another handle of the event loop than the end of a flush: it may come one turn later, and
    // in a turn no more than a hundred come.
    await turn()
    await turn()
    while (this.namesRefused && this.unreported > 0 && this.failure === undefined) await turn()
    this.throwFailure()
    this.unflushed = false
  }

  /** Gives up what is not acknowledged. Whoever waits for that still is told so, and the client is not ended under a call. */
  async close(): Promise<void> {
    this.waiting = []
    this.failure ??= closedError()
    await this.underWay.catch(() => undefined)
    await disconnect(this.client)
  }

  /** After what was produced has been purged. */
  protected forget(): void {
    this.waiting = []
    this.unflushed = false
  }

  /** Has the client hear which cluster answers. */
  private async ask(): Promise<void> {
    this.hasLost = false
    this.underWay = call(
      (done) => this.client.getMetadata({ allTopics: false, timeout: connectMs }, done as never) as unknown,
    )
    await this.underWay
  }

  private stuck(): ClientError {
    const message = `nothing was acknowledged for ${this.options.deliveryTimeoutMs / 1_000} s`
    return new StuckError(message, this.neededTopics())
  }

  /** What has to be written for a message to be acknowledged. */
  protected neededTopics(): readonly string[] {
    return this.unsent.topics
  }

  private enqueueWaiting(): void {
    let done = 0
    for (const [message, subject] of this.waiting) {
      if (!this.enqueue(message, subject)) break
      done++
    }
    this.waiting = this.waiting.slice(done)
    if (done > 0) this.unsent.moves()
  }

  /** Whether the queue had room, or the message was refused. */
  private enqueue(message: OutgoingMessage, subject: T): boolean {
    const { topic, partition = null, timestamp, headers } = message
    const key = message.key?.length === 0 ? nothing : message.key
    const value = message.value?.length === 0 ? nothing : message.value
    // Only reports free what is passed on with a message, so without a report of each nothing may be passed.
    const opaque = this.namesRefused ? subject : undefined
    try {
      this.client.produce(
        topic,
        partition,
        value,
        key,
        // Of 0 the client makes now: a millisecond later is the closest that there is.
        Math.trunc(timestamp) || 1,
        opaque,
        headers.length > 0 ? (withoutEmptyBuffers(headers) as never) : undefined,
      )
      this.unreported++
      return true
    } catch (error) {
      const refusal = error as ClientError
      if (refusal.code === codes.queueFull) return false
      if (!this.isRefusal(refusal)) throw error
      this.events.refused(subject, refusal, false)
      return true
    }
  }

  protected undelivered(error: ClientError, subject: T | undefined): void {
    // What an aborted transaction takes with it has not failed.
    if (error.code === codes.purgedFromQueue || error.code === codes.purgedInFlight) return
    const isRefused = isRefusedRequest(error, this.options.namesTopics === true)
    if (!this.namesRefused || subject === undefined || !isRefused) return this.fail(error)
    try {
      this.events.refused(subject, error, true)
    } catch (thrown) {
      this.fail(thrown as ClientError)
    }
  }

  /** That the client gave up says less than why. */
  private fail(error: ClientError): void {
    if (this.failure === undefined || isFatal(this.failure)) this.failure = error
  }

  /** Waits for a report that says more than is known, though not for ever. */
  protected async reason(isUnknown: () => boolean): Promise<void> {
    const deadline = performance.now() + reasonMs
    while (isUnknown() && performance.now() < deadline) await pause(5)
  }

  private isRefusal(error: ClientError): boolean {
    return refusalOf(error, this.options.namesTopics === true) !== undefined
  }

  private flushed(): Promise<boolean> {
    const flushed = new Promise<boolean>((resolve, reject) => {
      this.client.flush(flushStepMs, (error) => {
        if (!error) resolve(true)
        else if (error.code === codes.timedOut) resolve(false)
        else reject(error)
      })
    })
    this.underWay = flushed
    return flushed
  }

  private throwFailure(): void {
    if (this.failure !== undefined) throw this.failure as unknown as Error
  }
}

function lookEveryMs(deliveryTimeoutMs: number): number {
  return Math.max(looks.leastMs, Math.min(looks.mostMs, Math.ceil(deliveryTimeoutMs / looks.often)))
}

/**
 * No bytes, as a part of some: the client writes a buffer that is empty in itself as null, and null as a value is a
 * tombstone, as a key it is none.
 */
const nothing = Buffer.alloc(1).subarray(0, 0)

function closedError(): Error & ClientError {
  return Object.assign(new Error('the producer is closed'), { code: codes.wrongState })
}

/** In headers only text may be empty. */
function withoutEmptyBuffers(headers: readonly Header[]): readonly Header[] {
  return headers.some(isEmpty)
    ? headers.map((header) => (isEmpty(header) ? { [Object.keys(header)[0] as string]: '' } : header))
    : headers
}

function isEmpty(header: Header): boolean {
  for (const name in header) return header[name]?.length === 0
  return false
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The error of a report, with the partition that it was about. */
function named(error: ClientError, { topic, partition }: { topic: string; partition: number }): ClientError {
  const { code, message, isFatal = false } = error
  const where = partition < 0 ? `topic '${topic}'` : `topic '${topic}', partition ${partition}`
  return Object.assign(new Error(`${message} (${where})`), { code, isFatal })
}
