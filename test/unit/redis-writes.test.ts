import { describe, expect, test } from 'vitest'
import { noHeaders, StreamRecord } from '../../src/model/index.js'
import { KeyTypes } from '../../src/redis/key-types.js'
import { WritePlan } from '../../src/redis/write-plan.js'
import { operationsOf, type RedisAppend, type RedisWrite } from '../../src/redis/writes.js'

type Write = RedisWrite | RedisAppend

const recordOf = (offset: number) =>
  new StreamRecord(null, undefined, 0, noHeaders, { topic: 'items', partition: 0, offset })

/** The commands that writes amount to, each with the offsets of the records that asked for it. */
function planned(writes: readonly Write[]) {
  const plan = new WritePlan()
  for (const [offset, write] of writes.entries()) {
    for (const operation of operationsOf(write, recordOf(offset))) plan.add(operation)
  }
  return plan.commands().map(({ words, records }) => [words.join(' '), records.map(({ origin }) => origin.offset)])
}

const words = (write: Write) => planned([write]).map(([text]) => text)

describe('a write is', () => {
  test.each<[Write, string[]]>([
    [{ hash: 'h', field: 'f', value: 1 }, ['hset h f 1']],
    [{ hash: 'h', field: 7, value: null }, ['hdel h 7']],
    [{ hash: 'h', fields: { a: 'x', b: null, c: undefined, d: true } }, ['hset h a x d true', 'hdel h b']],
    [{ sortedSet: 'z', member: 'm', score: 1.5 }, ['zadd z 1.5 m']],
    [{ sortedSet: 'z', member: 'm', score: Number.NEGATIVE_INFINITY }, ['zadd z -inf m']],
    [{ sortedSet: 'z', member: 3, score: null }, ['zrem z 3']],
    [{ string: 's', value: 'text' }, ['set s text']],
    [{ string: 's', value: { a: [1, null] } }, ['set s {"a":[1,null]}']],
    [{ string: 's', value: 9_007_199_254_740_993n, ttl: '2s' }, ['set s 9007199254740993 PX 2000']],
    [{ string: 's', value: null, ttl: '2s' }, ['del s']],
    [{ remove: 'k' }, ['del k']],
    [{ stream: 'x', fields: { a: 1, b: undefined, c: 'd' } }, ['xadd x * a 1 c d']],
    [{ stream: 'x', fields: { a: 1 }, maxLength: 100 }, ['xadd x MAXLEN ~ 100 * a 1']],
  ])('%o', (write, commands) => expect(words(write)).toEqual(commands))

  test('bytes as they are', () => {
    const [operation] = operationsOf({ string: 's', value: new Uint8Array([0, 255]) }, recordOf(0))
    expect(operation?.words).toEqual([new Uint8Array([0, 255])])
  })

  test.each<[unknown, string]>([
    [{ hash: 'h', field: 'f', value: undefined }, "undefined can't be written (column f)"],
    [{ hash: 'h', field: 'f', value: Number.NaN }, "NaN can't be written (column f)"],
    [{ string: 's', value: { of: new Map() } }, 'JSON keeps nothing of a Map (column s)'],
    [{ string: 's', value: Infinity }, "Infinity can't be written (column s)"],
    [{ hash: '\uD800', field: 'f', value: 1 }, 'half of a surrogate pair'],
    [{ hash: 'h', fields: { '\uD800': 1 } }, 'half of a surrogate pair'],
    [{ stream: 'x', fields: { '\uD800': 1 } }, 'half of a surrogate pair'],
    [{ sortedSet: 'z', member: 'm', score: Number.NaN }, 'NaN is no score (column m)'],
    [{ sortedSet: 'z', member: 'm', score: '1' }, '1 is no score (column m)'],
    [{ hash: undefined, field: 'f', value: 1 }, 'a undefined is no name of a key, field or member'],
    [{ stream: 'x', fields: {} }, 'an entry of a stream needs a field'],
  ])('refused: %o', (write, text) => {
    expect(() => operationsOf(write as Write, recordOf(0))).toThrow(text.replace(/ \(column .*\)/, ''))
  })
})

describe('writes that are carried out together', () => {
  test('the last one of a part counts, for all that asked for one', () => {
    expect(
      planned([
        { hash: 'h', field: 'a', value: 1 },
        { hash: 'h', field: 'b', value: 2 },
        { hash: 'h', field: 'a', value: 3 },
        { sortedSet: 'z', member: 'a', score: 1 },
        { sortedSet: 'z', member: 'a', score: null },
        { string: 's', value: 1 },
        { string: 's', value: 2, ttl: 500 },
      ]),
    ).toEqual([
      ['hset h b 2 a 3', [1, 0, 2]],
      ['zrem z a', [3, 4]],
      ['set s 2 PX 500', [5, 6]],
    ])
  })

  test('what is about a whole key keeps its place among the others', () => {
    expect(
      planned([
        { hash: 'k', field: 'a', value: 1 },
        { hash: 'k', field: 'b', value: 1 },
        { remove: 'k' },
        { hash: 'k', field: 'a', value: 2 },
      ]),
    ).toEqual([
      ['hset k b 1', [1]],
      ['del k', [2]],
      ['hset k a 2', [0, 3]],
    ])
  })

  test('every entry of a stream counts', () => {
    const entry = { stream: 'x', fields: { a: 1 } }
    expect(planned([entry, entry])).toEqual([
      ['xadd x * a 1', [0]],
      ['xadd x * a 1', [1]],
    ])
  })

  test('a command has no more than it can take', () => {
    const writes = Array.from({ length: 1_200 }, (_, field): RedisWrite => ({ hash: 'h', field, value: field }))
    const commands = planned(writes)
    expect(commands.map(([, offsets]) => (offsets as number[]).length)).toEqual([500, 500, 200])
  })
})

describe('what keys hold', () => {
  const admitted = async (held: Record<string, string>, writes: readonly Write[]) => {
    const types = new KeyTypes()
    const operations = writes.flatMap((write) => operationsOf(write, recordOf(0)))
    const client = { type: (key: string) => Promise.resolve(held[key] ?? 'none') }
    await types.learn(client as never, operations)
    return operations.map((operation) => /holds a (\w+)/.exec(types.admit(operation)?.message ?? '')?.[1] ?? 'taken')
  }

  test('decides what they take', async () => {
    const writes: Write[] = [
      { hash: 'counts', field: 'a', value: 1 },
      { sortedSet: 'counts', member: 'a', score: 1 },
      { hash: 'text', field: 'a', value: null },
      { string: 'counts', value: 1 },
    ]
    expect(await admitted({ counts: 'hash', text: 'string' }, writes)).toEqual(['taken', 'hash', 'string', 'taken'])
  })

  test('follows what is written before', async () => {
    const writes: Write[] = [
      { hash: 'new', field: 'a', value: 1 },
      { stream: 'new', fields: { a: 1 } },
      { string: 'new', value: 1 },
      { hash: 'new', field: 'a', value: 1 },
      { remove: 'new' },
      { sortedSet: 'new', member: 'a', score: null },
      { stream: 'new', fields: { a: 1 } },
    ]
    expect(await admitted({}, writes)).toEqual(['taken', 'hash', 'taken', 'string', 'taken', 'taken', 'taken'])
  })
})
