import { checkedHeaders } from '../../kafka/headers.js'
import { checked } from '../../kafka/outgoing.js'
import type { OutgoingMessage } from '../../kafka/producer.js'
import {
  bytesOf,
  correlationHeader,
  correlationOf,
  type Header,
  headerOf,
  type Key,
  type StreamRecord,
  traceHeaders,
  traceOf,
} from '../../model/index.js'

type Of<R> = (value: never, record: StreamRecord) => R

/** What of a message is made of its value. */
export interface Making {
  readonly topic: string | Of<string>
  readonly key?: Of<Key | undefined> | undefined
  readonly value?: Of<unknown> | undefined
  readonly headers?: Of<readonly Header[]> | undefined
  readonly timestamp?: Of<number> | undefined
}

/** The message of a record. Errors: what a function throws; `UnencodableError` for what no message can have. */
export function messageOf({ topic, key, value, headers, timestamp }: Making, record: StreamRecord): OutgoingMessage {
  const given = record.value as never
  const made = key === undefined ? record.key : key(given, record)
  return checked({
    topic: typeof topic === 'string' ? topic : topic(given, record),
    key: made ?? null,
    value: bytesOf(value === undefined ? given : value(given, record)),
    timestamp: timestamp === undefined ? record.timestamp : timestamp(given, record),
    headers: correlated(
      headers === undefined ? record.headers : traced(checkedHeaders(headers(given, record)), record),
      record,
    ),
  })
}

/** What a function makes of the headers says nothing of where the record comes from: that goes with it all the same. */
function traced(headers: readonly Header[], record: StreamRecord): readonly Header[] {
  if (headerOf(headers, 'traceparent') !== undefined) return headers
  const trace = traceOf(record)
  return trace === undefined ? headers : [...headers, ...traceHeaders(trace)]
}

function correlated(headers: readonly Header[], record: StreamRecord): readonly Header[] {
  if (record.origin.offset < 0 || headerOf(headers, correlationHeader) !== undefined) return headers
  return [...headers, { [correlationHeader]: correlationOf(record) }]
}
