import { defer, EMPTY, from, ignoreElements, type Observable } from 'rxjs'
import { type ErrorPlace, WeirError } from '../model/index.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { isFatal, kafkaError, kafkaRefusal, searchError } from './errors.js'
import { isRefusedRequest } from './faults.js'
import { KafkaProducer, type OutgoingMessage, type ProducerOptions } from './producer.js'
import { Search } from './search.js'
import { explained } from './stuck.js'

export interface WriterOptions<T> extends Omit<ProducerOptions, 'singly' | 'batchBytes'> {
  /** `writing topic 'orders' of flow 'billing'`, for error texts. */
  readonly doing: string
  readonly place: ErrorPlace
  /**
   * Whether the messages of an epoch are kept until all are acknowledged, so that a refused one is found without a replay:
   * for what can't be read again.
   */
  readonly keeps?: boolean
  /** Takes care of a message that the broker refused for itself; throws when that ends the epoch. */
  refused(subject: T, error: WeirError): void
}

type Kept<T> = [OutgoingMessage, T][]

/**
 * Writes epochs of messages: a failed producer is thrown away, and the next epoch begins with a new one, so that what
 * it had still queued can't mix with the replay.
 */
export class KafkaWriter<T> {
  private producer: KafkaProducer<T> | undefined
  private readonly search = new Search()
  private kept: Kept<T> = []
  /**
   * Nobody may wait for it any more: an epoch is cut off when its partitions are lost. It throws the producer away all the
   * same where that fails, and with it what a next epoch had written by then.
   */
  private flushing: Promise<void> | undefined
  /** Whether something was written meanwhile: it is kept, and nothing else. */
  private isWithheld = false
  /** The connection is closed, be it that nobody has closed this: a flow may have been cut off. */
  private isOver = false

  constructor(
    private readonly connection: KafkaConnection,
    private readonly options: WriterOptions<T>,
  ) {
    connection.owns(() => {
      this.isOver = true
      return this.discard()
    })
  }

  /** Completes when there is a connected producer. Errors: WEIR_SINK_UNREACHABLE. */
  readonly ready$: Observable<never> = defer(() => {
    this.forget()
    return this.isReady && this.flushing === undefined ? EMPTY : from(this.prepare()).pipe(ignoreElements())
  })

  /** Queues a message. Errors: WEIR_SINK_FAILED, because of an earlier one. */
  write(message: OutgoingMessage, subject: T): void {
    const { producer, options } = this
    if (options.keeps === true) {
      this.kept.push([message, subject])
      this.isWithheld ||= this.flushing !== undefined
      // Whatever is wrong with the producer, `flush` tells it, or makes another.
      if (!this.isReady || this.isWithheld) return
    }
    if (producer === undefined) throw new Error('a writer was used before it was ready')
    try {
      if (producer.failure !== undefined) throw producer.failure as unknown as Error
      producer.produce(message, subject)
    } catch (error) {
      // Why the client gave up its reports tell later: `flush` waits for them.
      if (!isFatal(error as ClientError)) throw this.failed(error as ClientError)
    }
  }

  /** Completes when all that was written is acknowledged. Errors: WEIR_SINK_FAILED, WEIR_SINK_UNREACHABLE. */
  readonly flush$: Observable<never> = defer(() => {
    const { kept, isWithheld } = this
    this.isWithheld = false
    const flushing = this.settled()
      .then(() => this.flush(kept, isWithheld))
      .finally(() => {
        if (this.flushing === flushing) this.flushing = undefined
      })
    this.flushing = flushing
    return from(flushing).pipe(ignoreElements())
  })

  /** What is kept belongs to an epoch that has failed. */
  forget(): void {
    this.kept = []
    this.isWithheld = false
  }

  close(): Observable<never> {
    return defer(() => from(this.discard()).pipe(ignoreElements()))
  }

  private async prepare(): Promise<void> {
    await this.settled()
    if (!this.isReady) await this.renew()
  }

  /** Resolves when no flush is under way, however it ended. */
  private async settled(): Promise<void> {
    await this.flushing?.catch(() => undefined)
  }

  private async flush(kept: Kept<T>, isWithheld: boolean): Promise<void> {
    try {
      if ((this.producer === undefined || isWithheld) && kept.length > 0) await this.writeAgain(kept)
      await this.acknowledged(kept)
    } catch (error) {
      await this.discard()
      throw this.failed((await explained(error, this.connection.topics)) as ClientError)
    } finally {
      if (this.kept === kept) this.kept = []
    }
    if (this.search.end()) await this.discard()
  }

  /** Errors with what the producer failed with, unless the messages that are kept tell which of them was at fault. */
  private async acknowledged(kept: Kept<T>): Promise<void> {
    try {
      await this.producer?.flush()
    } catch (error) {
      if (!this.isRefusal(error) || !this.search.begin(error as ClientError)) throw error
      if (this.options.keeps !== true) throw searchError(this.options.doing, error as ClientError, this.options.place)
      await this.writeAgain(kept)
      await this.producer?.flush()
    }
  }

  private async writeAgain(kept: Kept<T>): Promise<void> {
    await this.renew()
    for (const [message, subject] of kept) this.producer?.produce(message, subject)
  }

  private async renew(): Promise<void> {
    await this.discard()
    const { doing, place } = this.options
    try {
      const settings = await this.connection.settings()
      const { singly, batchBytes } = this.search
      const producer = new KafkaProducer<T>(
        settings,
        { ...this.options, singly, batchBytes },
        {
          refused: (subject, error) => {
            this.search.found()
            this.options.refused(subject, kafkaRefusal(doing, error, place))
          },
        },
      )
      await producer.connect()
      if (this.isOver) await producer.close()
      this.producer = producer
      // One that is made while a cluster is away does not know which one that was.
      await this.connection.topics.isSame()
    } catch (error) {
      throw kafkaError('WEIR_SINK_UNREACHABLE', doing, error as ClientError, {
        ...place,
        address: this.connection.address,
      })
    }
  }

  private async discard(): Promise<void> {
    const { producer } = this
    this.producer = undefined
    if (producer === undefined) return
    const closed = producer.close()
    this.connection.closes(closed)
    await closed
  }

  private get isReady(): boolean {
    return this.producer !== undefined && this.producer.failure === undefined
  }

  private isRefusal(error: unknown): boolean {
    if (error instanceof WeirError) return false
    return isRefusedRequest(error as ClientError, this.options.namesTopics === true)
  }

  private failed(error: ClientError | Error): WeirError {
    if (error instanceof WeirError) return error
    return kafkaError('WEIR_SINK_FAILED', this.options.doing, error, {
      ...this.options.place,
      address: this.connection.address,
    })
  }
}
