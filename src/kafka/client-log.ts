import { type Position, partitionName } from '../model/index.js'
import {
  type ClientError,
  type ClientSettings,
  call,
  disconnect,
  type KafkaConsumer,
  type Message,
  nativeClient,
} from './client.js'
import { connectClient, onRefusal } from './connecting.js'
import { type LogWay, mostMessages, pollMs } from './log-way.js'

const connectMs = 5_000

/** The client reads the logs, as no member of any group. */
export class ClientLog implements LogWay {
  readonly ended = new Set<string>()
  private readonly client: KafkaConsumer
  private refusal: ClientError | undefined

  constructor(private readonly settings: ClientSettings) {
    this.client = new (nativeClient().KafkaConsumer)({
      // A reader of given positions needs one by name only.
      'group.id': 'weir-checkpoints',
      'enable.auto.commit': false,
      'enable.auto.offset.store': false,
      'isolation.level': 'read_committed',
      'auto.offset.reset': 'earliest',
      'enable.partition.eof': true,
      'queued.max.messages.kbytes': 16_384,
      'fetch.queue.backoff.ms': 10,
      ...settings,
    } as object)
    this.client.setDefaultConsumeTimeout(pollMs)
    // Missing in the client's types.
    ;(this.client as unknown as Patient).setDefaultIsTimeoutOnlyForFirstMessage(true)
    this.client.on('partition.eof', (at) => this.ended.add(partitionName(at as unknown as Position)))
    this.client.on('event.error', () => undefined)
    this.client.on('error' as never, (() => undefined) as never)
  }

  async connect(): Promise<void> {
    await connectClient(this.client, this.settings, connectMs)
    onRefusal(this.client, (refusal) => {
      this.refusal = refusal
    })
  }

  assign(positions: readonly Position[]): void {
    this.ended.clear()
    this.client.assign(positions.map(({ topic, partition, offset }) => ({ topic, partition, offset })))
  }

  async poll(): Promise<readonly Message[]> {
    if (this.refusal !== undefined) throw this.refusal as unknown as Error
    return call<Message[]>((done) => this.client.consume(mostMessages, done as never))
  }

  close(): Promise<void> {
    return disconnect(this.client)
  }
}

interface Patient {
  setDefaultIsTimeoutOnlyForFirstMessage(isOnly: boolean): void
}
