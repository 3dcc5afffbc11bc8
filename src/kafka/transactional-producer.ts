import type { Position } from '../model/index.js'
import { type ClientError, type ClientSettings, call, codes, type KafkaConsumer } from './client.js'
import { KafkaProducer } from './producer.js'
import { Search } from './search.js'
import { settled } from './unsettled.js'

/** Told of a message that was refused for itself; `isSent` is whether a broker did, and with it the transaction. */
export type Refused = (error: ClientError, isSent: boolean) => void

/** How long one step of the protocol may take, ms; a thread of the client's few is held meanwhile. */
const stepMs = 10_000
const deliveryTimeoutMs = 30_000
/**
 * Nobody sees a message before the commit, and a flush does not linger. In epochs of 17,000 messages each took 2.0 µs to
 * queue this way, and 3.0 µs in all; without lingering 3.1 µs and 3.8 µs.
 */
const lingerMs = 20
/**
 * After this long the brokers abort what nobody has ended, ms. It bounds how long an epoch may last, which a quota makes long.
 * Whoever takes over ends what was left open before that; only where nobody does, readers wait so long.
 */
const transactionTimeoutMs = 300_000
/** How long an answer may take, ms: the client would wait as long as a transaction may last. */
const socketTimeoutMs = 60_000

/**
 * A producer with a transactional id. The client speaks the protocol in which the outcome of a failed call can be
 * unknown, so after any error `failure` is set and this producer is of no more use: one that is made anew under the same
 * id finds out, and aborts what was open.
 */
export class TransactionalProducer extends KafkaProducer<Refused> {
  private isClosing = false
  private begunAt = Number.POSITIVE_INFINITY
  private readonly timeoutMs: number
  private stepping: Promise<unknown> = Promise.resolve()

  constructor(settings: ClientSettings, id: string, { singly, batchBytes } = new Search()) {
    super(
      {
        'transactional.id': id,
        'transaction.timeout.ms': transactionTimeoutMs,
        'socket.timeout.ms': socketTimeoutMs,
        ...settings,
      },
      { deliveryTimeoutMs, compression: 'lz4', lingerMs, singly, batchBytes, namesTopics: true },
      { refused: (refused, error, isSent) => refused(error, isSent) },
    )
    this.timeoutMs = Number(settings['transaction.timeout.ms'] ?? transactionTimeoutMs)
  }

  /** Whether its transaction has taken so long that the brokers have ended it, or soon do. */
  get isOverdue(): boolean {
    return performance.now() - this.begunAt >= this.timeoutMs
  }

  /** Before anything else the brokers write down what belongs to a transaction. */
  protected override neededTopics(): readonly string[] {
    return ['__transaction_state', ...super.neededTopics()]
  }

  /** What a broker has refused a part of can only be aborted. */
  protected override undelivered(error: ClientError, refused: Refused | undefined): void {
    super.undelivered(error, refused)
    if (error.code !== codes.purgedFromQueue && error.code !== codes.purgedInFlight) this.failure ??= error
  }

  /** Connects, fences off every other producer of this id, and waits until its open transaction is over. */
  async init(): Promise<void> {
    await this.connect()
    // Nothing is begun yet, so it may be asked for again.
    const ask = () => call((done) => this.client.initTransactions(stepMs, (error) => done(error, undefined)))
    await this.step((done) => {
      settled(ask, () => this.isClosing).then(() => done(null), done)
    })
  }

  begin(): Promise<void> {
    this.begunAt = performance.now()
    return this.step((done) => this.client.beginTransaction(done))
  }

  /** Has these offsets of the group of a consumer committed with the transaction. */
  async takeOffsets(offsets: readonly Position[], consumer: KafkaConsumer): Promise<void> {
    await this.flush()
    await this.step((done) => this.client.sendOffsetsToTransaction([...offsets] as never, consumer, stepMs, done))
  }

  async commit(): Promise<void> {
    await this.flush()
    await this.step((done) => this.client.commitTransaction(stepMs, done))
  }

  /** Forgets what was written, sent or not. */
  async abort(): Promise<void> {
    await this.step((done) => this.client.abortTransaction(stepMs, done))
    this.forget()
  }

  /** Why a transaction can only be aborted: the client knows that before its reports say of which message. */
  async throwReason(error: ClientError): Promise<never> {
    const isVague = error.code === codes.wrongState || error.code === codes.inconsistent
    await this.reason(() => isVague && this.failure === undefined)
    this.failure ??= error
    throw this.failure as unknown as Error
  }

  /** The client ends the process where a step of the protocol meets its end: one that is under way comes first. */
  override async close(): Promise<void> {
    this.isClosing = true
    await this.stepping
    await super.close()
  }

  private async step(start: (done: (error: ClientError | null | undefined) => void) => void): Promise<void> {
    if (this.failure !== undefined) throw this.failure as unknown as Error
    if (this.isClosing) throw closedError()
    try {
      const step = call<unknown>((done) => start((error) => done(error, undefined)))
      this.stepping = Promise.allSettled([this.stepping, step])
      await step
    } catch (error) {
      await this.throwReason(error as ClientError)
    }
  }
}

function closedError(): Error {
  return Object.assign(new Error('the producer is closed'), { code: codes.wrongState })
}
