import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Decoder } from '../../src/sources/sse/decoder.js'

const limit = 1_000

/** What one response makes, its bytes cut at these places. */
function decode(body: string | Uint8Array, cuts: readonly number[] = [], maxEventBytes = limit) {
  const bytes = Buffer.from(body as string)
  const retries: number[] = []
  const decoder = new Decoder(maxEventBytes, (ms) => retries.push(ms))
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const pieces = [0, ...ends].map((from, index) => bytes.subarray(from, ends[index]))
  const all = pieces.flatMap((piece) => [...decoder.decode(piece)])
  const events = all.filter((event) => event.data !== undefined)
  return { events, all, retries, data: events.map(({ data }) => data) }
}

/** Format cases as the public conformance tests of server-sent events have them: a stream and the data of its events. */
const cases: readonly (readonly [name: string, stream: string, data: readonly string[]])[] = [
  ['LF', 'data:a\n\ndata:b\n\n', ['a', 'b']],
  ['CR', 'data:a\r\rdata:b\r\r', ['a', 'b']],
  ['CRLF', 'data:a\r\n\r\ndata:b\r\n\r\n', ['a', 'b']],
  ['all line endings mixed', 'data:a\r\n\ndata:b\n\r\ndata:c\r\n\rdata:d\n\rdata:e\r\n\r\n', ['a', 'b', 'c', 'd', 'e']],
  ['a BOM', '\uFEFFdata:a\n\n', ['a']],
  ['only the first of two BOMs', '\uFEFF\uFEFFdata:a\n\ndata:b\n\n', ['b']],
  ['a BOM in the middle', 'data:a\n\n\uFEFFdata:b\n\ndata:c\n\n', ['a', 'c']],
  ['comments', ':\n: x\ndata:a\n:data:b\n\n:\n\ndata:c\n\n', ['a', 'c']],
  ['several lines of data', 'data:a\ndata\ndata:b\n\n', ['a\n\nb']],
  ['an empty line of data', 'data\n\ndata\ndata\n\ndata:x\n\n', ['', '\n', 'x']],
  ['one space after the colon', 'data: a\n\ndata:  b\n\ndata:\tc\n\n', ['a', ' b', '\tc']],
  ['a colon in the data', 'data:a:b\n\ndata::\n\n', ['a:b', ':']],
  ['unknown fields', 'data:a\n data:b\ndata \nDATA:c\nfoo:d\n\n', ['a']],
  ['no event without data', 'event:x\nid:1\n\nretry:5\n\n\n\ndata:a\n\n', ['a']],
  ['nothing for what is not complete', 'data:a\n\ndata:b\n', ['a']],
  ['nothing for a line that is not complete', 'data:a\n\ndata:b', ['a']],
  ['NUL in the data', 'data:\0a\n\n', ['\0a']],
  ['characters of one to four bytes', 'data:aä€🦦\u2028\u0085\n\n', ['aä€🦦\u2028\u0085']],
]

describe('reads', () => {
  test.each(cases)('%s', (_name, stream, data) => {
    expect(decode(stream).data).toEqual(data)
  })

  test.each(cases)('%s, in single bytes', (_name, stream, data) => {
    const bytes = Buffer.byteLength(stream)
    expect(
      decode(
        stream,
        Array.from({ length: bytes }, (_, at) => at),
      ).data,
    ).toEqual(data)
  })

  test('the same, wherever it is cut', () => {
    const line = fc.constantFrom('data:ä', 'data: 🦦b', 'data', 'id:€', 'id', 'event:x', ':c', 'x', 'retry:7', '', '')
    const ending = fc.constantFrom('\n', '\r', '\r\n')
    const streams = fc.array(fc.tuple(line, ending)).map((lines) => lines.flat().join(''))
    fc.assert(
      fc.property(streams, fc.array(fc.nat(400)), (stream, cuts) => {
        expect(decode(stream, cuts)).toEqual(decode(stream))
      }),
    )
  })

  test('an event as soon as its last line ends, though an LF may follow the CR', () => {
    const decoder = new Decoder(limit, () => undefined)
    expect(decoder.decode(Buffer.from('data:a\r\r')).map(({ data }) => data)).toEqual(['a'])
    expect(decoder.decode(Buffer.from('\ndata:b\r\n\r')).map(({ data }) => data)).toEqual(['b'])
    expect(decoder.decode(Buffer.from('\ndata:c\n\n')).map(({ data }) => data)).toEqual(['c'])
  })
})

