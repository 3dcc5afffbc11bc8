import { type DataOptions, httpHeaders, kafkaHeaders, MessageReader } from '../../src/codecs/cloudevents/index.js'
import { type CloudEvent, type Header, usualDepth, WeirError } from '../../src/index.js'

const usual: DataOptions = { data: 'parsed', depth: usualDepth, bigIntegers: 'reject' }

/** The least that an event has. */
export const least = { id: '1', source: '/tests', specversion: '1.0', type: 'test' } as const

export const structured: readonly Header[] = [{ 'content-type': 'application/cloudevents+json' }]
export const batched: readonly Header[] = [{ 'content-type': 'application/cloudevents-batch+json' }]

/** The headers of an event in binary mode. */
export function ceHeaders(attributes: object, contentType?: string): Header[] {
  const headers: Header[] = Object.entries(attributes).map(([name, value]) => ({ [`ce_${name}`]: String(value) }))
  return contentType === undefined ? headers : [...headers, { 'content-type': contentType }]
}

/** The event that a Kafka record holds. */
export function readKafka(
  value: Buffer | string | null,
  headers: readonly Header[] = structured,
  options: Partial<DataOptions> = {},
): CloudEvent {
  return new MessageReader({ ...usual, ...options }).read(value, kafkaHeaders(headers)) as CloudEvent
}

/** The event that an HTTP request holds; headers are names and values in turn. */
export function readHttp(body: string, headers: readonly string[]): CloudEvent {
  return new MessageReader(usual).read(Buffer.from(body), httpHeaders(headers)) as CloudEvent
}

/** An event of JSON with these members beside the least that there are. */
export function readJson(members: object, options: Partial<DataOptions> = {}): CloudEvent {
  return readKafka(JSON.stringify({ ...least, ...members }), structured, options)
}

/** What is told of that which can't be read. */
export function faultsOf(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    if (error instanceof WeirError) return error.message
    throw error
  }
  return 'nothing is wrong'
}
