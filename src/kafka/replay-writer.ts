import { call, disconnect, type KafkaConsumer, nativeClient } from './client.js'
import { connectClient } from './connecting.js'
import type { KafkaConnection } from './connection.js'
import type { OutgoingMessage } from './producer.js'
import { TransactionWriter } from './transaction-writer.js'
import { settled } from './unsettled.js'

/** How long brokers may take to answer, ms. */
const answerMs = 5_000

interface Committed {
  readonly partition: number
  readonly offset?: number
}

/** How far each partition has come in what it is written from: the next offset to write. */
export type Progress = ReadonlyMap<number, number>

/**
 * Writes a topic anew from somewhere else, each message once: the transaction that has messages also has how far that is, as
 * the offsets of a group of no members, under the partitions of the topic that is written. Who begins with the same id ends
 * what another one has left open, keeps it from going on, and goes on where the last transaction ended.
 */
export class ReplayWriter {
  private consumer: KafkaConsumer | undefined
  private readonly writer: TransactionWriter
  private readonly doing: string

  constructor(
    private readonly connection: KafkaConnection,
    private readonly topic: string,
    /** Of the transactions and of the group. */
    private readonly id: string,
  ) {
    this.doing = `writing topic '${topic}'`
    this.writer = new TransactionWriter(connection, id, this.doing)
  }

  /** How many partitions the topic has. It is made with so many where it is not there. */
  partitions(atLeast: number): Promise<number> {
    const { topic, doing } = this
    // Records have the times that they had: old ones would be deleted within minutes.
    const config = { 'retention.ms': '-1' }
    const request = { topic, doing, partitions: atLeast, create: true, writes: true, place: {}, config }
    return this.connection.topics.ensure({ ...request, unreachable: 'WEIR_SINK_UNREACHABLE' })
  }

  /** Connects, and tells how far earlier ones have come. Errors: WEIR_SINK_UNREACHABLE. */
  async open(partitions: number): Promise<Progress> {
    await this.writer.open()
    try {
      const own = { ...(await this.connection.settings()), 'group.id': this.id }
      const consumer = new (nativeClient().KafkaConsumer)(own)
      consumer.on('event.error', () => undefined)
      consumer.on('error' as never, (() => undefined) as never)
      this.consumer = consumer
      await connectClient(consumer, own, answerMs)
      const all = Array.from({ length: partitions }, (_, partition) => ({ topic: this.topic, partition }))
      const ask = () => call<readonly Committed[]>((done) => consumer.committed(all as never, answerMs, done as never))
      const committed = await settled(ask)
      return new Map(
        committed.flatMap(({ partition, offset = -1 }) => (offset >= 0 ? [[partition, offset] as const] : [])),
      )
    } catch (error) {
      throw this.writer.failed('WEIR_SINK_UNREACHABLE', error)
    }
  }

  /** Queues a message of the running transaction. Errors: WEIR_SINK_FAILED, WEIR_RECORD_REFUSED. */
  write(message: Omit<OutgoingMessage, 'topic'>): Promise<void> {
    return this.writer.write({ ...message, topic: this.topic })
  }

  /** Ends the running transaction: all of it is there, and that it has come so far. Errors: WEIR_SINK_FAILED. */
  async commit(progress: Progress): Promise<void> {
    const { consumer } = this
    if (consumer === undefined) return
    const offsets = [...progress].map(([partition, offset]) => ({ topic: this.topic, partition, offset }))
    await this.writer.commit((producer) => producer.takeOffsets(offsets, consumer))
  }

  /** Throws the running transaction away, if there is one. */
  async close(): Promise<void> {
    // A step that commits positions is under the consumer's name, and nothing would guard it while that goes away.
    await this.writer.close()
    if (this.consumer !== undefined) await disconnect(this.consumer)
  }
}