describe('fields', () => {
  const ids = (stream: string) => decode(stream).events.map(({ id }) => id)

  test('an id without data moves the id of the stream, in its turn, and is no event', () => {
    const idsOf = (stream: string, cuts?: readonly number[]) =>
      decode(stream, cuts).all.map(({ id, data }) => [id, data])
    const stream =
      'id: 1\ndata:a\n\nid: 2\n\n: c\n\nevent:x\nid:3\nid:4\nretry:5\n\nid\n\nid: 6\ndatabase:x\n\nid: 7\ndata:b\n\n'
    const told = [
      ['1', 'a'],
      ['2', undefined],
      ['4', undefined],
      ['', undefined],
      ['6', undefined],
      ['7', 'b'],
    ]
    expect(idsOf(stream)).toEqual(told)
    expect(
      idsOf(
        stream,
        Array.from({ length: stream.length }, (_, at) => at),
      ),
    ).toEqual(told)
    expect(decode(stream).retries).toEqual([5])
    expect(idsOf('id: a\0b\n\n')).toEqual([])
  })

  test('an id is that of its event, and may be empty', () => {
    expect(ids('id: 1\ndata:a\n\ndata:b\n\nid\ndata:c\n\nid:\ndata:d\n\nid:  x\ndata:e\n\n')).toEqual([
      '1',
      undefined,
      '',
      '',
      ' x',
    ])
  })

  test('an id with NUL is no id, and leaves the one before it', () => {
    expect(ids('id:1\nid:2\0\ndata:a\n\nid:\0\ndata:b\n\n')).toEqual(['1', undefined])
  })

  test('the last of several counts', () => {
    expect(decode('event:x\nid:1\nevent:y\nid:2\ndata:a\n\n').events).toEqual([
      { id: '2', type: 'y', data: 'a', isTooLong: false },
    ])
  })

  test('a type is that of its event, and none if it is empty', () => {
    const { events } = decode('event: x\ndata:a\n\ndata:b\n\nevent:\ndata:c\n\n')
    expect(events.map(({ type }) => type)).toEqual(['x', undefined, undefined])
  })

  test('retry takes digits and nothing else', () => {
    const stream = 'retry:5\nretry: 30\nretry:1e3\nretry:-1\nretry:\nretry:6x\nretry\nretry:007\n\n'
    expect(decode(stream).retries).toEqual([5, 30, 7])
  })
})

describe('broken UTF-8', () => {
  const otter = [...Buffer.from('🦦')]
  const line = (...bytes: number[]) => Buffer.from([...Buffer.from('data:'), ...bytes, 10, 10])

  test.each([
    ['a byte that no character has', line(0x61, 0xff, 0x62), 'a\uFFFDb'],
    ['a character that is cut off', line(0x61, ...otter.slice(0, 3), 0x62), 'a\uFFFDb'],
    ['the end of a character alone', line(0x61, 0xbf, 0xbf), 'a\uFFFD\uFFFD'],
    ['an overlong form of a line ending', line(0x61, 0xc0, 0x8a), 'a\uFFFD\uFFFD'],
    ['half of a surrogate pair', line(0xed, 0xa0, 0x80), '\uFFFD\uFFFD\uFFFD'],
  ])('%s becomes U+FFFD', (_name, bytes, data) => {
    expect(decode(bytes).data).toEqual([data])
    expect(decode(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).data).toEqual([data])
  })
})

describe('what is too long', () => {
  const long = 'x'.repeat(limit)
  const brief = ({ events }: ReturnType<typeof decode>) =>
    events.map(({ data, isTooLong }) => (isTooLong ? 'too long' : data.slice(0, 3)))

  test.each([
    ['at the limit', `data:${long}\n\ndata:b\n\n`, ['xxx', 'b']],
    ['beyond the limit', `data:a\n\ndata:${long}x\n\ndata:b\n\n`, ['a', 'too long', 'b']],
    ['beyond it in several lines', `data:${long}\ndata:x\n\ndata:b\n\n`, ['too long', 'b']],
    ['beyond it in bytes', `data:${'ä'.repeat(limit / 2)}x\n\ndata:b\n\n`, ['too long', 'b']],
    ['without an end', `data:a\n\ndata:${long}${long}`, ['a', 'too long']],
    ['beyond it in a comment, which is no event', `:${long}${long}\n\ndata:b\n\n`, ['b']],
  ])('%s', (_name, stream, data) => {
    const cuts = Array.from({ length: 40 }, (_, index) => index * 100)
    expect(brief(decode(stream, cuts))).toEqual(data)
  })

  test.each(['\n', '\r', '\r\n'])('is skipped up to its end, wherever that is cut (%j)', (ending) => {
    const body = ['id:7', `data:${long}${long}`, '', 'id:8', 'data:b', '', ''].join(ending)
    const end = body.indexOf(`${ending}${ending}`)
    for (let cut = end - 1; cut < end + 6; cut++) {
      const { events } = decode(body, [500, 1_100, 1_600, cut])
      expect(events.map(({ id, isTooLong }) => [id, isTooLong])).toEqual([
        ['7', true],
        ['8', false],
      ])
    }
  })

  test('is skipped for as long as eight others might be, and no longer', () => {
    const decoder = new Decoder(limit, () => undefined)
    const piece = Buffer.from(long)
    const takes = () => decoder.decode(piece).length
    expect(Array.from({ length: 10 }, takes)).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(takes).toThrow('an event does not end')
  })

  test('leaves its beginning', () => {
    const { events } = decode(`data:${'y'.repeat(50_000)}`, [20_000, 40_000], 19_000)
    expect(events.map(({ data }) => data.length)).toEqual([16_384])
  })

  test('is not what comments are together that keep a quiet stream alive', () => {
    const pings = ': ping\n'.repeat(500)
    expect(
      decode(
        `data:a\n\n${pings}data:b\n\n`,
        Array.from({ length: 500 }, (_, index) => 8 + 7 * index),
      ).data,
    ).toEqual(['a', 'b'])
  })

  test('is not what a comment is whose line is longer than any event', () => {
    const body = `:${'c'.repeat(20 * limit)}\ndata:a\n\n`
    expect(decode(body, [limit, 5 * limit, 12 * limit, 20 * limit + 1])).toMatchObject({ all: [{ data: 'a' }] })
  })

  test('is not what many short events are together', () => {
    const stream = ': comment\n\ndata:a\n\n'.repeat(500)
    expect(decode(stream, [999, 2_500, 5_001]).data).toHaveLength(500)
  })
})
