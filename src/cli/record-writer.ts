import type { ClientError } from '../kafka/client.js'
import type { KafkaConnection } from '../kafka/connection.js'
import { kafkaError, kafkaRefusal } from '../kafka/errors.js'
import { KafkaProducer, type OutgoingMessage } from '../kafka/producer.js'
import { isWeirError, WeirError } from '../model/index.js'

/** What is sent before it is asked whether all was taken. */
const [mostRecords, mostBytes] = [5_000, 8_388_608]
/** How long brokers may acknowledge nothing, ms. */
const deliveryTimeoutMs = 30_000

/** Writes records to a topic. */
export class RecordWriter {
  /** How many are there for good, and how many the brokers have refused. */
  written = 0
  refused = 0
  /** How many had been refused when it was flushed last. */
  private refusedBefore = 0
  private records = 0
  private bytes = 0
  private readonly doing: string
  private producer: KafkaProducer<string> | undefined

  constructor(
    private readonly connection: KafkaConnection,
    private readonly topic: string,
    /** Told of a record that the brokers refuse for what it is; what it throws ends the writing. */
    private readonly onRefused: (subject: string, error: WeirError) => void,
    /**
     * Whether each goes in a request of its own: brokers refuse a request as a whole, and what is written again is there
     * twice.
     */
    private readonly singly = true,
  ) {
    this.doing = `writing topic '${topic}'`
  }

  /** Makes the topic where it is not there, and tells how many partitions it has. Errors: WEIR_SINK_UNREACHABLE. */
  ensureTopic(partitions: number, config: Readonly<Record<string, string>> = {}): Promise<number> {
    const { topic, doing } = this
    const request = { topic, partitions, create: true, writes: true, doing, place: {}, config }
    return this.connection.topics.ensure({ ...request, unreachable: 'WEIR_SINK_UNREACHABLE' })
  }

  /** Errors: WEIR_SINK_UNREACHABLE. */
  async open(): Promise<void> {
    const options = { deliveryTimeoutMs, compression: 'none', lingerMs: 0, singly: this.singly } as const
    try {
      this.producer = new KafkaProducer<string>(await this.connection.settings(), options, {
        refused: (subject, error) => {
          this.refused++
          this.onRefused(subject, kafkaRefusal(this.doing, error, {}))
        },
      })
      await this.producer.connect()
    } catch (error) {
      throw this.failed('WEIR_SINK_UNREACHABLE', error)
    }
  }

  get isFull(): boolean {
    return this.records >= mostRecords || this.bytes >= mostBytes
  }

  /** Queues a record. @param subject What it is told by where it is refused. */
  add(message: Omit<OutgoingMessage, 'topic'>, subject: string): void {
    this.opened.produce({ ...message, topic: this.topic }, subject)
    this.records++
    this.bytes += message.value?.length ?? 0
  }

  /** Resolves when all is acknowledged or refused. Errors: WEIR_SINK_FAILED. */
  async flush(): Promise<void> {
    if (this.records === 0) return
    try {
      await this.opened.flush()
    } catch (error) {
      throw this.failed('WEIR_SINK_FAILED', error)
    }
    this.written += this.records - (this.refused - this.refusedBefore)
    this.refusedBefore = this.refused
    this.records = this.bytes = 0
  }

  async close(): Promise<void> {
    await this.producer?.close()
  }

  private get opened(): KafkaProducer<string> {
    if (this.producer === undefined) throw new Error(`${this.doing}: it has to be open first`)
    return this.producer
  }

  private failed(code: 'WEIR_SINK_UNREACHABLE' | 'WEIR_SINK_FAILED', error: unknown): WeirError {
    if (isWeirError(error)) return error
    return kafkaError(code, this.doing, error as ClientError, { address: this.connection.address })
  }
}
