import { Kafka, CloudEvent as PackageEvent } from 'cloudevents'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventWriter, kafkaHeaders, MessageReader } from '../../src/codecs/cloudevents/index.js'
import type { CloudEvent, Header } from '../../src/index.js'
import { readKafka } from '../support/cloudevents.js'
import { areCapturesHere, captured, invented } from '../support/wikimedia-captures.js'

const allowed = (text: string) => !/[\p{Cc}\p{Cs}\p{NChar}]/u.test(text)
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' })).filter(allowed)
const filled = text.filter((each) => each !== '')
const uri = fc.oneof(fc.webUrl({ withFragments: false, withQueryParameters: true }), fc.constantFrom('urn:a:b', 'x:'))
const digits = fc.integer({ min: 0, max: 999_999_999 }).map((fraction) => (fraction === 0 ? '' : `.${fraction}`))
const offset = fc.constantFrom('Z', 'z', '+00:00', '-11:30', '+14:00')
const time = fc
  .tuple(fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }), digits, offset)
  .map(([date, fraction, zone]) => `${date.toISOString().slice(0, 19)}${fraction}${zone}`)
const nameOfExtension = fc
  .stringMatching(/^[a-z0-9]{1,24}$/)
  .filter((name) => !/^(data|id|source|type|specversion|subject|time|datacontenttype|dataschema)$/.test(name))
const integer = fc.integer().map((each) => each + 0)
const extensions = fc.dictionary(nameOfExtension, fc.oneof(text, fc.boolean(), integer), { noNullPrototype: true })
const plainJson = fc
  .jsonValue({ maxDepth: 5, noUnicodeString: false })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
const data = fc.oneof(
  plainJson.map((value) => ({ data: value, datacontenttype: 'application/vnd.x+json' })),
  fc.string({ unit: 'grapheme' }).map((value) => ({ data: value, datacontenttype: 'text/plain' })),
  fc.uint8Array().map((bytes) => ({ data: Buffer.from(bytes), datacontenttype: 'application/octet-stream' })),
  fc.constant({}),
)
const event: fc.Arbitrary<CloudEvent> = fc
  .record(
    {
      id: filled,
      source: uri,
      specversion: fc.constant('1.0' as const),
      type: filled,
      extensions,
      subject: filled,
      time,
      dataschema: uri,
    },
    { requiredKeys: ['id', 'source', 'specversion', 'type', 'extensions'], noNullPrototype: true },
  )
  .chain((attributes) => data.map((more) => ({ ...attributes, ...more })))

const written = (given: unknown, mode: 'structured' | 'binary', form: 'parsed' | 'raw' = 'parsed') =>
  new EventWriter({ mode, data: form, depth: 100 }).write(given)
const readAgain = (given: CloudEvent, mode: 'structured' | 'binary') => {
  const { value, headers } = written(given, mode)
  return readKafka(value, headers.map(asBytes))
}
/** As the client gives them. */
const asBytes = (header: Header): Header =>
  Object.fromEntries(Object.entries(header).map(([name, held]) => [name, Buffer.from(held as string)]))

describe('an event that is written and read again', () => {
  test('is the same, as a JSON text', () => {
    fc.assert(
      fc.property(event, (given) => {
        expect(readAgain(given, 'structured')).toEqual(given)
      }),
      { numRuns: 500 },
    )
  })

  test('is the same, with headers, but that all extensions are text', () => {
    fc.assert(
      fc.property(event, (given) => {
        const texts = Object.fromEntries(Object.entries(given.extensions).map(([name, value]) => [name, String(value)]))
        expect(readAgain(given, 'binary')).toEqual({ ...given, extensions: texts })
      }),
      { numRuns: 500 },
    )
  })

  test('has its JSON to the last character where that is raw', () => {
    const spaced = fc.tuple(plainJson, fc.nat({ max: 4 })).map(([value, indent]) => JSON.stringify(value, null, indent))
    fc.assert(
      fc.property(event, spaced, fc.constantFrom('structured' as const, 'binary' as const), (given, json, mode) => {
        const { value, headers } = written({ ...given, datacontenttype: 'text/json', data: json }, mode, 'raw')
        expect(readKafka(value, headers, { data: 'raw' }).data).toBe(json)
        expect(readKafka(value, headers).data).toEqual(JSON.parse(json))
      }),
    )
  })

  test('is what the package `cloudevents` reads, as a JSON text', () => {
    fc.assert(
      fc.property(event, (given) => {
        const { value, headers } = written({ ...given, time: given.time ?? '2018-04-05T17:31:00Z' }, 'structured')
        const read = Kafka.toEvent<unknown>({
          value: String(value),
          headers: Object.assign({}, ...headers),
        } as never) as PackageEvent<unknown>
        const { id, source, type, subject, dataschema, datacontenttype } = given
        expect(read).toMatchObject({ id, source, type, ...given.extensions })
        expect([read.subject, read.dataschema, read.datacontenttype]).toEqual([subject, dataschema, datacontenttype])
        if (Buffer.isBuffer(given.data)) expect(Buffer.from(read.data_base64 ?? '', 'base64')).toEqual(given.data)
        else if ('data' in given) expect(read.data).toEqual(given.data)
      }),
    )
  })

  test('is what the package `cloudevents` reads, with headers', () => {
    fc.assert(
      fc.property(event, (given) => {
        const sent = { ...given, datacontenttype: 'application/json', data: { n: [1] } }
        const { value, headers } = written(sent, 'binary')
        const read = Kafka.toEvent<unknown>({ value: String(value), headers: Object.assign({}, ...headers) } as never)
        const { id, source, type } = given
        expect(read).toMatchObject({ id, source, type, data: { n: [1] } })
      }),
    )
  })
})

