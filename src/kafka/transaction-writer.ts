import { WeirError } from '../model/index.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { checkedHeaders } from './headers.js'
import { checked } from './outgoing.js'
import type { OutgoingMessage } from './producer.js'
import { TransactionalProducer } from './transactional-producer.js'

/**
 * Writes messages in transactions, one after the other. Who begins with the same id ends what another one has left open, and
 * keeps it from going on.
 */
export class TransactionWriter {
  private producer: TransactionalProducer | undefined
  private isOpen = false

  constructor(
    private readonly connection: KafkaConnection,
    private readonly id: string,
    /** For error texts: `writing topic 'orders'`. */
    private readonly doing: string,
  ) {}

  /** Connects, and waits until no transaction of this id is open any more. Errors: WEIR_SINK_UNREACHABLE. */
  async open(): Promise<void> {
    try {
      this.producer = new TransactionalProducer(await this.connection.settings(), this.id)
      await this.producer.init()
    } catch (error) {
      throw this.failed('WEIR_SINK_UNREACHABLE', error)
    }
  }

  /** Queues a message of the running transaction. Errors: WEIR_SINK_FAILED, WEIR_RECORD_REFUSED. */
  async write(message: OutgoingMessage): Promise<void> {
    const { producer } = this
    if (producer === undefined) throw new TypeError('a transaction was written before it was open')
    const whole = checked({ ...message, headers: checkedHeaders(message.headers) })
    try {
      if (!this.isOpen) await producer.begin()
      this.isOpen = true
      producer.produce(whole, (error) => {
        producer.failure ??= error
      })
      if (producer.failure !== undefined) throw producer.failure as unknown as Error
    } catch (error) {
      throw this.failed('WEIR_SINK_FAILED', error)
    }
  }

  /**
   * Ends the running transaction, if there is one: all of it is there. `last` adds to it what is no message.
   * Errors: WEIR_SINK_FAILED.
   */
  async commit(last?: (producer: TransactionalProducer) => Promise<void>): Promise<void> {
    const { producer } = this
    if (!this.isOpen || producer === undefined) return
    try {
      await last?.(producer)
      await producer.commit()
      this.isOpen = false
    } catch (error) {
      throw this.failed('WEIR_SINK_FAILED', error)
    }
  }

  /** Throws the running transaction away, if there is one. */
  async close(): Promise<void> {
    if (this.isOpen) await this.producer?.abort().catch(() => undefined)
    await this.producer?.close()
  }

  failed(code: 'WEIR_SINK_UNREACHABLE' | 'WEIR_SINK_FAILED', error: unknown): WeirError {
    if (error instanceof WeirError) return error
    return kafkaError(code, this.doing, error as ClientError, { address: this.connection.address })
  }
}
