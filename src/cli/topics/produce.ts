import type { ClientError } from '../../kafka/client.js'
import type { KafkaConnection } from '../../kafka/connection.js'
import { kafkaError, kafkaRefusal } from '../../kafka/errors.js'
import { checkedHeaders } from '../../kafka/headers.js'
import { checked } from '../../kafka/outgoing.js'
import { KafkaProducer, type OutgoingMessage } from '../../kafka/producer.js'
import { type Header, messageOf, type WeirError } from '../../model/index.js'
import { type BrokerOptions, withBrokers } from '../brokers.js'
import { exitCodes, type Io, type Signal, UsageError } from '../io.js'
import { untilSignal } from '../kafka.js'
import { countOption, partitionOption } from '../number-option.js'
import { countText } from '../stored.js'
import { momentOption } from '../time-option.js'
import { linesOf } from './lines.js'
import { extentsOf } from './topic.js'

export interface ProduceOptions extends BrokerOptions {
  readonly key?: string
  readonly parseKey?: boolean
  readonly separator?: string
  readonly header?: readonly string[]
  readonly partition?: string
  readonly time?: string
  readonly null?: string
  readonly tombstone?: boolean
  readonly create?: string
}

/** What is sent before it is asked whether all was taken. */
const [mostRecords, mostBytes] = [5_000, 8_388_608]
/** How long brokers may acknowledge nothing, ms. */
const deliveryTimeoutMs = 30_000

/** `weir topics produce <topic> [value]`: one record, or one for each line of the input. */
export async function produce(
  topic: string,
  value: string | undefined,
  options: ProduceOptions,
  io: Io,
): Promise<number> {
  const form = formOf(topic, options)
  if ((value !== undefined || options.tombstone === true) && options.parseKey === true)
    throw new UsageError('--parse-key is for lines of the input: give the key of a single record with --key')
  if (value !== undefined && options.tombstone === true) throw new UsageError('--tombstone: a tombstone has no value')
  const single = value === undefined && options.tombstone !== true ? undefined : form(asBytes(value))
  if (single === undefined && io.stdin === undefined)
    throw new UsageError('there is no input to read lines from: give the value of one record')
  return untilSignal(io, (signal, stopped) =>
    withBrokers(options, io, async ({ connection }) => {
      await prepareTopic(connection, topic, options)
      const writing = new Writing(connection, topic, io)
      try {
        await writing.open()
        if (single !== undefined) writing.add(single, 'the record')
        else await writeLines(writing, form, io, stopped)
        await writing.flush()
      } finally {
        await writing.close()
        if (writing.written > 0 || writing.refused === 0)
          io.stdout.write(`${countText(writing.written, 'record')} written to topic '${topic}'\n`)
      }
      const heard = signal()
      if (heard !== undefined) return exitCodes[heard]
      return writing.refused === 0 ? exitCodes.ok : exitCodes.failed
    }),
  )
}

function asBytes(value: string | undefined): Buffer | null {
  return value === undefined ? null : Buffer.from(value)
}

/** What a record is made of. Errors: `UsageError` for a line without its key. */
type Form = (line: Buffer | null) => OutgoingMessage

