import { type ErrorCode, type Position, partitionName, WeirError } from '../model/index.js'
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

/** How long a log that has more to read may bring nothing, ms. */
const stallMs = 20_000
const connectMs = 5_000
const pollMs = 50
const most = 500

/** Reads logs from given positions on, only what is committed, as no member of any group. */
export class LogReader {
  private readonly client: KafkaConsumer
  private readonly ended = new Set<string>()
  private refusal: ClientError | undefined

  constructor(
    private readonly settings: ClientSettings,
    /** What the logs are, for the error that nothing comes. */
    private readonly reading: { readonly code: ErrorCode; readonly doing: string } = {
      code: 'WEIR_CHECKPOINT_UNREACHABLE',
      doing: 'reading checkpoints',
    },
  ) {
    this.client = new (nativeClient().KafkaConsumer)({
      // A reader of given positions needs one by name only.
      'group.id': 'weir-checkpoints',
      'enable.auto.commit': false,
      'enable.auto.offset.store': false,
      'isolation.level': 'read_committed',
      'auto.offset.reset': 'earliest',
      'enable.partition.eof': true,
      // The end of a log is told by an empty answer, and those are held back so long.
      'fetch.wait.max.ms': 10,
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

  /** From now on reads there, and nothing else. */
  assign(positions: readonly Position[]): void {
    this.ended.clear()
    this.client.assign(positions.map(({ topic, partition, offset }) => ({ topic, partition, offset })))
  }

  /** Whether all that was committed in the log has been read at some moment since it was assigned. */
  hasEnded(log: { topic: string; partition: number }): boolean {
    return this.ended.has(partitionName(log))
  }

  /** How many of the logs `hasEnded` holds for. */
  get endedCount(): number {
    return this.ended.size
  }

  /**
   * Hands every message to `visit` until `isDone`.
   * Errors: WEIR_CHECKPOINT_UNREACHABLE, or what it was told, when nothing comes for 20 s.
   */
  async read(visit: (message: Message) => void, isDone: () => boolean): Promise<void> {
    let progressAt = performance.now()
    while (!isDone()) {
      const before = this.ended.size
      const messages = await this.poll()
      for (const message of messages) visit(message)
      if (messages.length > 0 || this.ended.size > before) progressAt = performance.now()
      else if (performance.now() - progressAt > stallMs) {
        const { code, doing } = this.reading
        throw new WeirError(code, `${doing}: nothing came for ${stallMs / 1_000} s`, {
          hint: 'A transaction that nobody ends may hold the log up: the brokers abort it in time.',
        })
      }
    }
  }

  /** The next messages; none where a log has come to its end instead. Errors as `read`. */
  async next(): Promise<readonly Message[]> {
    const messages: Message[] = []
    const before = this.ended.size
    await this.read(
      (message) => messages.push(message),
      () => messages.length > 0 || this.ended.size > before,
    )
    return messages
  }

  /** What has come meanwhile, at most 500 messages; waits 50 ms for the first. Errors when the brokers refuse this client. */
  async poll(): Promise<readonly Message[]> {
    if (this.refusal !== undefined) throw this.refusal as unknown as Error
    return call<Message[]>((done) => this.client.consume(most, done as never))
  }

  close(): Promise<void> {
    return disconnect(this.client)
  }
}

interface Patient {
  setDefaultIsTimeoutOnlyForFirstMessage(isOnly: boolean): void
}
