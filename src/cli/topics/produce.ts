import type { KafkaConnection } from '../../kafka/connection.js'
import { checkedHeaders } from '../../kafka/headers.js'
import { checked } from '../../kafka/outgoing.js'
import type { OutgoingMessage } from '../../kafka/producer.js'
import { type Header, messageOf } from '../../model/index.js'
import { audited } from '../audit.js'
import { type BrokerOptions, withBrokers } from '../brokers.js'
import { exitCodes, type Io, type Signal, UsageError } from '../io.js'
import { untilSignal } from '../kafka.js'
import { countOption, partitionOption } from '../number-option.js'
import { RecordWriter } from '../record-writer.js'
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
    withBrokers(options, io, async ({ connection, configured }) => {
      const writing = new RecordWriter(connection, topic, (subject, { message }) =>
        io.stderr.write(`${subject} is not written: ${message}\n`),
      )
      await prepareTopic(writing, connection, topic, options)
      const deed = { action: 'topics.produce', subject: topic, asked: { partition: options.partition } }
      return audited(configured, deed, io, async (tell) => {
        try {
          await writing.open()
          if (single !== undefined) await writing.add(single, 'the record')
          else await writeLines(writing, form, io, stopped)
          await writing.flush()
        } finally {
          await writing.close()
          const { written, refused } = writing
          tell({ records: written, refused })
          if (written > 0 || refused === 0)
            io.stdout.write(`${countText(written, 'record')} written to topic '${topic}'\n`)
        }
        const heard = signal()
        if (heard !== undefined) return exitCodes[heard]
        return writing.refused === 0 ? exitCodes.ok : exitCodes.failed
      })
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
async function prepareTopic(
  writing: RecordWriter,
  connection: KafkaConnection,
  topic: string,
  options: ProduceOptions,
): Promise<void> {
  const partition = partitionOption(options.partition)
  const partitions = options.create === undefined ? undefined : countOption('--create', options.create, 'partitions')
  const count = partitions === undefined ? undefined : await writing.ensureTopic(partitions)
  const there = count ?? (await extentsOf(connection, topic)).length
  if (partition !== undefined && partition >= there)
    throw new UsageError(`--partition: topic '${topic}' has no partition ${partition}: the last one is ${there - 1}`)
}

async function writeLines(writing: RecordWriter, form: Form, io: Io, stopped: Promise<Signal>): Promise<void> {
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
        await writing.add(form(line), `line ${number}`)
      } catch (error) {
        if (!(error instanceof UsageError)) throw error
        await writing.flush()
        throw new UsageError(`line ${number}: ${error.message}; what was before it is written`)
      }
    }
    await writing.flush()
  }
}
