import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { kafkaHeaders, MessageReader } from '../../src/codecs/cloudevents/index.js'
import type { CloudEvent } from '../../src/index.js'
import { batched, ceHeaders, faultsOf, readHttp, readKafka } from '../support/cloudevents.js'

/** What the scenarios of the bindings say, for Kafka and for HTTP. */
const hello = {
  id: '1234-1234-1234',
  specversion: '1.0',
  type: 'com.example.someevent',
  source: '/mycontext/subcontext',
  time: '2018-04-05T03:56:24Z',
} as const
const data = { message: 'Hello World!' }
const pretty = JSON.stringify(data, null, 4)
const whole = JSON.stringify({ ...hello, datacontenttype: 'application/json', data }, null, 4)

describe('Kafka binding', () => {
  test.each(['application/json', 'application/json; charset=utf-8', 'application/vnd.x+json', 'Text/JSON'])(
    'binary, %s',
    (type) => {
      const event = readKafka(Buffer.from(pretty), ceHeaders(hello, type))
      expect(event).toEqual({ ...hello, datacontenttype: type, extensions: {}, data })
    },
  )

  test.each([
    'application/cloudevents+json',
    'application/cloudevents+json; charset=utf-8',
    'application/cloudevents+json;charset=UTF-8',
    'Application/CloudEvents+JSON',
  ])('structured, %s', (type) => {
    const event = readKafka(Buffer.from(whole), [{ 'content-type': Buffer.from(type) }])
    expect(event).toEqual({ ...hello, datacontenttype: 'application/json', extensions: {}, data })
  })

  test('structured, with the headers of binary beside it, which do not count', () => {
    const headers = [
      ...ceHeaders({ id: 'another', specversion: '0.3' }),
      { 'content-type': 'application/cloudevents+json' },
    ]
    expect(readKafka(whole, headers).id).toBe(hello.id)
  })

  test.each([
    'application/cloudevents',
    'application/cloudevents+avro',
    'application/cloudevents+jsonx',
    'application/cloudevents-batch+avro',
    'application/cloudevents-x+json',
  ])('no other format: %s', (type) => {
    const read = () => readKafka(whole, [{ 'content-type': type }])
    expect(faultsOf(read)).toBe(`reading a CloudEvent: "${type}" is no format that is read here`)
  })
})

describe('HTTP binding', () => {
  const headers = Object.entries(hello).flatMap(([name, value]) => [`ce-${name}`, value])

  test.each(['application/json', 'application/json; charset=utf-8'])('binary, %s', (type) => {
    const event = readHttp(pretty, ['Host', 'example.com', ...headers, 'Content-Type', type, 'Content-Length', '33'])
    expect(event).toEqual({ ...hello, datacontenttype: type, extensions: {}, data })
  })

  test.each(['application/cloudevents+json', 'application/cloudevents+json; charset=utf-8'])(
    'structured, %s',
    (type) => {
      const event = readHttp(whole, ['content-type', type])
      expect(event).toEqual({ ...hello, datacontenttype: 'application/json', extensions: {}, data })
    },
  )
})

/** An event of the format's tests, with these members. */
const minimal = {
  specversion: '1.0',
  id: 'minimal',
  type: 'io.cloudevents.test',
  source: 'https://cloudevents.io',
} as const
const allCore = {
  ...minimal,
  id: 'allCore',
  datacontenttype: 'text/plain',
  dataschema: 'https://cloudevents.io/dataschema',
  subject: 'tests',
  time: '2018-04-05T17:31:00Z',
}
const extensions = {
  extinteger: 10,
  extboolean: true,
  extstring: 'text',
  exturi: 'https://cloudevents.io',
  exturiref: '//authority/path',
  exttimestamp: '2023-03-31T15:12:00Z',
  extbinary: 'TWE=',
}
const read = (members: object) => readKafka(JSON.stringify(members))

