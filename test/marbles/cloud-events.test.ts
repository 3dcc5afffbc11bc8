import { map } from 'rxjs'
import { describe, expect, test } from 'vitest'
import type { CloudEvent, CloudEventInput, StreamRecord } from '../../src/index.js'
import { type CloudEventsEncodeOptions, cloudEvents } from '../../src/operators/cloud-events.js'
import { eventTime } from '../../src/operators/event-time.js'
import { marbles, testRecord } from '../../src/testing/marbles.js'
import { batched, ceHeaders, least, structured } from '../support/cloudevents.js'

const json = (members: object = {}) => JSON.stringify({ ...least, ...members })
const binary = ceHeaders(least, 'application/json')
const event = { ...least, extensions: {} }

describe('cloudEvents.decode', () => {
  test(
    'reads events of JSON, of headers, and of neither',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records<Buffer | string | null>('-a-b-c-d-|', {
        a: testRecord(Buffer.from(json({ data: { n: 1 } })), { headers: structured }),
        b: testRecord(Buffer.from('{"n":2}'), { headers: binary }),
        c: testRecord(null, { headers: binary }),
        d: testRecord(json({ data: 3 })),
      })
      const subs = '                                      ^--------!'
      const expected = '                                  -a-b-c-d-|'

      expectRecords(source.pipe(operator(cloudEvents.decode()))).toBe(expected, {
        a: { ...event, data: { n: 1 } },
        b: { ...event, datacontenttype: 'application/json', data: { n: 2 } },
        c: { ...event, datacontenttype: 'application/json' },
        d: { ...event, data: 3 },
      })
      expectSubscriptions(source.subscriptions).toBe(subs)
    }),
  )

  test(
    'makes a record of each event of a batch, and sends each that is none to the dead letters, alone',
    marbles(({ operator, records, rejections, flush, expectRecords, expectRejections, expectSubscriptions }) => {
      const batch = `[ ${json({ id: 'x' })},{"id":"y" }, ${json({ id: 'z', data: 'ü' })} ]`
      const headers = [{ other: 'kept' }, ...batched]
      const source = records<Buffer | string>('-a-b-|', {
        a: testRecord(Buffer.from(batch), { headers, offset: 7 }),
        b: testRecord('[]', { headers }),
      })
      const subs = '          ^----!'
      const expected = '      -(xz)|'

      expectRecords(source.pipe(operator(cloudEvents.decode()))).toBe(expected, {
        x: { ...event, id: 'x' },
        z: { ...event, id: 'z', data: 'ü' },
      })
      expectRejections('-y', { y: 'WEIR_RECORD_NO_CLOUDEVENT' })
      expectSubscriptions(source.subscriptions).toBe(subs)
      flush()
      expect(rejections[0]?.error.message).toBe(
        'reading a CloudEvent: source: it is missing; specversion: it is missing; type: it is missing',
      )
      const { origin } = rejections[0]?.record ?? testRecord('')
      expect(origin).toMatchObject({ topic: 'test', partition: 0, offset: 7, value: '{"id":"y" }' })
      expect(origin.headers).toEqual([{ other: 'kept' }, ...structured])
    }),
  )

  test(
    'sends what is no event, and what can not be decoded, to the dead letters',
    marbles(({ operator, records, rejections, flush, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records<Buffer | string | null>('abcdefgh|', {
        a: json({ source: '' }),
        b: '{"id":"1"',
        c: Buffer.from([0x22, 0xff, 0x22]),
        d: null,
        e: testRecord('x', { headers: [{ 'content-type': 'application/cloudevents+avro' }] }),
        f: testRecord('{}', { headers: [{ 'content-type': 'application/json' }] }),
        g: testRecord(json(), { headers: batched }),
        h: { id: 'decoded' } as never,
      })
      const subs = '                                      ^-------!'

      expectRecords(source.pipe(operator(cloudEvents.decode()))).toBe('--------|')
      const [m, n] = ['WEIR_RECORD_MALFORMED', 'WEIR_RECORD_NO_CLOUDEVENT']
      expectRejections('abcdefgh', { a: n, b: m, c: m, d: m, e: m, f: n, g: n, h: m })
      expectSubscriptions(source.subscriptions).toBe(subs)
      flush()
      expect(rejections.map(({ error }) => [error.message.replace('reading a CloudEvent: ', ''), error.hint])).toEqual([
        ['source: expected a URI-reference that is not empty, got ""', undefined],
        [`it ends where '}' is expected`, undefined],
        ['the bytes are no UTF-8', undefined],
        ['the value is null (a tombstone)', 'Filter tombstones out before.'],
        ['"application/cloudevents+avro" is no format that is read here', 'Send application/cloudevents+json.'],
        [
          'id: it is missing; source: it is missing; specversion: it is missing; type: it is missing',
          'An event that is JSON as a whole has the content type application/cloudevents+json.',
        ],
        [expect.stringMatching(/^expected an array of events, got \{"id":"1"/), undefined],
        ['expected bytes or text, got object', 'The stage before has decoded already.'],
      ])
    }),
  )

  test.each([
    ['fail', '-#', '', '^!'],
    ['skip', '---|', '-r', '^--!'],
  ] as const)('by policy %s', (onError, expected, rejected, subs) => {
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('-a-|', { a: '{}' })
      const code = 'WEIR_RECORD_NO_CLOUDEVENT'
      expectRecords(source.pipe(operator(cloudEvents.decode({ onError })))).toBe(expected, {}, code)
      expectRejections(rejected, { r: code })
      expectSubscriptions(source.subscriptions).toBe(subs)
    })()
  })

  test(
    'keeps key, timestamp and headers, and eventTime reads the time of the event',
    marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
      const made = (time?: string) => testRecord(json({ time }), { key: 'k', headers: [{ h: '1' }], timestamp: 7 })
      const [leap, precise] = ['2016-12-31T23:59:60Z', '2024-05-17t10:00:00.123456789z']
      const source = records('abc|', { a: made(leap), b: made(precise), c: made() })
      const times = eventTime<CloudEvent>((event, record) => event.time ?? record.timestamp, { maxAhead: false })
      const seen$ = source.pipe(
        operator(cloudEvents.decode()),
        operator(times),
        map(({ key, timestamp, headers, value: { time } }) => ({ key, timestamp, headers, time })),
      )
      const kept = { key: 'k', headers: [{ h: '1' }] }
      expectObservable(seen$).toBe('abc|', {
        a: { ...kept, timestamp: Date.UTC(2017, 0), time: leap },
        b: { ...kept, timestamp: Date.UTC(2024, 4, 17, 10, 0, 0, 123), time: precise },
        c: { ...kept, timestamp: 7, time: undefined },
      })
      expectSubscriptions(source.subscriptions).toBe('^--!')
    }),
  )

  test(
    'leaves JSON as it came where it is raw',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const data = '{ "b":12345678901234567890, "a":1.0, "b" : -0.0e-1,"\\u00e9":"é" }'
      const raw = (at: string, type = '') =>
        `{"data":${at}${type},"id":"1","source":"/tests","specversion":"1.0","type":"test"}`
      const plain = ',"datacontenttype":"text/plain"'
      const source = records<Buffer | string>('abcdef|', {
        a: raw(data),
        b: testRecord(Buffer.from(` ${data}\n`), { headers: binary }),
        c: raw('"a\\nb"', plain),
        d: testRecord('a\nb', { headers: ceHeaders(least, 'text/plain') }),
        e: testRecord(Buffer.from([1, 255]), { headers: ceHeaders(least, 'application/x') }),
        f: raw('null'),
      })
      const [jsonType, textType] = ['application/json', 'text/plain']
      expectRecords(source.pipe(operator(cloudEvents.decode({ data: 'raw' })))).toBe('abcdef|', {
        a: { ...event, data },
        b: { ...event, datacontenttype: jsonType, data },
        c: { ...event, datacontenttype: textType, data: 'a\nb' },
        d: { ...event, datacontenttype: textType, data: 'a\nb' },
        e: { ...event, datacontenttype: 'application/x', data: Buffer.from([1, 255]) },
        f: { ...event, data: 'null' },
      })
      expectSubscriptions(source.subscriptions).toBe('^-----!')
    }),
  )

  test(
    'has bounds for what nests, and for integers',
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const text = '{"n":[9007199254740993]}'
      const source = records('a|', { a: json().replace('}', `,"data":${text}}`) })
      const { rejects, ...rest } = {
        rejects: cloudEvents.decode(),
        bigint: cloudEvents.decode({ bigIntegers: 'bigint' }),
        text: cloudEvents.decode({ bigIntegers: 'text' }),
      }
      expectRecords(source.pipe(operator(rejects))).toBe('-|')
      expectRecords(source.pipe(operator(cloudEvents.decode({ depth: 1 })))).toBe('-|')
      expectRecords(source.pipe(operator(rest.bigint))).toBe('a|', {
        a: { ...event, data: { n: [9007199254740993n] } },
      })
      expectRecords(source.pipe(operator(rest.text))).toBe('a|', { a: { ...event, data: { n: ['9007199254740993'] } } })
      expectRejections('(rs)', { r: 'WEIR_RECORD_NO_CLOUDEVENT', s: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe(Array.from({ length: 4 }, () => '^!'))
    }),
  )

  test(
    'leaves its source when it is left, and passes on its error',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('-a-a-a-|', { a: json() })
      expectRecords(source.pipe(operator(cloudEvents.decode())), '----!').toBe('-x-x-', { x: event })
      expectSubscriptions(source.subscriptions).toBe('                  ^---!')
      const failing = records('-a-#', { a: json() })
      expectRecords(failing.pipe(operator(cloudEvents.decode()))).toBe('        -x-#', { x: event })
      expectSubscriptions(failing.subscriptions).toBe('                 ^--!')
    }),
  )
})

