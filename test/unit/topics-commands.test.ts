import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ageText } from '../../src/cli/groups/group.js'
import { targetOf } from '../../src/cli/groups/target.js'
import { recordFilter } from '../../src/cli/topics/filter.js'
import { linesOf } from '../../src/cli/topics/lines.js'
import { rangeOf } from '../../src/cli/topics/range.js'
import { type ShownOptions, showing } from '../../src/cli/topics/shown.js'
import type { Message } from '../../src/kafka/client.js'
import { weirIn } from '../support/weir.js'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-topics-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const plain = (_: unknown, text: string) => text
const time = Date.parse('2026-01-31T12:00:00Z')

function message(value: Buffer | string | null, more: Partial<Message> = {}): Message {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return {
    topic: 'events',
    partition: 1,
    offset: 100,
    key: Buffer.from('7'),
    value: bytes,
    timestamp: time,
    size: 0,
    ...more,
  }
}

const line = (of: Message, options: ShownOptions = {}) => showing(options, plain)(of, undefined)
const json = async (of: Message) => JSON.parse(await line(of, { json: true })) as Record<string, unknown>

describe('what is asked for', () => {
  test.each([
    [['browse', 't', '--from', 'begin'], "--from: 'begin' is no offset: write a number, 'earliest' or 'latest'"],
    [['browse', 't', '--since', 'noon'], "--since: 'noon' is no time; write 2026-01-31T12:00:00Z, or 10m"],
    [['browse', 't', '--since', '1m', '--until', '2m'], '--until: there is nothing between it and --since'],
    [['browse', 't', '--partition', '-1'], "--partition: '-1' is no number of a partition"],
    [['browse', 't', '--limit', 'many'], "--limit: 'many' is no number of records"],
    [['browse', 't', '--limit', 'all'], 'say --from earliest'],
    [['tail', 't', '--limit', '0'], "--limit: '0' is no number of records"],
    [['produce', 't', '--key', 'a', '--parse-key'], '--key and --parse-key: say one of them'],
    [['produce', 't', 'value', '--parse-key'], '--parse-key is for lines of the input'],
    [['produce', 't', 'value', '--tombstone'], 'a tombstone has no value'],
    [['produce', 't', 'value', '--header', 'trace'], "--header: 'trace' is no header: write name=value"],
    [['produce', '__consumer_offsets', 'value'], "'__consumer_offsets' can't be the name of a topic to write to"],
    [['produce', 't'], 'there is no input to read lines from'],
    [['ls', '--brokers', 'kafka://localhost:9092'], "--brokers: expected 'host:port,host:port'"],
    [['ls', '--brokers', 'embedded'], "--brokers: expected 'host:port,host:port'"],
    [['ls'], 'which brokers? There is no flows.config.ts here: name them with --brokers host:port'],
  ])('%j is refused before anybody is asked', async (argv, said) => {
    const told = await weirIn(cwd, ['topics', ...argv])
    expect(told.said).toContain(said)
    expect(told.code).toBe(2)
  })

  test('a configuration that does not load says why, and does not ask for brokers', async () => {
    writeFileSync(join(cwd, 'flows.config.ts'), 'export default {')
    const told = await weirIn(cwd, ['topics', 'ls'])
    expect(told.said).toContain('flows.config.ts')
    expect(told.said).not.toContain('--brokers')
    expect(told.code).toBe(78)
  })

  test('times are dates, or so long ago', () => {
    expect(rangeOf({ since: '10m', until: '2026-01-31T12:00:00Z', from: '5' }, time)).toEqual({
      from: 5,
      partition: undefined,
      since: time - 600_000,
      until: time,
    })
  })

  test.each([
    ['earliest', 'earliest'],
    ['17', 17],
    ['+5', { by: 5 }],
    ['-5', { by: -5 }],
    ['1h', { time: time - 3_600_000 }],
    ['2026-01-31', { time: Date.parse('2026-01-31') }],
  ])('%s is a place to go to', (text, target) => expect(targetOf(text, time)).toEqual(target))

  test.each(['', ' ', 'soon', '1e3', '--1', '1.5'])("'%s' is none", (text) =>
    expect(() => targetOf(text, time)).toThrow(`--to: '${text}' is no position`),
  )

  test.each([
    [0, '0 s'],
    [59_400, '59 s'],
    [3_599_000, '59 min 59 s'],
    [7_260_000, '2 h 1 min'],
    [90_000_000, '1 d 1 h'],
    [undefined, '–'],
  ])('%s ms are told as %s', (ms, text) => expect(ageText(ms)).toBe(text))
})

