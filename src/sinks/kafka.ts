import { z } from 'zod'
import { topicName, topicRule } from '../kafka/topic-name.js'
import {
  type Batch,
  type Configurable,
  clientDuration,
  defineSink,
  duration,
  errorPolicy,
  fn,
  type Header,
  type Key,
  type Sink,
  type StreamRecord,
} from '../model/index.js'
import { KafkaSinkTask } from './kafka/task.js'

type Of<R> = (value: never, record: StreamRecord) => R

const options = z.strictObject({
  topic: z
    .union([topicName, fn<Of<string>>()], `${topicRule}, or a function`)
    .describe('The topic, or a function of the value that names it.'),
  key: fn<Of<Key | undefined>>()
    .optional()
    .describe("The key, as a function of the value and its record. Default: the record's key."),
  value: fn<Of<unknown>>()
    .optional()
    .describe(
      'What is written: bytes and text as they are, null or undefined as a tombstone, all else as JSON. Default: the value.',
    ),
  headers: fn<Of<readonly Header[]>>()
    .optional()
    .describe(
      "The headers, as a function of the value and its record; the record's correlation id and trace are added where it gives none. Default: the record's.",
    ),
  timestamp: fn<Of<number>>()
    .optional()
    .describe("The timestamp in ms, as a function of the value and its record. Default: the record's."),
  partitions: z.int().positive().default(3).describe('How many partitions the topic gets if it has to be created.'),
  create: z.boolean().default(true).describe('Whether a missing topic is created, one that a record names too.'),
  deliveryTimeout: clientDuration
    .default(30_000)
    .describe(
      'How long the brokers may acknowledge nothing before the epoch fails. What a quota holds up counts for nothing.',
    ),
  compression: z
    .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    .default('none')
    .describe('How messages are compressed.'),
  linger: duration
    .refine((ms) => ms <= 900_000, "expected no more than '15m'")
    .default(0)
    .describe('How long a message may wait for others to share its request. Longer is less work and later.'),
  onError: errorPolicy
    .optional()
    .describe(
      'What becomes of a record that can not be written: `fail`, `dead-letter` (the default), `skip` or `retry({ tiers })`.',
    ),
  connection: z.string().optional().describe('The Kafka connection, where there are several.'),
})

/**
 * Writes each record to a topic at once. A record is rejected when no message can be made of it, or the brokers refuse
 * that message for what it is; the others are written.
 */
export const kafkaSink = defineSink({
  name: 'kafka.sink',
  summary: 'Writes records to a Kafka topic, idempotently and in the order of each key.',
  connection: 'kafka',
  options,
  onError: 'dead-letter',
  onErrorAlone: 'skip',
  guarantee: (_, joins) => (joins ? 'exactly-once' : 'at-least-once'),
  transactional: 'on-request',
  detail: ({ topic }) => (typeof topic === 'string' ? topic : 'topics by value'),
  writes: ({ topic }) => (typeof topic === 'string' ? topic : undefined),
  build: (settings, context) => new KafkaSinkTask(settings, context),
})

interface By<T, R> {
  (value: T, record: StreamRecord<T>): R
}

/** The options of `kafka.sink`, with functions that see the values of the flow. */
export type KafkaSinkOptions<T> = Configurable<
  Omit<z.input<typeof options>, 'topic' | 'key' | 'value' | 'headers' | 'timestamp'>
> & {
  readonly topic: Configurable<string> | By<T, string>
  readonly key?: By<T, Key | undefined>
  readonly value?: By<T, unknown>
  readonly headers?: By<T, readonly Header[]>
  readonly timestamp?: By<T, number>
}

/** Writes a flow's values, or each of the values that `batch` gathered, to a topic. */
export function sink<T>(options: KafkaSinkOptions<T>): Sink<T | Batch<T>> {
  return kafkaSink.declare(options)
}