describe('JSON format', () => {
  test.each<[string, object, object]>([
    ['minimal', minimal, {}],
    ['null for optional', { ...minimal, datacontenttype: null, dataschema: null, subject: null, time: null }, {}],
    ['a relative source', { ...minimal, source: '#fragment' }, { source: '#fragment' }],
    ['all core attributes', allCore, allCore],
    [
      'text',
      { ...minimal, datacontenttype: 'text/plain', data: 'Simple text' },
      { datacontenttype: 'text/plain', data: 'Simple text' },
    ],
    ['all types of extensions', { ...minimal, ...extensions }, { extensions }],
    ['JSON without a media type', { ...minimal, data: { a: 1 } }, { data: { a: 1 } }],
    ['text without a media type', { ...minimal, data: 'just a {"string"}' }, { data: 'just a {"string"}' }],
    ['null', { ...minimal, data: null }, { data: null }],
    [
      'null of XML',
      { ...minimal, datacontenttype: 'application/xml', data: '<much wow="xml"/>' },
      { datacontenttype: 'application/xml', data: '<much wow="xml"/>' },
    ],
    [
      'bytes',
      { ...minimal, datacontenttype: 'application/octet-stream', data_base64: 'AP8=' },
      { datacontenttype: 'application/octet-stream', data: Buffer.from([0, 255]) },
    ],
    [
      'bytes without a media type',
      { ...minimal, data_base64: 'eyAieHl6IjogMTIzIH0=' },
      { data: Buffer.from('{ "xyz": 123 }') },
    ],
    ['no bytes', { ...minimal, data_base64: '' }, { data: Buffer.alloc(0) }],
    [
      'JSON as bytes',
      { ...minimal, datacontenttype: 'application/json', data_base64: 'eyAieHl6IjogMTIzIH0=' },
      { datacontenttype: 'application/json', data: { xyz: 123 } },
    ],
    [
      'text as bytes',
      { ...minimal, datacontenttype: 'text/plain', data_base64: 'w6Q=' },
      { datacontenttype: 'text/plain', data: 'ä' },
    ],
    [
      'text of another charset as bytes',
      { ...minimal, datacontenttype: 'text/plain', data_base64: '5A==' },
      { datacontenttype: 'text/plain', data: Buffer.from([0xe4]) },
    ],
  ])('%s', (_, members, expected) => {
    expect(read(members)).toEqual({ ...minimal, id: (members as { id: string }).id, extensions: {}, ...expected })
  })

  test.each<[string, object, string]>([
    [
      'data beside data_base64',
      { data: 'text', data_base64: 'eyAieHl6IjogMTIzIH0=' },
      'data_base64: it stands beside data',
    ],
    [
      'null beside data_base64',
      { data: null, data_base64: 'eyAieHl6IjogMTIzIH0=' },
      'data_base64: it stands beside data',
    ],
    ['base64 that is none', { data_base64: '?' }, 'data_base64: expected base64, got "?"'],
    ['base64 without its end', { data_base64: 'TWE' }, 'data_base64: expected base64, got "TWE"'],
    ['base64 of URLs', { data_base64: '-_8=' }, 'data_base64: expected base64'],
    ['base64 with a blank', { data_base64: 'TWE=\n' }, 'data_base64: expected base64'],
    ['base64 that is no text', { data_base64: 7 }, 'data_base64: expected base64, got 7'],
    [
      'JSON in the place of XML',
      { datacontenttype: 'application/xml', data: { a: 1 } },
      'data: expected a text, for its media type is not JSON, got {"a":1}',
    ],
    [
      'null in the place of text',
      { datacontenttype: 'text/plain', data: null },
      'data: expected a text, for its media type is not JSON, got null',
    ],
    [
      'bytes in the place of JSON',
      { datacontenttype: 'application/json', data_base64: 'AP8=' },
      'data: expected JSON, but it is no UTF-8',
    ],
    [
      'text in the place of JSON',
      { datacontenttype: 'application/json', data_base64: 'TWE=' },
      'data: expected JSON: expected a value at byte 0, got "M"',
    ],
  ])('refuses %s', (_, members, message) => {
    expect(faultsOf(() => read({ ...minimal, ...members }))).toContain(`reading a CloudEvent: ${message}`)
  })

  test.each(['id', 'data', 'data_base64', 'subject', 'ext', 'time'])(
    'refuses a member that is there twice: %s',
    (name) => {
      const { id, ...others } = minimal
      const twice = ['null', '"AA=="'].map((value) => `"${name}":${value}`).join()
      const rest = name === 'id' ? others : { id, ...others }
      expect(faultsOf(() => readKafka(`{${twice},${JSON.stringify(rest).slice(1)}`))).toContain(
        `${name}: it is given twice`,
      )
    },
  )

  test('knows a name that is written with escapes', () => {
    expect(readKafka(JSON.stringify(minimal).replace('"id"', '"\\u0069\\u0064"')).id).toBe('minimal')
    expect(faultsOf(() => readKafka(JSON.stringify(minimal).replace('{', '{"\\u0069d":"x",')))).toContain(
      'id: it is given twice',
    )
    expect(readKafka(JSON.stringify(minimal).replace('"minimal"', '"\\u00e4\\ud83e\\udda6"')).id).toBe('ä🦦')
  })

  test('takes a byte order mark and white space around it', () => {
    expect(readKafka(Buffer.from(`\ufeff \r\n\t${JSON.stringify(minimal, null, 2)}\n`))).toEqual({
      ...minimal,
      extensions: {},
    })
  })
})