describe('a record on a line', () => {
  test('has its place, time, key and value', async () => {
    expect(await line(message('{ "a" : [ 1, 2 ],\n "b": " x " }'))).toBe(
      'events-1@100  2026-01-31T12:00:00.000Z  7  {"a":[1,2],"b":" x "}',
    )
    expect(await line(message(null, { key: null, timestamp: -1 }))).toBe('events-1@100  –  –  null')
  })

  test('what a terminal would obey never reaches it', async () => {
    const evil = '\u001b]0;title\u0007\u009b31m\r\u202e\u0000'
    const of = message(evil, { key: Buffer.from('\u001b[2J'), headers: [{ '\u001b[H': Buffer.from(evil) }] })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
    for (const options of [{}, { full: true }, { json: true }])
      expect(await line(of, options)).not.toMatch(/[\0-\x1f\x7f-\x9f\u202e]/)
    expect(await json(message('a\u009bb'))).toMatchObject({ value: 'a\u009bb' })
  })

  test('a megabyte of bytes is a line of bounded length, unless all is asked for', async () => {
    const of = message(Buffer.alloc(1_048_576, 0xff))
    const short = await line(of)
    expect(short.length).toBeLessThan(700)
    expect(short).toContain('0xffffffff')
    expect(short).toContain('… (1,048,576 bytes: --full shows all)')
    expect(await line(of, { full: true })).toHaveLength(short.indexOf('0xff') + 2 + 2 * 1_048_576)
  })

  test('as JSON its value is what it was, with numbers that JavaScript has not', async () => {
    const text = '{"id":12345678901234567890,"amount":0.10000000000000000001}'
    expect(await line(message(text), { json: true })).toContain(`"value":${text}}`)
    expect(await json(message('{"a":1}', { headers: [{ trace: Buffer.from('x') }] }))).toEqual({
      topic: 'events',
      partition: 1,
      offset: 100,
      time: '2026-01-31T12:00:00.000Z',
      key: '7',
      headers: [{ name: 'trace', value: 'x' }],
      format: 'JSON',
      bytes: 7,
      value: { a: 1 },
    })
    expect(await json(message('plain'))).toMatchObject({ format: 'text', value: 'plain' })
    expect(await json(message(Buffer.from([255])))).toMatchObject({ format: 'bytes', value: '0xff' })
    expect(await json(message(null))).toMatchObject({ format: 'null', value: null })
  })
})

test('records are meant by time, key and text', () => {
  const is = (asked: { key?: string; grep?: string; since?: number; until?: number }, of = message('{"a":"text"}')) =>
    recordFilter(asked, { since: asked.since, until: asked.until })(of, undefined)
  expect(is({ key: '7', grep: 'tex', since: time, until: time + 1 })).toBe(true)
  expect(is({ key: '0x37' })).toBe(true)
  expect(is({ key: '0x37' }, message('', { key: '0x37' }))).toBe(true)
  expect(is({ key: '8' })).toBe(false)
  expect(is({ key: '7' }, message('', { key: null }))).toBe(false)
  expect(is({ grep: 'other' })).toBe(false)
  expect(is({ grep: 'a' }, message(null))).toBe(false)
  expect(is({ since: time + 1 })).toBe(false)
  expect(is({ until: time })).toBe(false)
})

test('lines are cut where they end, wherever chunks do', async () => {
  const chunks = [Buffer.from('one\ntw'), Buffer.from('o\r\n\n'), Buffer.from([0xff, 0x0a]), 'last']
  const found: string[][] = []
  for await (const lines of linesOf(Readable.from(chunks))) found.push(lines.map((bytes) => bytes.toString('latin1')))
  expect(found).toEqual([['one'], ['two', ''], ['ÿ'], ['last']])
})
