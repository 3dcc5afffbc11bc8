import { z } from 'zod'
import {
  type Batched,
  type CloudEvent,
  CloudEventError,
  type CloudEventInput,
  dataOptions,
  EventWriter,
  isEventHeader,
  kafkaHeaders,
  MessageReader,
  type RawData,
  type Written,
} from '../codecs/cloudevents/index.js'
import {
  defineOperator,
  type Header,
  noHeaders,
  type Operator,
  type Origin,
  operate,
  StreamRecord,
  usualDepth,
} from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Encoded = Buffer | string | null

export interface CloudEventsDecodeOptions extends RejectingStage {
  /**
   * Whether data that is JSON is parsed, or stays the text that it is, to the last digit: several times as fast.
   * Default `parsed`.
   */
  readonly data?: 'parsed' | 'raw'
  /** How deep arrays and objects may nest in the data. Default 100. */
  readonly depth?: number
  /**
   * What becomes of integers in parsed data that a number would alter, as it does most of those beyond 2^53: the event is
   * rejected, or they become `bigint`, or their digits as `text`. Default `reject`.
   */
  readonly bigIntegers?: 'reject' | 'bigint' | 'text'
}

export interface CloudEventsEncodeOptions extends RejectingStage {
  /** Whether the event is one JSON text, or its data alone with the attributes as headers. Default `structured`. */
  readonly mode?: 'structured' | 'binary'
  /** Whether text in the place of JSON is written as a JSON text, or is that JSON, as decoding it `raw` left it. Default `parsed`. */
  readonly data?: 'parsed' | 'raw'
  /** How deep raw JSON may nest. Default 100. */
  readonly depth?: number
}

export const cloudEventsDecode = defineOperator({
  name: 'cloudEvents.decode',
  summary: 'Decodes CloudEvents 1.0, and checks each of their attributes.',
  onError: 'dead-letter',
  options: z.strictObject({ ...dataOptions, ...rejectingStage }),
  build: (options, context) => {
    const reader = new MessageReader(options)
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        let read: CloudEvent | Batched
        try {
          read = reader.read(record.value, kafkaHeaders(record.headers))
        } catch (error) {
          return context.reject(record, error)
        }
        if (!isBatched(read)) return output.next(record.with(read))
        for (const { event, json } of read.members) {
          const single = alone(record, json)
          if (event instanceof CloudEventError) context.reject(single, event)
          else output.next(single.with(event))
        }
      },
    }))
  },
})

export const cloudEventsEncode = defineOperator({
  name: 'cloudEvents.encode',
  summary: 'Encodes CloudEvents 1.0, as a JSON text or with their attributes as headers.',
  onError: 'fail',
  options: z.strictObject({
    mode: z
      .enum(['structured', 'binary'])
      .default('structured')
      .describe('Whether the event is one JSON text, or its data alone with the attributes as headers.'),
    data: z
      .enum(['parsed', 'raw'])
      .default('parsed')
      .describe(
        'Whether text in the place of JSON becomes a JSON text, or is that JSON, as decoding it `raw` left it.',
      ),
    depth: z.int().min(1).default(usualDepth).describe('How deep raw JSON may nest.'),
    ...rejectingStage,
  }),
  build: (options, context) => {
    const writer = new EventWriter(options)
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        let written: Written
        try {
          written = writer.write(record.value)
        } catch (error) {
          return context.reject(record, error)
        }
        const { key, timestamp, origin, behindMs } = record
        const headers = [...record.headers.filter(isKept), ...written.headers]
        output.next(new StreamRecord(key, written.value, timestamp, headers, origin, behindMs))
      },
    }))
  },
})

export const cloudEvents = {
  /**
   * Decodes events of CloudEvents 1.0 by its Kafka binding, and checks every attribute by the words of the specification.
   * Which of these a record is, its header `content-type` says: `application/cloudevents+json` is one event as JSON,
   * `application/cloudevents-batch+json` an array of them, each of which becomes a record; anything else is the data of an
   * event whose attributes are the headers `ce_…`. A record without any of these headers is read as one event as JSON.
   *
   * The value is plain data: the attributes under their names (`time` as the text that it is, and not there where it is
   * not), `extensions`, and `data`: parsed where `datacontenttype` is JSON or an event of JSON has none, text where it is
   * text or XML in UTF-8, else a `Buffer`. With `data: 'raw'` JSON stays the text that it is, to the last digit, blank and
   * repeated member. Attributes that are null are not there. The record keeps its headers, key and timestamp;
   * `eventTime((event, record) => event.time ?? record.timestamp)` takes the event's.
   *
   * What is no event is rejected with WEIR_RECORD_NO_CLOUDEVENT, which names all that is wrong with it; what is no JSON or
   * UTF-8, nests deeper than `depth`, is a tombstone, or an event in another format than JSON, with WEIR_RECORD_MALFORMED.
   * By default both go to the dead letters; an event of a batch goes there alone, and the others go on.
   */
  decode<T = unknown, Form extends 'parsed' | 'raw' = 'parsed'>(
    options: CloudEventsDecodeOptions & { readonly data?: Form } = {},
  ): Operator<Encoded, CloudEvent<Form extends 'raw' ? RawData : T>> {
    return cloudEventsDecode.declare(options)
  },

  /**
   * Encodes events of CloudEvents 1.0 for a sink that takes bytes: each as one JSON text, or with `mode: 'binary'` as its
   * data alone (null without any, which is a tombstone to a compacted topic) and the headers `ce_…`. Headers of an event
   * that the record had before go, the others stay. Nothing is made up: an event brings its `id`, and has no `time` where it
   * brings none.
   *
   * Data is written as JSON where `datacontenttype` is that, or not there; bytes as they are, in JSON as `data_base64`. With
   * `data: 'raw'` text in the place of JSON is that JSON. What is no event, or has data that its media type can't have, is
   * rejected with WEIR_RECORD_NO_CLOUDEVENT, which by default ends the epoch.
   */
  encode(options: CloudEventsEncodeOptions = {}): Operator<CloudEventInput, Buffer | null> {
    return cloudEventsEncode.declare(options)
  },
}

function isBatched(read: CloudEvent | Batched): read is Batched {
  return 'members' in read
}

function isKept(header: Header): boolean {
  return !Object.keys(header).some(isEventHeader)
}

/** An event of a batch as a record of its own: as a dead letter it is that event, and the others don't come again with it. */
function alone(record: StreamRecord, json: string): StreamRecord {
  const { key, timestamp, headers, origin, behindMs } = record
  return new StreamRecord(key, json, timestamp, headers, readAlone(origin, json), behindMs)
}

function readAlone(
  { topic, partition, offset, key, timestamp, headers = noHeaders, from }: Origin,
  json: string,
): Origin {
  const single = [...headers.filter(isKept), { 'content-type': 'application/cloudevents+json' }]
  return {
    topic,
    partition,
    offset,
    key,
    value: json,
    timestamp,
    headers: single,
    from: from === undefined ? undefined : readAlone(from, json),
  }
}
