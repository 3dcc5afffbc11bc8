import { describe, expect, test } from 'vitest'
import { placeOfOrigin, readLetter } from '../../src/codecs/dead-letter.js'
import { type Header, noHeaders, type Origin, StreamRecord, WeirError } from '../../src/model/index.js'
import { Draft } from '../../src/state/letter-protocol/index.js'

const text = (name: string, value: string): Header => ({ [name]: Buffer.from(value) })
const int = (name: string, value: number): Header => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return { [name]: bytes }
}
const long = (name: string, value: number): Header => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return { [name]: bytes }
}

/**
 * As `DeadLetterQueueReporter.populateContextHeaders` of Kafka Connect (2.0 to 4.1) adds them, in this order, numbers as
 * decimal text, with `errors.deadletterqueue.context.headers.enable`.
 */
const connect = [
  text('__connect.errors.topic', 'orders'),
  text('__connect.errors.partition', '2'),
  text('__connect.errors.offset', '9007199254740991'),
  text('__connect.errors.connector.name', 'jdbc-orders'),
  text('__connect.errors.task.id', '0'),
  text('__connect.errors.stage', 'VALUE_CONVERTER'),
  text('__connect.errors.class.name', 'org.apache.kafka.connect.json.JsonConverter'),
  text('__connect.errors.exception.class.name', 'org.apache.kafka.connect.errors.DataException'),
  text('__connect.errors.exception.message', 'Converting byte[] to Kafka Connect data failed'),
  text('__connect.errors.exception.stacktrace', 'org.apache…DataException: Converting\n\tat …'),
]

/**
 * As `DeadLetterPublishingRecoverer` of Spring Kafka (2.8 to 4.0) adds them: what was thrown first, then where, the partition
 * as 4 and the offset and time as 8 big-endian bytes.
 */
const spring = [
  text('kafka_dlt-exception-fqcn', 'org.springframework.kafka.listener.ListenerExecutionFailedException'),
  text('kafka_dlt-exception-cause-fqcn', 'java.lang.IllegalStateException'),
  text('kafka_dlt-exception-message', 'Listener method threw exception'),
  text('kafka_dlt-exception-stacktrace', 'org.springframework…\n\tat …'),
  text('kafka_dlt-original-topic', 'payments'),
  int('kafka_dlt-original-partition', 3),
  long('kafka_dlt-original-offset', 5_000_000_000),
  long('kafka_dlt-original-timestamp', 1_700_000_000_123),
  text('kafka_dlt-original-timestamp-type', 'CreateTime'),
  text('kafka_dlt-original-consumer-group', 'payments-service'),
]

/** As `KafkaMessageChannelBinder` of Spring Cloud Stream (3 and 4) adds them. */
const binder = [
  text('x-original-topic', 'clicks'),
  int('x-original-partition', 1),
  long('x-original-offset', 42),
  long('x-original-timestamp', 1_700_000_000_123),
  text('x-original-timestamp-type', 'CreateTime'),
  text('x-exception-fqcn', 'java.lang.RuntimeException'),
  text('x-exception-message', 'no'),
  text('x-exception-stacktrace', 'java.lang.RuntimeException: no'),
]

const own = [text('trace', 'a'), text('trace', 'b')]

