import type { SchemaRegistry } from '../../codecs/schema-registry.js'
import type { Message } from '../../kafka/client.js'
import type { KafkaConnection } from '../../kafka/connection.js'
import { messagesIn } from '../../kafka/whole-topic.js'
import { isSamePartition, type LogEnds, place } from '../../model/index.js'
import { type BrokerOptions, withBrokers } from '../brokers.js'
import { decoded } from '../decode.js'
import { exitCodes, type Io, UsageError } from '../io.js'
import { painter, shownJson, table } from '../paint.js'
import { headerLines, part, textOrHex } from '../record-text.js'
import { withAnyRegistry } from '../schema-registry.js'
import { countText } from '../stored.js'
import { showing, timeOf } from './shown.js'
import { extentsOf } from './topic.js'

export interface ShowOptions extends BrokerOptions {
  readonly registry?: string
  readonly json?: boolean
}

/** `weir topics show <topic>`: its partitions; `weir topics show <topic>-<partition>@<offset>`: a record, and all of it. */
export async function show(what: string, options: ShowOptions, io: Io): Promise<number> {
  const [, topic, ...at] = /^(.+)-(\d+)@(\d+)$/.exec(what) ?? []
  return withBrokers(options, io, async ({ connection, configured }) => {
    if (topic === undefined) return showTopic(connection, what, options, io)
    const [partition = 0, offset = 0] = at.map(Number)
    const message = await messageAt(connection, await extentsOf(connection, topic), { topic, partition, offset })
    return withAnyRegistry(options, io, configured, async (registry) => {
      const text = options.json
        ? await showing({ json: true }, painter(io.stdout, io))(message, registry)
        : (await recordLines(message, registry, io)).join('\n')
      io.stdout.write(`${text}\n`)
      return exitCodes.ok
    })
  })
}

async function showTopic(
  connection: KafkaConnection,
  topic: string,
  { json = false }: ShowOptions,
  io: Io,
): Promise<number> {
  const extents = await extentsOf(connection, topic)
  const [replicas, newest, seen] = await Promise.all([
    connection.topics.replicas(topic),
    connection.topics.newest(extents),
    connection.topics.describe([topic]),
  ])
  const partitions = extents.map(({ partition, start, end }) => {
    const at = { topic, partition }
    const { leader = -1, inSync = 0, all = 0 } = replicas.find((one) => isSamePartition(one, at)) ?? {}
    const { timestamp = -1 } = newest.find((one) => isSamePartition(one, at)) ?? {}
    return { partition, start, end, records: end - start, newest: timeOf(timestamp), leader, inSync, replicas: all }
  })
  if (json) io.stdout.write(`${shownJson({ topic, id: seen.get(topic)?.id, partitions })}\n`)
  else {
    const [heading = '', ...lines] = table([
      ['partition', 'begins at', 'ends before', 'records', 'newest', 'leader', 'in sync'],
      ...partitions.map((one) => [
        String(one.partition),
        String(one.start),
        String(one.end),
        one.records.toLocaleString('en'),
        one.newest,
        one.leader < 0 ? 'none' : `broker ${one.leader}`,
        `${one.inSync} of ${one.replicas}`,
      ]),
    ])
    io.stdout.write(`${[painter(io.stdout, io)('dim', heading), ...lines].join('\n')}\n`)
  }
  return exitCodes.ok
}

/** Errors: `UsageError` where there is no record. */
async function messageAt(
  connection: KafkaConnection,
  extents: readonly LogEnds[],
  at: { readonly topic: string; readonly partition: number; readonly offset: number },
): Promise<Message> {
  const extent = extents.find(({ partition }) => partition === at.partition)
  if (extent === undefined)
    throw new UsageError(
      `there is no record ${place(at)}: the topic has ${countText(extents.length, 'partition')}, from 0`,
    )
  const isIn = at.offset >= extent.start && at.offset < extent.end
  if (isIn)
    for await (const messages of messagesIn(connection, [{ ...extent, start: at.offset, end: at.offset + 1 }]))
      for (const message of messages) if (message.offset === at.offset) return message
  const why = isIn
    ? 'not every offset has one that is committed'
    : `the partition begins at ${extent.start} and ends before ${extent.end}`
  throw new UsageError(`there is no record ${place(at)}: ${why}`)
}

async function recordLines(message: Message, registry: SchemaRegistry | undefined, io: Io): Promise<string[]> {
  const { key, value, timestamp = -1, headers } = message
  const paint = painter(io.stdout, io)
  const { format, text, note } = await decoded(value, registry)
  const about = `${format}, ${countText(value?.length ?? 0, 'byte')}${note === undefined ? '' : ` (${note})`}`
  return [
    ...table([
      ['record', place(message)],
      ['time', timeOf(timestamp)],
      ['key', key === null || key === undefined ? 'null' : textOrHex(key)],
      ['value', about],
    ]),
    ...part('value', text, paint),
    ...part('headers', headerLines(headers), paint),
  ]
}