describe('batches', () => {
  const reader = new MessageReader({ data: 'parsed', depth: 100, bigIntegers: 'reject' })
  const readBatch = (batch: string) => {
    const found = reader.read(batch, kafkaHeaders(batched))
    return 'members' in found ? found.members : []
  }
  const outcome = (batch: readonly unknown[]) =>
    readBatch(JSON.stringify(batch)).map(({ event }) => (event instanceof Error ? event.message : event.id))

  test('have any number of events, equal ones too', () => {
    expect(outcome([])).toEqual([])
    expect(outcome([minimal, minimal, allCore, { ...minimal, ...extensions }])).toEqual([
      'minimal',
      'minimal',
      'allCore',
      'minimal',
    ])
  })

  test('tell of each event that is none, and of what is no event', () => {
    const { id: _, ...without } = minimal
    expect(outcome([{ ...minimal, specversion: '0.9' }, minimal, without, 'not an object', [minimal]])).toEqual([
      'reading a CloudEvent: specversion: expected "1.0", for no other version is read, got "0.9"',
      'minimal',
      'reading a CloudEvent: id: it is missing',
      'reading a CloudEvent: expected an object, got "not an object"',
      expect.stringContaining('reading a CloudEvent: expected an object, got [{'),
    ])
  })

  test.each(['[', `[${JSON.stringify(minimal)}`, `[${JSON.stringify(minimal)},]`, '[] []', '[1 2]'])(
    'that are no JSON have no events: %s',
    (batch) => {
      expect(() => readBatch(batch)).toThrow(expect.objectContaining({ code: 'WEIR_RECORD_MALFORMED' }))
    },
  )

  test('give each event with its own JSON, however long the others are', () => {
    const long = readBatch(JSON.stringify([minimal, { ...minimal, id: 'x'.repeat(1_000_000) }]))
    expect(long[0]).toEqual({
      event: { ...minimal, extensions: {} } satisfies CloudEvent,
      json: JSON.stringify(minimal),
    })
  })
})

describe('what is kept of an event', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heapBytes = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const id = (index: number) => `an id of more than a dozen characters: ${index}`
  const long = 'x'.repeat(200_000)
  const reader = new MessageReader({ data: 'raw', depth: 100, bigIntegers: 'reject' })

  test.each<[string, (index: number) => string]>([
    ['an event', (index) => readKafka(JSON.stringify({ ...minimal, id: id(index), data: long })).id],
    [
      'a batch',
      (index) => {
        const batch = JSON.stringify([
          { ...minimal, id: id(index) },
          { ...minimal, data: long },
        ])
        const read = reader.read(batch, kafkaHeaders(batched)) as { members: readonly { event: CloudEvent }[] }
        return read.members[0]?.event.id ?? ''
      },
    ],
  ])('does not hold all of %s', (_, read) => {
    const before = heapBytes()
    const kept = Array.from({ length: 200 }, (_, index) => read(index))
    expect(heapBytes() - before).toBeLessThan(15_000_000)
    expect(kept[199]).toBe(id(199))
  })
})

