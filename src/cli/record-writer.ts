import type { ClientError } from '../kafka/client.js'
import type { KafkaConnection } from '../kafka/connection.js'
import { kafkaError, kafkaRefusal } from '../kafka/errors.js'
import { KafkaProducer, type OutgoingMessage, type ProducerEvents, type ProducerOptions } from '../kafka/producer.js'
import { isWeirError, WeirError } from '../model/index.js'

/** What is sent together, and then asked about: less than a request may hold, so that it is one for each partition. */
const [mostRecords, mostBytes] = [5_000, 900_000]
/** What a request has of a record besides its content, at the most, bytes. */
const frameBytes = 100
/** How long brokers may acknowledge nothing, ms. */
const deliveryTimeoutMs = 30_000

interface Pending {
  readonly message: OutgoingMessage
  readonly subject: string
}

/**
 * Writes records of a command to a topic, those of a partition in their order. Brokers refuse a request as a whole, and what is
 * written again is there twice: so no partition has two requests under way, and of a refused one each record is sent alone.
 */
export class RecordWriter {
  /** How many are there for good, and how many the brokers have refused. */
  written = 0
  refused = 0
  private pending: Pending[] = []
  private bytes = 0
  /** Of what is under way, what its request was refused with. */
  private readonly turnedDown: Pending[] = []
  private readonly doing: string
  private together: KafkaProducer<Pending> | undefined
  private alone: KafkaProducer<Pending> | undefined

  constructor(
    private readonly connection: KafkaConnection,
    private readonly topic: string,
    /** Told of a record that the brokers refuse for what it is; what it throws ends the writing. */
    private readonly onRefused: (subject: string, error: WeirError) => void,
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
    // Nothing leaves before `flush`, and then all at once.
    const options = { lingerMs: 60_000, singly: false, namesRefused: true }
    this.together = await this.producer(options, (pending) => this.turnedDown.push(pending))
  }

  /** Takes a record, and sends those before it when there are enough. @param subject What it is told by where it is refused. */
  async add(message: Omit<OutgoingMessage, 'topic'>, subject: string): Promise<void> {
    if (this.together === undefined) throw new Error(`${this.doing}: it has to be open first`)
    const bytes = sizeOf(message)
    if (this.pending.length > 0 && (this.isFull || this.bytes + bytes > mostBytes)) await this.flush()
    this.pending.push({ message: { ...message, topic: this.topic }, subject })
    this.bytes += bytes
  }

  /** Resolves when all is acknowledged or refused. Errors: WEIR_SINK_FAILED. */
  async flush(): Promise<void> {
    const { pending, refused } = this
    if (pending.length === 0) return
    this.pending = []
    this.bytes = 0
    await this.send(this.together, pending)
    const turnedDown = new Set(this.turnedDown.splice(0))
    await this.sendAlone(pending.filter((one) => turnedDown.has(one)))
    this.written += pending.length - (this.refused - refused)
  }

  async close(): Promise<void> {
    await Promise.all([this.together?.close(), this.alone?.close()])
  }

  /** By its first record the client learns what partitions there are; what waited for that with it would leave in pieces. */
  private get isFull(): boolean {
    return this.pending.length >= (this.written + this.refused === 0 ? 1 : mostRecords)
  }

  private async sendAlone(pending: readonly Pending[]): Promise<void> {
    if (pending.length === 0) return
    this.alone ??= await this.producer({ lingerMs: 0, singly: true }, ({ subject }, error) => {
      this.refused++
      this.onRefused(subject, kafkaRefusal(this.doing, error, {}))
    })
    await this.send(this.alone, pending)
  }

  private async send(producer: KafkaProducer<Pending> | undefined, pending: readonly Pending[]): Promise<void> {
    try {
      for (const one of pending) producer?.produce(one.message, one)
      await producer?.flush()
    } catch (error) {
      throw this.failed('WEIR_SINK_FAILED', error)
    }
  }

  private async producer(
    options: Pick<ProducerOptions, 'lingerMs' | 'singly' | 'namesRefused'>,
    refused: ProducerEvents<Pending>['refused'],
  ): Promise<KafkaProducer<Pending>> {
    try {
      const producer = new KafkaProducer<Pending>(
        await this.connection.settings(),
        { deliveryTimeoutMs, compression: 'none', ...options },
        { refused },
      )
      await producer.connect()
      return producer
    } catch (error) {
      throw this.failed('WEIR_SINK_UNREACHABLE', error)
    }
  }

  private failed(code: 'WEIR_SINK_UNREACHABLE' | 'WEIR_SINK_FAILED', error: unknown): WeirError {
    if (isWeirError(error)) return error
    return kafkaError(code, this.doing, error as ClientError, { address: this.connection.address })
  }
}

function sizeOf({ key, value, headers }: Omit<OutgoingMessage, 'topic'>): number {
  let bytes = frameBytes + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers)
    for (const [name, held] of Object.entries(header)) bytes += frameBytes + name.length + held.length
  // Text may take three bytes for what counts as one.
  return typeof key === 'string' ? bytes + 2 * key.length : bytes
}