describe('cloudEvents.encode', () => {
  const full = {
    ...least,
    subject: 'a/b',
    time: '2018-04-05T17:31:00.000000001+02:00',
    datacontenttype: 'application/json',
    dataschema: 'urn:a:b',
    extensions: { traceparent: '00-1', number: -5, flag: true, none: undefined as never },
  }

  /** What becomes of a record: its value as text, and its headers. */
  const written = map((record: StreamRecord<Buffer | null>) => [record.value?.toString() ?? null, record.headers])

  test(
    'writes one JSON text',
    marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
      const source = records<CloudEventInput>('abcd|', {
        a: testRecord(
          { ...full, data: { n: [1, 'ü'] } },
          {
            headers: [
              { kept: '1' },
              ...ceHeaders({ id: 'old' }, 'text/plain'),
              { 'Content-Type': 'old' },
              { CE_Source: 'old' },
            ],
          },
        ),
        b: { id: '1', source: '/tests', type: 'test' },
        c: { ...least, data: Buffer.from([1, 255]) },
        d: { ...least, datacontenttype: 'text/xml', data: '<a b="c"/>' },
      })
      const attributes =
        '"id":"1","source":"/tests","specversion":"1.0","type":"test","subject":"a/b","time":"2018-04-05T17:31:00.000000001+02:00"'
      const few = '"id":"1","source":"/tests","specversion":"1.0","type":"test"'
      expectObservable(source.pipe(operator(cloudEvents.encode()), written)).toBe('abcd|', {
        a: [
          `{${attributes},"datacontenttype":"application/json","dataschema":"urn:a:b","traceparent":"00-1","number":-5,"flag":true,"data":{"n":[1,"ü"]}}`,
          [{ kept: '1' }, ...structured],
        ],
        b: [`{${few}}`, structured],
        c: [`{${few},"data_base64":"Af8="}`, structured],
        d: [`{${few},"datacontenttype":"text/xml","data":"<a b=\\"c\\"/>"}`, structured],
      })
      expectSubscriptions(source.subscriptions).toBe('^---!')
    }),
  )

  test(
    'writes data alone, with attributes as headers',
    marbles(({ operator, records, expectObservable, expectSubscriptions }) => {
      const source = records<CloudEventInput>('abcde|', {
        a: { ...full, data: { n: 1n } },
        b: least,
        c: { ...least, data: 'text' },
        d: { ...least, datacontenttype: 'text/plain', data: '' },
        e: { ...least, data: new Uint8Array([65]) },
      })
      const { extensions, datacontenttype, ...attributes } = full
      const headers = ceHeaders({ ...attributes, traceparent: '00-1', number: -5, flag: true }, datacontenttype)
      expectObservable(source.pipe(operator(cloudEvents.encode({ mode: 'binary' })), written)).toBe('abcde|', {
        a: ['{"n":1}', headers],
        b: [null, ceHeaders(least)],
        c: ['"text"', ceHeaders(least, 'application/json')],
        d: ['', ceHeaders(least, 'text/plain')],
        e: ['A', ceHeaders(least)],
      })
      expectSubscriptions(source.subscriptions).toBe('^----!')
      expect(extensions.flag).toBe(true)
    }),
  )

  test.each(['structured', 'binary'] as const)('writes raw JSON as it is: %s', (mode) => {
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const data = '{"b":12345678901234567890, "a":1.0,"b":2}'
      const source = records<CloudEventInput>('abc|', {
        a: { ...full, data },
        b: { ...least, datacontenttype: 'text/plain', data: '{' },
        c: { ...least, datacontenttype: 'application/x', data: Buffer.from('{') },
      })
      const stages = [cloudEvents.encode({ mode, data: 'raw' }), cloudEvents.decode({ data: 'raw' })] as const
      const { none: _, ...extensions } = full.extensions
      const texts = { traceparent: '00-1', number: '-5', flag: 'true' }
      expectRecords(source.pipe(operator(stages[0]), operator(stages[1]))).toBe('abc|', {
        a: { ...full, extensions: mode === 'binary' ? texts : extensions, data },
        b: { ...event, datacontenttype: 'text/plain', data: '{' },
        c: { ...event, datacontenttype: 'application/x', data: Buffer.from('{') },
      })
      expectSubscriptions(source.subscriptions).toBe('^--!')
    })()
  })

  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  const refused: [string, unknown, CloudEventsEncodeOptions?][] = [
    ['expected an event, got null', null],
    ['expected an event, got an array', []],
    ['expected an event, got "{}"', '{}'],
    ['expected an event, got an object', new Map()],
    ['id: it is missing; source: it is missing; type: it is missing', {}],
    ['specversion: expected "1.0", for no other version is read, got "0.3"', { ...least, specversion: '0.3' }],
    [
      'traceparent: the specification has no such attribute: extensions go into `extensions`',
      { ...least, traceparent: 'x' },
    ],
    ['extensions: expected an object, got an array', { ...least, extensions: [] }],
    ['id: it is an attribute of the specification, and no extension', { ...least, extensions: { id: 'x' } }],
    ['data: no attribute may have this name', { ...least, extensions: { data: 'x' } }],
    ['"Ext" can\'t name an attribute: expected letters from a to z and digits', { ...least, extensions: { Ext: 1 } }],
    [
      'ext: expected a boolean, an integer of 32 bits or a text of allowed characters, got 1.5',
      { ...least, extensions: { ext: 1.5 } },
    ],
    [
      'ext: expected a boolean, an integer of 32 bits or a text of allowed characters, got NaN',
      { ...least, extensions: { ext: Number.NaN } },
    ],
    [
      'ext: expected a boolean, an integer of 32 bits or a text of allowed characters, got "\\ud800"',
      { ...least, extensions: { ext: '\ud800' } },
    ],
    ['time: expected a date and time by RFC 3339, with its offset, got an object', { ...least, time: new Date(0) }],
    [
      'data: expected text or bytes for its media type, got an object',
      { ...least, datacontenttype: 'text/plain', data: {} },
    ],
    [
      'data: expected bytes for its media type, which is of another charset than UTF-8',
      { ...least, datacontenttype: 'text/plain; charset=utf-16', data: 'x' },
      { mode: 'binary' },
    ],
    [
      'data: text with half of a surrogate pair has no UTF-8',
      { ...least, datacontenttype: 'text/plain', data: '\ud800' },
      { mode: 'binary' },
    ],
    ['data: expected JSON: Converting circular structure to JSON', { ...least, data: cyclic }],
    ['data: expected JSON: a function', { ...least, data: () => 1 }],
    ['data: expected JSON as text, for it is raw, got an object', { ...least, data: {} }, { data: 'raw' }],
    ["data: expected JSON: it ends where '}' is expected", { ...least, data: '{"a":1' }, { data: 'raw' }],
    ['data: expected JSON: expected nothing more at byte 2', { ...least, data: '1 ,"id":"other"' }, { data: 'raw' }],
    ['data: expected JSON: it nests deeper than 1', { ...least, data: '[[]]' }, { data: 'raw', depth: 1 }],
    ['data: expected JSON: text with half of a surrogate pair', { ...least, data: '"\ud800"' }, { data: 'raw' }],
  ]

  test.each(refused)('refuses with "%s"', (message, value, options: CloudEventsEncodeOptions = {}) => {
    marbles(({ operator, records, rejections, flush, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('a|', { a: value as CloudEventInput })
      expectRecords(source.pipe(operator(cloudEvents.encode({ ...options, onError: 'dead-letter' })))).toBe('-|')
      expectRejections('a', { a: 'WEIR_RECORD_NO_CLOUDEVENT' })
      expectSubscriptions(source.subscriptions).toBe('^!')
      flush()
      expect(rejections[0]?.error.message).toContain(`writing a CloudEvent: ${message}`)
    })()
  })

  test(
    'ends the epoch unless it is told otherwise',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('-a-|', { a: {} as CloudEventInput })
      expectRecords(source.pipe(operator(cloudEvents.encode()))).toBe('-#', {}, 'WEIR_RECORD_NO_CLOUDEVENT')
      expectSubscriptions(source.subscriptions).toBe('^!')
    }),
  )
})