describe('headers', () => {
  const least = { id: '1', source: '/s', specversion: '1.0', type: 't' }

  test('of Kafka are text or UTF-8 bytes, of any case', () => {
    const headers = [
      { CE_ID: Buffer.from('ä%20') },
      { ce_source: '/s' },
      { Ce_SpecVersion: Buffer.from('1.0') },
      { CE_TYPE: 't' },
      { 'Content-Type': Buffer.from('application/json') },
      { ce_ext: Buffer.from('12') },
      { other: 'x' },
    ]
    expect(readKafka(Buffer.from('{}'), headers)).toEqual({
      ...least,
      id: 'ä%20',
      datacontenttype: 'application/json',
      extensions: { ext: '12' },
      data: {},
    })
  })

  test('may come again with the same, and not with something else', () => {
    const again = [
      ...ceHeaders(least, 'text/plain'),
      { CE_id: '1' },
      { 'content-type': 'text/plain' },
      { ce_datacontenttype: 'text/plain' },
    ]
    expect(readKafka('x', again)).toEqual({ ...least, datacontenttype: 'text/plain', extensions: {}, data: 'x' })
    const other = [...ceHeaders(least, 'text/plain'), { ce_ID: '2' }, { ce_datacontenttype: 'text/html' }]
    expect(faultsOf(() => readKafka('x', other))).toBe(
      'reading a CloudEvent: id: it is given twice; datacontenttype: it is given twice',
    )
  })

  test('that can not be read or named are faults', () => {
    const headers = [
      ...ceHeaders(least),
      { ce_subject: Buffer.from([0xff]) },
      { ce_my_ext: 'x' },
      { ce_data: 'x' },
      { ce_: 'x' },
    ]
    expect(faultsOf(() => readKafka('x', headers))).toBe(
      'reading a CloudEvent: subject: its header is no UTF-8; ' +
        `"my_ext" can't name an attribute: expected letters from a to z and digits; data: no attribute may have this name; ` +
        `"" can't name an attribute: expected letters from a to z and digits`,
    )
  })

  test('without a value say nothing', () => {
    expect(readKafka('x', [...ceHeaders(least), { ce_subject: null as never }])).toEqual({
      ...least,
      extensions: {},
      data: Buffer.from('x'),
    })
  })

  test.each([
    ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['%e2%82%ac', '€'],
    ['%41b%63', 'Abc'],
    ['"a b \\"c\\" \\\\"', 'a b "c" \\'],
    ['%2525', '%25'],
    ['a+b', 'a+b'],
    [' padded ', 'padded'],
    ['plain/text?&=', 'plain/text?&='],
  ])('of HTTP are decoded once: %s', (header, subject) => {
    const headers = Object.entries({ ...least, subject: header }).flatMap(([name, value]) => [`Ce-${name}`, value])
    expect(readHttp('', headers)).toEqual({ ...least, subject, extensions: {} })
  })

  test.each(['%C0%A0', '%ED%A0%80', '%FF', '100%', '%zz', '\u00e9'])(
    'of HTTP are percent-encoded UTF-8: %s',
    (subject) => {
      const headers = Object.entries({ ...least, subject }).flatMap(([name, value]) => [`ce-${name}`, value])
      expect(faultsOf(() => readHttp('', headers))).toBe(
        'reading a CloudEvent: subject: its header is not percent-encoded UTF-8',
      )
    },
  )

  test('of HTTP have no ce-datacontenttype, and none that comes twice', () => {
    const headers = Object.entries({ ...least, datacontenttype: 'a/b' }).flatMap(([name, value]) => [
      `ce-${name}`,
      value,
    ])
    expect(faultsOf(() => readHttp('x', [...headers, 'CE-ID', '2']))).toBe(
      'reading a CloudEvent: datacontenttype: its header is content-type, and not ce-datacontenttype; id: it is given twice',
    )
  })
})

describe('data of a message', () => {
  const least = { id: '1', source: '/s', specversion: '1.0', type: 't' }
  const dataOf = (value: Buffer | string | null, type?: string) => readKafka(value, ceHeaders(least, type)).data

  test.each<[string, Buffer | string | null, string | undefined, unknown]>([
    ['none', null, 'application/json', undefined],
    ['an empty message in the place of JSON', '', 'application/json', undefined],
    ['an empty message of no type', '', undefined, undefined],
    ['an empty text', '', 'text/plain', ''],
    ['no bytes', '', 'application/x', Buffer.alloc(0)],
    ['bytes of no type', '{}', undefined, Buffer.from('{}')],
    ['bytes of another type', '{}', 'application/x', Buffer.from('{}')],
    ['JSON with a byte order mark', '\ufeff{}', 'application/json', {}],
    ['text', 'ä', 'text/plain', 'ä'],
    ['text in ASCII', 'a', 'text/plain; charset=us-ascii', 'a'],
    ['text of another charset', Buffer.from([0xe4]), 'text/plain; charset=iso-8859-1', Buffer.from([0xe4])],
    ['UTF-8 that says that it is not', 'ä', 'text/plain; charset="iso-8859-1"', Buffer.from('ä')],
    ['text that is no UTF-8', Buffer.from([0xe4]), 'text/plain', Buffer.from([0xe4])],
    ['XML', '<a/>', 'image/svg+xml', '<a/>'],
  ])('%s', (_, value, type, expected) => {
    expect(dataOf(value, type)).toEqual(expected)
  })

  test('that is not the JSON that it says is a fault', () => {
    expect(faultsOf(() => dataOf("I'm just a string", 'application/json'))).toContain(
      'data: expected JSON: expected a value at byte 0',
    )
    expect(faultsOf(() => dataOf(Buffer.from([0x22, 0xe4, 0x22]), 'application/json'))).toContain(
      'data: expected JSON, but it is no UTF-8',
    )
  })
})