test('an event is read the same, whatever its reader has read before', () => {
  const options = { data: 'raw', depth: 100, bigIntegers: 'reject' } as const
  const few = fc.record({
    source: fc.constantFrom('/a', '/b', '/ab', 'x:y', ''),
    type: fc.constantFrom('a', 'ab', 'b', 'ä', '"', '\\', ''),
    datacontenttype: fc.constantFrom('text/plain', 'a/json', 'a/json; charset=utf-8', 'a', null),
    dataschema: fc.constantFrom('u:1', 'u:2', '#'),
    trace: fc.constantFrom('1', 2, true, null),
    tracestate: fc.constantFrom('1', '2'),
    traceparent: fc.constantFrom('1', '2'),
    sequence: fc.constantFrom('1', 2),
    sequencetype: fc.constantFrom('1', '2'),
    subject: fc.constantFrom('s', 'ü'),
    data: fc.constantFrom('x', 'y'),
    id: fc.constantFrom('1', '2'),
    specversion: fc.constantFrom('1.0', '1.0', '1.0', '1.00'),
  })
  const shuffled = few.chain((members) => fc.shuffledSubarray(Object.entries(members), { minLength: 9 }))
  const texts = fc.array(
    fc
      .tuple(shuffled, fc.constantFrom(0, 0, 0, 1))
      .map(([entries, indent]) => JSON.stringify(Object.fromEntries(entries), null, indent)),
    { minLength: 2, maxLength: 40 },
  )
  const outcome = (reader: MessageReader, json: string) => {
    try {
      return reader.read(Buffer.from(json), kafkaHeaders([]))
    } catch (error) {
      return (error as Error).message
    }
  }
  let events = 0
  fc.assert(
    fc.property(texts, (all) => {
      const reader = new MessageReader(options)
      for (const json of all) {
        const read = outcome(reader, json)
        if (typeof read !== 'string') events++
        expect(read).toEqual(outcome(new MessageReader(options), json))
      }
    }),
    { numRuns: 300 },
  )
  expect(events).toBeGreaterThan(20)
})

const changes = areCapturesHere ? captured('recentchange-2026-05-05.ndjson.gz') : invented(500)

describe('recorded changes of Wikimedia', () => {
  test.each(['structured', 'binary'] as const)('come back as they were, %s', (mode) => {
    expect(changes.length).toBeGreaterThan(400)
    for (const { data } of changes) {
      const { meta } = JSON.parse(data) as { meta: { id: string; dt: string; uri?: string } }
      const given: CloudEvent = {
        id: meta.id,
        source: 'https://stream.wikimedia.org/v2/stream/recentchange',
        specversion: '1.0',
        type: 'org.wikimedia.recentchange',
        time: meta.dt,
        datacontenttype: 'application/json',
        extensions: { partitionkey: meta.id },
        data,
      }
      const { value, headers } = written(given, mode, 'raw')
      expect(readKafka(value, headers, { data: 'raw' })).toEqual(given)
      expect(readKafka(value, headers)).toEqual({ ...given, data: JSON.parse(data) })
    }
  })
})
