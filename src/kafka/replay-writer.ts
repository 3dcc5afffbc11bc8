import { WeirError } from '../model/index.js'
import { type ClientError, call, disconnect, type KafkaConsumer, nativeClient } from './client.js'
import { connectClient } from './connecting.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { checkedHeaders } from './headers.js'
import { checked } from './outgoing.js'
import type { OutgoingMessage } from './producer.js'
import { TransactionalProducer } from './transactional-producer.js'

/** How long brokers may take to answer, ms. */
const answerMs = 5_000

/** How far each partition has come in what it is written from: the next offset to write. */
export type Progress = ReadonlyMap<number, number>

/**
 * Writes a topic anew from somewhere else, each message once: the transaction that has messages also has how far that is, as
 * the offsets of a group of no members, under the partitions of the topic that is written. Who begins with the same id ends
 * what another one has left open, keeps it from going on, and goes on where the last transaction ended.
 */
export class ReplayWriter {
  private producer: TransactionalProducer | undefined
  private consumer: KafkaConsumer | undefined
  private isOpen = false
  private readonly doing: string

  constructor(
    private readonly connection: KafkaConnection,
    private readonly topic: string,
    /** Of the transactions and of the group. */
    private readonly id: string,
  ) {
    this.doing = `writing topic '${topic}'`
  }

  /** How many partitions the topic has. It is made with so many where it is not there. */
  partitions(atLeast: number): Promise<number> {
    const { topic, doing } = this
    const request = { topic, doing, partitions: atLeast, create: true, writes: true, place: {} }
    return this.connection.topics.ensure({ ...request, unreachable: 'WEIR_SINK_UNREACHABLE' })
  }

  /** Connects, and tells how far earlier ones have come. Errors: WEIR_SINK_UNREACHABLE. */
  async open(partitions: number): Promise<Progress> {
    const settings = await this.connection.settings()
    try {
      this.producer = new TransactionalProducer(settings, this.id)
      await this.producer.init()
      const own = { ...settings, 'group.id': this.id }
      const consumer = new (nativeClient().KafkaConsumer)(own)
      consumer.on('event.error', () => undefined)
      consumer.on('error' as never, (() => undefined) as never)
      this.consumer = consumer
      await connectClient(consumer, own, answerMs)
      const all = Array.from({ length: partitions }, (_, partition) => ({ topic: this.topic, partition }))
      const committed = await call<readonly { partition: number; offset?: number }[]>((done) =>
        consumer.committed(all as never, answerMs, done as never),
      )
      return new Map(
        committed.flatMap(({ partition, offset = -1 }) => (offset >= 0 ? [[partition, offset] as const] : [])),
      )
    } catch (error) {
      throw this.failed('WEIR_SINK_UNREACHABLE', error)
    }
  }

  /** Queues a message of the running transaction. Errors: WEIR_SINK_FAILED, WEIR_RECORD_REFUSED. */
  async write(message: Omit<OutgoingMessage, 'topic'>): Promise<void> {
    const { producer } = this
    if (producer === undefined) throw new TypeError('a replay was written before it was open')
    const whole = checked({ ...message, topic: this.topic, headers: checkedHeaders(message.headers) })
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

  /** Ends the running transaction: all of it is there, and that it has come so far. Errors: WEIR_SINK_FAILED. */
  async commit(progress: Progress): Promise<void> {
    const { producer, consumer } = this
    if (!this.isOpen || producer === undefined || consumer === undefined) return
    try {
      const offsets = [...progress].map(([partition, offset]) => ({ topic: this.topic, partition, offset }))
      await producer.takeOffsets(offsets, consumer)
      await producer.commit()
      this.isOpen = false
    } catch (error) {
      throw this.failed('WEIR_SINK_FAILED', error)
    }
  }

  /** Throws the running transaction away, if there is one. */
  async close(): Promise<void> {
    const { producer, consumer } = this
    if (this.isOpen) await producer?.abort().catch(() => undefined)
    await Promise.all([producer?.close(), consumer === undefined ? undefined : disconnect(consumer)])
  }

  private failed(code: 'WEIR_SINK_UNREACHABLE' | 'WEIR_SINK_FAILED', error: unknown): WeirError {
    if (error instanceof WeirError) return error
    return kafkaError(code, this.doing, error as ClientError, { address: this.connection.address })
  }
}
