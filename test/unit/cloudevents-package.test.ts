import { HTTP, Kafka, CloudEvent as PackageEvent } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import type { Header } from '../../src/index.js'
import { ceHeaders, faultsOf, least, readHttp, readJson, readKafka, structured } from '../support/cloudevents.js'

/** Where the package `cloudevents` does otherwise than the specification, so does nothing here. */
const time = '2024-07-01T12:34:56.123456789+02:00'
const pairs = (headers: object) =>
  Object.entries(headers).flatMap(([name, value]): Header[] => (value === undefined ? [] : [{ [name]: String(value) }]))

describe('what the package `cloudevents` writes', () => {
  const given = new PackageEvent({
    ...least,
    time: '2024-07-01T12:34:56Z',
    datacontenttype: 'application/json',
    ext: 5,
    data: { n: 1 },
    partitionkey: 'k',
  })

  test('is read here, structured', () => {
    const { value, headers } = Kafka.structured(given)
    expect(readKafka(value, pairs(headers))).toEqual({
      ...least,
      time: '2024-07-01T12:34:56.000Z',
      datacontenttype: 'application/json',
      extensions: { ext: 5, partitionkey: 'k' },
      data: { n: 1 },
    })
  })

  test('is read here, binary, with its second header for the content type', () => {
    const { value, headers } = Kafka.binary(given)
    expect(headers).toHaveProperty('ce_datacontenttype')
    expect(readKafka(JSON.stringify(value), pairs(headers))).toEqual({
      ...least,
      time: '2024-07-01T12:34:56Z',
      datacontenttype: 'application/json',
      extensions: { ext: '5', partitionkey: 'k' },
      data: { n: 1 },
    })
  })

  test('is read here, over HTTP', () => {
    const { headers, body } = HTTP.binary(given)
    const namesAndValues = Object.entries(headers).flatMap(([name, value]) => [name, String(value)])
    expect(readHttp(body as string, namesAndValues)).toMatchObject({ ...least, data: { n: 1 } })
  })
})

describe('what it lets through is refused', () => {
  const validates = (members: object) => {
    try {
      return new PackageEvent({ ...least, ...members }).validate()
    } catch {
      return false
    }
  }

  test.each([
    ['an empty source', { source: '' }],
    ['another version', { specversion: '0.4' }],
    ['capital letters in extensions', { MyExt: 'x' }],
  ])('%s', (_, members) => {
    const value = JSON.stringify({ ...least, time, ...members })
    const message = { value, headers: { 'content-type': 'application/cloudevents+json' } }
    expect(Kafka.toEvent(message as never)).toMatchObject(members)
    expect(faultsOf(() => readKafka(value, structured))).toContain('reading a CloudEvent: ')
    expect(faultsOf(() => readKafka('x', ceHeaders({ ...least, ...members, my_ext: 'x' })))).toContain(
      'reading a CloudEvent: ',
    )
  })

  test('a missing id, for which it makes one', () => {
    const { id: _, ...without } = least
    const message = {
      value: JSON.stringify({ ...without, time }),
      headers: { 'content-type': 'application/cloudevents+json' },
    }
    const made = [1, 2].map(() => (Kafka.toEvent(message as never) as PackageEvent).id)
    expect(made[0]).not.toBe(made[1])
    expect(faultsOf(() => readKafka(message.value))).toBe('reading a CloudEvent: id: it is missing')
  })

  test('a time with a blank and no offset', () => {
    expect(validates({ time: '2024-07-01 12:34:56' })).toBe(true)
    expect(faultsOf(() => readJson({ time: '2024-07-01 12:34:56' }))).toContain('time: expected')
  })
})

describe('what it refuses or alters is kept', () => {
  test('an event without a time', () => {
    const message = { value: JSON.stringify(least), headers: { 'content-type': 'application/cloudevents+json' } }
    expect(() => Kafka.toEvent(message as never)).toThrow(RangeError)
    expect(readKafka(message.value)).not.toHaveProperty('time')
    expect(readKafka('x', ceHeaders(least))).not.toHaveProperty('time')
  })

  test('the text of a time', () => {
    const value = JSON.stringify({ ...least, time })
    const read = Kafka.toEvent({
      value,
      headers: { 'content-type': 'application/cloudevents+json' },
    } as never) as PackageEvent
    expect(read.time).toBe('2024-07-01T10:34:56.123Z')
    expect(readKafka(value).time).toBe(time)
    expect(readKafka('x', ceHeaders({ ...least, time })).time).toBe(time)
  })

  test('headers as bytes, and of upper case', () => {
    const bytes = ceHeaders(least, 'text/plain').map((header) =>
      Object.fromEntries(
        Object.entries(header).map(([name, value]) => [name.toUpperCase(), Buffer.from(value as string)]),
      ),
    )
    expect(() => Kafka.toEvent({ value: 'x', headers: Object.assign({}, ...bytes) } as never)).toThrow('startsWith')
    expect(readKafka('x', bytes)).toEqual({ ...least, datacontenttype: 'text/plain', extensions: {}, data: 'x' })
  })

  test('base64 as bytes, in Kafka and HTTP alike', () => {
    const body = JSON.stringify({ ...least, time, data_base64: 'AP8=' })
    const overHttp = HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body }) as PackageEvent
    expect(overHttp.data).toBeInstanceOf(Uint32Array)
    for (const event of [readKafka(body), readHttp(body, ['content-type', 'application/cloudevents+json'])])
      expect(event.data).toEqual(Buffer.from([0, 255]))
  })

  test('JSON by its media type', () => {
    const headers = ceHeaders({ ...least, time }, 'application/vnd.x+json')
    const read = Kafka.toEvent({
      value: Buffer.from('{"n":1}'),
      headers: Object.assign({}, ...headers),
    } as never) as PackageEvent
    expect(read.data).not.toEqual({ n: 1 })
    expect(readKafka(Buffer.from('{"n":1}'), headers).data).toEqual({ n: 1 })
  })
})
