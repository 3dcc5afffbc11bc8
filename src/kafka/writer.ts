import { defer, EMPTY, from, ignoreElements, type Observable } from 'rxjs'
import { type ErrorPlace, WeirError } from '../model/index.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { isMessageRefusal, KafkaProducer, type OutgoingMessage, type ProducerOptions } from './producer.js'

export interface WriterOptions<T> extends Omit<ProducerOptions, 'singly'> {
  /** `writing topic 'orders' of flow 'billing'`, for error texts. */
  readonly doing: string
  readonly place: ErrorPlace
  /** Takes care of a message that the broker refused for itself; throws when that ends the epoch. */
  refused(subject: T, error: WeirError): void
}

/**
 * Writes epochs of messages: a failed producer is thrown away, and the next epoch begins with a new one, so that what
 * it had still queued can't mix with the replay.
 */
export class KafkaWriter<T> {
  private producer: KafkaProducer<T> | undefined
  private singly = false

  constructor(
    private readonly connection: KafkaConnection,
    private readonly options: WriterOptions<T>,
  ) {}

  /** Completes when there is a connected producer. Errors: WEIR_SINK_UNREACHABLE. */
  readonly ready$: Observable<never> = defer(() => {
    if (this.producer !== undefined && this.producer.failure === undefined) return EMPTY
    return from(this.renew()).pipe(ignoreElements())
  })

  /** Queues a message. Errors: WEIR_SINK_FAILED, because of an earlier one. */
  write(message: OutgoingMessage, subject: T): void {
    const { producer } = this
    if (producer === undefined) throw new Error('a writer was used before it was ready')
    if (producer.failure !== undefined) throw this.failed(producer.failure)
    try {
      producer.produce(message, subject)
    } catch (error) {
      throw this.failed(error as ClientError)
    }
  }

  /** Completes when all that was written is acknowledged. Errors: WEIR_SINK_FAILED. */
  readonly flush$: Observable<never> = defer(() => from(this.flush()).pipe(ignoreElements()))

  close(): Observable<never> {
    return defer(() => from(this.discard()).pipe(ignoreElements()))
  }

  private async flush(): Promise<void> {
    try {
      await this.producer?.flush()
    } catch (error) {
      // A request that is too large fails as a whole: the replay sends each message alone, to learn which one it was.
      this.singly = isMessageRefusal(error)
      throw this.failed(error as ClientError)
    }
    if (this.singly) {
      this.singly = false
      await this.discard()
    }
  }

  private async renew(): Promise<void> {
    await this.discard()
    const { doing, place } = this.options
    try {
      const settings = await this.connection.settings()
      const options = { ...this.options, singly: this.singly }
      const producer = new KafkaProducer<T>(settings, options, {
        refused: (subject, error) =>
          this.options.refused(subject, kafkaError('WEIR_RECORD_REFUSED', doing, error, place)),
      })
      await producer.connect()
      this.producer = producer
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

  private failed(error: ClientError | Error): WeirError {
    if (error instanceof WeirError) return error
    return kafkaError('WEIR_SINK_FAILED', this.options.doing, error, {
      ...this.options.place,
      address: this.connection.address,
    })
  }
}
