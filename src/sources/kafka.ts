import { z } from 'zod'
import type { KafkaConnection } from '../kafka/connection.js'
import type { KafkaValue } from '../kafka/kafka-value.js'
import type { ConnectionOptions } from '../kafka/options.js'
import { KafkaReader } from '../kafka/reader.js'
import type { ReaderOptions } from '../kafka/reader-options.js'
import { topicName, topicRule } from '../kafka/topic-name.js'
import { declaredWay } from '../kafka/way.js'
import { type Configurable, defineSource, isoReader, type Source, someTime, time } from '../model/index.js'

const spotRule = "expected 'earliest', 'latest', 'committed', or a time: a date, ISO 8601 text, or ms"

const options = z.strictObject({
  topic: z.union([topicName, z.array(topicName).min(1)], topicRule).describe('The topic, or a list of them.'),
  group: z.string().min(1).optional().describe('The consumer group. Default: `<app>.<flow>`.'),
  from: z
    .union([z.enum(['earliest', 'latest', 'committed']), z.date(), time(spotRule), z.int().nonnegative()], spotRule)
    .default('earliest')
    .describe(
      "Where to begin on partitions that the flow and its group have no committed position of: 'earliest', 'latest', or the first record of a time (a date, ISO 8601 text, or ms). 'committed' stops the flow there instead. A committed position always goes first.",
    ),
  instance: z
    .string()
    .min(1)
    .optional()
    .describe(
      'The lasting name of this member, unique in the group: it keeps its partitions over a restart. Default: that of the process, if it has one.',
    ),
  partitions: z.int().positive().default(3).describe('How many partitions the topic gets if it has to be created.'),
  create: z
    .boolean()
    .default(false)
    .describe('Whether a missing topic is created; else it is waited for. On the embedded broker it always is.'),
  onGap: z
    .enum(['warn', 'fail'])
    .default('warn')
    .describe(
      'What becomes of a position before which retention, or somebody, has deleted: go on at the first record that is left and count what is lost, or stop.',
    ),
  onRecreated: z
    .enum(['fail', 'restart'])
    .default('fail')
    .describe('When the topic was deleted and created again: stop, or read the new one from its beginning.'),
  onTruncated: z
    .enum(['fail', 'earliest', 'latest'])
    .default('fail')
    .describe(
      'When a position lies beyond the end, because brokers have lost records: stop, read all that there is again, or go on with what comes.',
    ),
  onGrown: z
    .enum(['fail', 'accept'])
    .default('fail')
    .describe(
      'When the topic has another number of partitions and the flow keeps state by its keys: stop, or let keys that moved begin anew. Other flows go on in any case.',
    ),
  stallAfter: someTime
    .default(30_000)
    .describe('After how long without a record, while there are some to read, the consumer is built anew.'),
  reader: z
    .enum(['client', 'fetch'])
    .optional()
    .describe(
      "By which way records come: through the client, or fetched from the brokers past it, which is several times as fast. Default: 'fetch', where the connection's settings allow it.",
    ),
  client: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe("Further settings of the consumer, as librdkafka names them; they go before Weir's own."),
  connection: z.string().optional().describe('The Kafka connection, where there are several.'),
})

/** Reads topics as a member of a consumer group: each partition in order, from the committed position on. */
export const kafkaSource = defineSource({
  name: 'kafka.source',
  summary: 'Reads Kafka topics as a member of a consumer group.',
  connection: 'kafka',
  replayable: true,
  options,
  detail: ({ topic }) => [topic].flat().join(', '),
  reads: ({ topic, group, partitions, create, onRecreated, onGrown }) => ({
    topics: [topic].flat(),
    group,
    partitions,
    create,
    onRecreated,
    onGrown,
  }),
  way: (settings, connection) => declaredWay(settings, connection as ConnectionOptions),
  build({ topic, group, from, instance, stallAfter, connection: named, create, ...rest }, context) {
    const topics = [topic].flat()
    const { app, flow, stage, log, keeps, noticed } = context
    const connection = context.connection<KafkaConnection>('kafka', named)
    return new KafkaReader(connection, {
      ...rest,
      create: create || connection.isEmbedded,
      keeps,
      noticed,
      topics,
      group: group ?? `${app}.${flow}`,
      instance: instance ?? context.instance,
      from: spotOf(from),
      stallAfterMs: stallAfter,
      doing: `reading topic${topics.length > 1 ? 's' : ''} ${topics.map((name) => `'${name}'`).join(', ')} of flow '${flow}'`,
      place: { flow, stage },
      log,
    })
  },
})

function spotOf(from: z.output<typeof options>['from']): ReaderOptions['from'] {
  if (from === 'committed') return undefined
  if (from === 'earliest' || from === 'latest' || typeof from === 'number') return from
  return typeof from === 'string' ? isoReader()(from) : from.getTime()
}

export type KafkaSourceOptions = Configurable<z.input<typeof options>>

/** Reads topics. Values are the records' bytes, or null for a tombstone. */
export function source(options: KafkaSourceOptions): Source<KafkaValue> {
  return kafkaSource.declare(options)
}