describe('whoever wrote a dead letter, its headers tell where its record was and why it failed', () => {
  test("Weir's, as they are written", () => {
    const origin: Origin = {
      topic: 'orders',
      partition: 1,
      offset: 17,
      key: 'ann',
      value: Buffer.from('{'),
      timestamp: 1_700_000_000_000,
      headers: [...own, text('weir.replays', '2')],
    }
    const record = new StreamRecord('ann', Buffer.from('{'), 1_700_000_000_000, noHeaders, origin)
    const error = new WeirError('WEIR_RECORD_MALFORMED', 'decoding JSON: it ends too early')
    const { headers } = new Draft({ record, error, flow: 'billing', stage: 'json', attempts: 4 }).message({
      app: 'shop',
      now: 0,
    })
    const facts = readLetter(headers)
    expect(facts).toMatchObject({
      writer: 'weir',
      origin: { topic: 'orders', partition: 1, offset: 17 },
      flow: 'billing',
      stage: 'json',
      code: 'WEIR_RECORD_MALFORMED',
      message: 'decoding JSON: it ends too early',
      attempts: 4,
      replays: 2,
      cut: [],
      headers: origin.headers,
    })
    expect(placeOfOrigin(facts)).toBe('orders-1@17')
  })

  test("Kafka Connect's", () => {
    expect(readLetter([...own, ...connect])).toEqual({
      writer: 'connect',
      origin: { topic: 'orders', partition: 2, offset: 9_007_199_254_740_991, timestamp: undefined },
      flow: 'jdbc-orders',
      stage: 'VALUE_CONVERTER',
      code: 'org.apache.kafka.connect.errors.DataException',
      message: 'Converting byte[] to Kafka Connect data failed',
      stack: 'org.apache…DataException: Converting\n\tat …',
      attempts: undefined,
      replays: 0,
      cut: [],
      headers: own,
    })
  })

  test("Connect's of an exception without a message, whose header has no value", () => {
    const silent = connect.map((header) =>
      '__connect.errors.exception.message' in header
        ? ({ '__connect.errors.exception.message': null } as unknown as Header)
        : header,
    )
    expect(readLetter(silent)).toMatchObject({ writer: 'connect', message: undefined, headers: [] })
  })

  test("Spring Kafka's, whose numbers are bytes", () => {
    expect(readLetter([...own, ...spring])).toEqual({
      writer: 'spring',
      origin: { topic: 'payments', partition: 3, offset: 5_000_000_000, timestamp: 1_700_000_000_123 },
      flow: 'payments-service',
      stage: undefined,
      code: 'java.lang.IllegalStateException',
      message: 'Listener method threw exception',
      stack: 'org.springframework…\n\tat …',
      attempts: undefined,
      replays: 0,
      cut: [],
      headers: own,
    })
  })

  test("Spring's of a key that could not be read", () => {
    const key = spring
      .slice(4)
      .concat([
        text('kafka_dlt-key-exception-fqcn', 'org.springframework.kafka.support.serializer.DeserializationException'),
        text('kafka_dlt-key-exception-message', 'failed to deserialize'),
      ])
    expect(readLetter(key)).toMatchObject({
      code: 'org.springframework.kafka.support.serializer.DeserializationException',
      message: 'failed to deserialize',
      headers: [],
    })
  })

  test.each([
    ['as Spring Cloud Stream has it, in bytes', binder],
    [
      'as everybody else has it, in text',
      [
        text('x-original-topic', 'clicks'),
        text('x-original-partition', '1'),
        text('x-original-offset', '42'),
        text('x-original-timestamp', '1700000000123'),
        text('x-exception-fqcn', 'java.lang.RuntimeException'),
        text('x-exception-message', 'no'),
      ],
    ],
  ])('x-original-*, %s', (_, headers) => {
    expect(readLetter([...own, ...headers])).toMatchObject({
      writer: 'other',
      origin: { topic: 'clicks', partition: 1, offset: 42, timestamp: 1_700_000_000_123 },
      code: 'java.lang.RuntimeException',
      message: 'no',
      headers: own,
    })
  })

  test('numbers of 4 and 8 digits are text, and not bytes', () => {
    const headers = [
      text('x-original-topic', 'clicks'),
      text('x-original-partition', '1234'),
      text('x-original-offset', '12345678'),
    ]
    expect(readLetter(headers).origin).toMatchObject({ partition: 1_234, offset: 12_345_678 })
  })

  test('of none of them nothing is told, and nothing is taken away', () => {
    expect(readLetter(own)).toMatchObject({ writer: 'unknown', origin: undefined, headers: own })
  })

  test('a record that was a dead letter before has what it had then among its own headers', () => {
    expect(readLetter([...own, ...spring, ...connect])).toMatchObject({
      writer: 'connect',
      origin: { topic: 'orders' },
      headers: [...own, ...spring],
    })
    const again = spring.map((header) =>
      'kafka_dlt-original-topic' in header ? text('kafka_dlt-original-topic', 'later') : header,
    )
    const twice = readLetter([...own, ...connect, ...spring, ...again])
    expect(twice).toMatchObject({ writer: 'spring', origin: { topic: 'later' } })
    expect(twice.headers).toEqual([...own, ...connect, ...spring])
  })
})

test('what a letter was cut of, and the time that its topic refused', () => {
  const headers = [
    ...connect.slice(0, 8),
    text('weir.flow', 'billing'),
    text('weir.stage', 'json'),
    text('weir.attempts', '1'),
    text('weir.error.code', 'WEIR_RECORD_INVALID'),
    text('weir.cut', 'value,timestamp'),
    text('weir.value.bytes', '2000000'),
    text('weir.timestamp', '-5'),
  ]
  expect(readLetter(headers)).toMatchObject({
    writer: 'weir',
    cut: ['value', 'timestamp'],
    origin: { timestamp: -5 },
    message: undefined,
    headers: [],
  })
})