function formOf(topic: string, options: ProduceOptions): Form {
  const { key, parseKey = false, separator = '\t' } = options
  if (parseKey && key !== undefined) throw new UsageError('--key and --parse-key: say one of them')
  if (separator === '') throw new UsageError('--separator: nothing separates no key from a value')
  const nullText = options.null === undefined ? undefined : Buffer.from(options.null)
  const headers = headersOf(options.header ?? [])
  const partition = partitionOption(options.partition)
  const at = momentOption('--time', options.time, Date.now())
  const rest = { topic, headers, ...(partition === undefined ? {} : { partition }) }
  const message = (ownKey: Buffer | string | null, value: Buffer | null): OutgoingMessage => {
    const isNull = value === null || nullText?.equals(value) === true
    return { ...rest, key: ownKey, value: isNull ? null : value, timestamp: at ?? Date.now() }
  }
  try {
    checked(message(key ?? null, null))
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
  if (!parseKey) return (line) => message(key ?? null, line)
  return (line) => {
    const end = line?.indexOf(separator) ?? -1
    if (line === null || end < 0) throw new UsageError(`it has no ${JSON.stringify(separator)} behind a key`)
    return message(line.subarray(0, end), line.subarray(end + Buffer.byteLength(separator)))
  }
}

/** Errors: `UsageError`. */
function headersOf(given: readonly string[]): readonly Header[] {
  const headers = given.map((text) => {
    const end = text.indexOf('=')
    if (end <= 0) throw new UsageError(`--header: '${text}' is no header: write name=value`)
    return { [text.slice(0, end)]: text.slice(end + 1) }
  })
  try {
    return checkedHeaders(headers)
  } catch (error) {
    throw new UsageError(`--header: ${messageOf(error)}`)
  }
}

/** Errors: `UsageError` for a topic or a partition that is not there. */
async function prepareTopic(connection: KafkaConnection, topic: string, options: ProduceOptions): Promise<void> {
  const partition = partitionOption(options.partition)
  const partitions = options.create === undefined ? undefined : countOption('--create', options.create, 'partitions')
  const count = partitions === undefined ? undefined : await made(connection, topic, partitions)
  const there = count ?? (await extentsOf(connection, topic)).length
  if (partition !== undefined && partition >= there)
    throw new UsageError(`--partition: topic '${topic}' has no partition ${partition}: the last one is ${there - 1}`)
}

function made({ topics }: KafkaConnection, topic: string, partitions: number): Promise<number> {
  const request = { topic, partitions, create: true, writes: true, doing: `writing topic '${topic}'`, place: {} }
  return topics.ensure({ ...request, unreachable: 'WEIR_SINK_UNREACHABLE' })
}

async function writeLines(writing: Writing, form: Form, io: Io, stopped: Promise<Signal>): Promise<void> {
  const input = io.stdin
  if (input === undefined) return
  if (input.isTTY === true) io.stderr.write('each line is a record; Ctrl-D ends it\n')
  const lines = linesOf(input)[Symbol.asyncIterator]()
  let number = 0
  for (;;) {
    const next = await Promise.race([lines.next(), stopped])
    if (typeof next === 'string' || next.done === true) return
    for (const line of next.value) {
      number++
      try {
        writing.add(form(line), `line ${number}`)
      } catch (error) {
        if (!(error instanceof UsageError)) throw error
        await writing.flush()
        throw new UsageError(`line ${number}: ${error.message}; what was before it is written`)
      }
      if (writing.isFull) await writing.flush()
    }
    await writing.flush()
  }
}

/**
 * Writes records, and tells which of them the brokers have refused. Each goes in a request of its own: brokers refuse a request as
 * a whole, and what is written again is there twice.
 */
class Writing {
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
    topic: string,
    private readonly io: Io,
  ) {
    this.doing = `writing topic '${topic}'`
  }

  /** Errors: WEIR_SINK_UNREACHABLE. */
  async open(): Promise<void> {
    const { connection, io } = this
    const options = { deliveryTimeoutMs, compression: 'none', lingerMs: 0, singly: true } as const
    try {
      this.producer = new KafkaProducer<string>(await connection.settings(), options, {
        refused: (subject, error) => {
          this.refused++
          io.stderr.write(`${subject} is not written: ${kafkaRefusal(this.doing, error, {}).message}\n`)
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

  add(message: OutgoingMessage, subject: string): void {
    this.producer?.produce(message, subject)
    this.records++
    this.bytes += message.value?.length ?? 0
  }

  /** Errors: WEIR_SINK_FAILED. */
  async flush(): Promise<void> {
    if (this.records === 0) return
    try {
      await this.producer?.flush()
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

  private failed(code: 'WEIR_SINK_UNREACHABLE' | 'WEIR_SINK_FAILED', error: unknown): WeirError {
    return kafkaError(code, this.doing, error as ClientError, { address: this.connection.address })
  }
}
