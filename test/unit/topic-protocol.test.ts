import { describe, expect, test } from 'vitest'
import { type TopicPartition, WeirError } from '../../src/model/index.js'
import {
  type Bounds,
  type Reading,
  type SeenTopic,
  Sharing,
  TopicBeginning,
  type TopicRules,
  TopicWatching,
  type WatchCommand,
} from '../../src/state/topic-protocol/index.js'

const topic = 'orders'
const was: SeenTopic = { id: 'a', partitions: 2 }
const rulesOf = (rules: Partial<TopicRules> = {}): TopicRules => ({
  topics: [topic],
  group: 'g',
  from: 'latest',
  keeps: 'nothing',
  onRecreated: 'fail',
  onGap: 'warn',
  onTruncated: 'fail',
  onGrown: 'fail',
  doing: "reading topic 'orders'",
  place: {},
  ...rules,
})

interface Round {
  readonly now?: SeenTopic | undefined
  /** What is read of partition 0, and for how long it has brought nothing. */
  readonly reading?: { readonly offset: number; readonly silentMs: number; readonly id?: string }
  readonly bounds?: Partial<Bounds>
  readonly strays?: true
}

/** One look: what it comes to, and what was asked on the way. */
function look(watch: TopicWatching, { reading, bounds, strays, ...round }: Round) {
  if (strays) watch.stray()
  const asked: string[] = []
  const changes: string[] = []
  let command: WatchCommand = watch.handle({ on: 'look' })
  while (command.do === 'describe' || command.do === 'bound') {
    asked.push(command.do)
    if (command.do === 'bound') changes.push(...command.findings.map(({ change }) => change.change))
    command =
      command.do === 'describe'
        ? watch.handle({ on: 'described', seen: seenIn(round), readings: reading ? [readingOf(reading)] : [] })
        : watch.handle({ on: 'bounded', bounds: [boundsOf(command.partitions[0]?.offset, bounds)] })
  }
  changes.push(...command.findings.map(({ change }) => change.change))
  return { command, asked, changes }
}

const seenIn = (round: Round) => new Map([[topic, 'now' in round ? round.now : was]])
const readingOf = (at: NonNullable<Round['reading']>): Reading => ({ topic, partition: 0, id: was.id, ...at })
const boundsOf = (position: number | undefined, given: Partial<Bounds> = {}): Bounds => {
  return { topic, partition: 0, position, start: 0, end: 100, ...given }
}

function watching(rules: Partial<TopicRules> = {}): TopicWatching {
  const watch = new TopicWatching(rulesOf(rules))
  watch.know(new Map([[topic, was]]))
  return watch
}

const silent = { offset: 50, silentMs: 2_000 }

describe('while topics are read', () => {
  test.each<[string, Partial<TopicRules>, Round, object, readonly string[]]>([
    ['nothing has changed', {}, {}, { do: 'rest', moves: [] }, []],
    ['it is another topic', {}, { now: { id: 'b', partitions: 2 } }, end('RECREATED', 'stop'), ['recreated']],
    [
      'it is another topic, which is read',
      { onRecreated: 'restart' },
      { now: { id: 'b', partitions: 2 } },
      // What goes on tells it.
      end('RECREATED', 'restart'),
      [],
    ],
    [
      'it was another topic when one of its partitions was begun with, and that was not seen before more were',
      {},
      { reading: { ...silent, id: 'before' } },
      end('RECREATED', 'stop'),
      ['recreated'],
    ],
    ['it is gone', {}, { now: undefined }, { do: 'rest', held: new Map([[topic, true]]) }, ['missing']],
    ['it has grown', { keeps: 'state' }, { now: { id: 'a', partitions: 3 } }, { do: 'rest' }, ['grown']],
    [
      'it has grown, and keys have moved',
      { keeps: 'state by key' },
      { now: { id: 'a', partitions: 3 } },
      end('REPARTITIONED', 'stop'),
      ['grown'],
    ],
    ['a broker has not heard of its growth', {}, { now: { id: 'a', partitions: 1 } }, { do: 'rest' }, []],
    ['no broker tells ids', {}, { now: { id: undefined, partitions: 2 } }, { do: 'rest' }, []],
    ['it is silent, and has all that there is', {}, { reading: silent }, { do: 'rest', moves: [] }, []],
    [
      'records are gone before they were read',
      {},
      { reading: silent, bounds: { start: 70 } },
      { do: 'rest', moves: [{ topic, partition: 0, offset: 70 }] },
      ['gap'],
    ],
    [
      'records are gone, which must not be',
      { onGap: 'fail' },
      { reading: silent, bounds: { start: 70 } },
      end('GAP', 'stop'),
      ['gap'],
    ],
    [
      'records are gone of an internal topic, where it is known what that means',
      { isInternal: true },
      { reading: silent, bounds: { start: 70 } },
      { do: 'rest', moves: [{ topic, partition: 0, offset: 70 }] },
      [],
    ],
    [
      'it has been read on meanwhile',
      {},
      { reading: silent, bounds: { start: 70, position: 51 } },
      { do: 'rest', moves: [] },
      [],
    ],
    [
      'it was given back meanwhile',
      {},
      { reading: silent, bounds: { start: 70, position: undefined } },
      { do: 'rest', moves: [] },
      [],
    ],
    [
      'the client has given up on a position that is there',
      {},
      { reading: silent, strays: true },
      { do: 'rest', moves: [{ topic, partition: 0, offset: 50 }] },
      [],
    ],
  ])('%s', (_, rules, round, expected, changes) => {
    const seen = look(watching(rules), round)
    expect(seen.command).toMatchObject(expected)
    expect(seen.changes).toEqual(changes)
  })

  test('nobody asks for the ends of what has brought something just now', () => {
    expect(look(watching(), { reading: { offset: 50, silentMs: 1_999 } }).asked).toEqual(['describe'])
  })

  test('an end before the position counts when it is found twice', () => {
    const watch = watching()
    const short = { reading: silent, bounds: { end: 40 } }
    expect(look(watch, short).command).toMatchObject({ do: 'rest', moves: [] })
    expect(look(watch, short)).toMatchObject({ command: end('TRUNCATED', 'stop'), changes: ['truncated'] })
  })

  test('a new leader that knows its end a moment later has lost nothing', () => {
    const watch = watching()
    expect(look(watch, { reading: silent, bounds: { end: 40 } }).command.do).toBe('rest')
    expect(look(watch, { reading: silent }).command.do).toBe('rest')
    expect(look(watch, { reading: silent, bounds: { end: 40 } }).command.do).toBe('rest')
  })

  test('what reading has to end for is found once, however long that takes', () => {
    const watch = watching({ onGap: 'fail' })
    const gap = { reading: silent, bounds: { start: 70 } }
    expect(look(watch, gap)).toMatchObject({ command: end('GAP', 'stop'), changes: ['gap'] })
    expect(look(watch, gap)).toMatchObject({ command: { do: 'rest' }, asked: [], changes: [] })
  })

  test('what is gone is told once, waited for, and read again', () => {
    const watch = watching()
    expect(look(watch, { now: undefined }).changes).toEqual(['missing'])
    expect(look(watch, { now: undefined }).changes).toEqual([])
    expect(watch.missing).toMatchObject({ code: 'WEIR_SOURCE_MISSING' })
    expect(look(watch, {}).command).toMatchObject({ held: new Map([[topic, false]]) })
    expect(watch.missing).toBeUndefined()
  })

  test('after a question that nobody answered, what was to be looked into still is', () => {
    const watch = watching()
    watch.stray()
    watch.handle({ on: 'look' })
    watch.handle({ on: 'described', seen: seenIn({}), readings: [readingOf(silent)] })
    expect(watch.handle({ on: 'failed' })).toMatchObject({ do: 'rest', moves: [] })
    expect(look(watch, { reading: silent }).command).toMatchObject({ moves: [{ offset: 50 }] })
  })

  test('nothing more is given while it is away: another one that comes in its place is noticed all the same', () => {
    const watch = watching()
    watch.know(new Map())
    expect(look(watch, { now: undefined }).changes).toEqual(['missing'])
    expect(look(watch, { now: { id: 'b', partitions: 2 } }).command).toMatchObject(end('RECREATED', 'stop'))
  })

  test('an answer about topics as they were before more of them was assigned is none', () => {
    const watch = watching()
    watch.handle({ on: 'look' })
    watch.know(new Map([[topic, { id: 'b', partitions: 2 }]]))
    expect(watch.handle({ on: 'described', seen: seenIn({}), readings: [] })).toMatchObject({ do: 'rest' })
  })
})

function end(code: string, remedy: string) {
  return { do: 'end', error: { code: `WEIR_SOURCE_${code}`, remedy } }
}

test('an end that lies before a position is asked for once more before anything is begun', () => {
  const known = { partitions: [{ topic, partition: 0 }], given: [], remembered: new Map(), noticed: new Map() }
  const beginning = new TopicBeginning(rulesOf(), known)
  expect(beginning.start()).toMatchObject({ do: 'describe' })
  expect(beginning.handle({ on: 'described', seen: new Map([[topic, was]]) })).toMatchObject({
    do: 'ask the group',
    partitions: [{ partition: 0 }, { partition: 1 }],
  })
  const positions = [{ topic, partition: 0, offset: 50, facts: was as { partitions: number }, isForeign: false }]
  const at = (offset: number) => [{ topic, partition: 0, offset }]
  expect(beginning.handle({ on: 'committed', positions })).toMatchObject({ do: 'bound', afterMs: 0 })
  expect(beginning.handle({ on: 'bounded', starts: at(0), ends: at(40) })).toMatchObject({
    do: 'bound',
    afterMs: 1_000,
  })
  const refused = beginning.handle({ on: 'bounded', starts: at(0), ends: at(40) })
  expect(refused).toMatchObject({ do: 'refuse', findings: [{ change: { change: 'truncated' } }] })
  expect(refused.do === 'refuse' && refused.error).toBeInstanceOf(WeirError)
})

describe('a group that goes by what topics were', () => {
  const [first, second] = [0, 1].map((partition) => ({ topic, partition })) as [TopicPartition, TopicPartition]

  test.each<[string, TopicPartition, SeenTopic, RegExp | undefined]>([
    ['a partition that is there', second, was, undefined],
    ['one that a topic made anew no longer has', second, { id: 'b', partitions: 1 }, /has it read orders-1/],
    ['one of a topic that is no longer subscribed to', { topic: 'before', partition: 0 }, was, /has it read before-0/],
  ])('gives %s', (_, partition, now, why) => {
    const known = { partitions: [partition], given: [], remembered: new Map(), noticed: new Map() }
    const beginning = new TopicBeginning(rulesOf(), known)
    beginning.start()
    const next = beginning.handle({ on: 'described', seen: new Map([[topic, now]]) })
    expect(next.do).toBe(why === undefined ? 'ask the group' : 'refuse')
    if (next.do !== 'refuse') return
    expect(next.error).toMatchObject({ code: 'WEIR_SOURCE_MISASSIGNED', remedy: 'restart' })
    expect(next.error.message).toMatch(why as RegExp)
  })

  test('has some partitions read by nobody: it may take 10 s to find that, from when it last shared out, and longer where that was in vain', () => {
    const seen = new Map([[topic, was]])
    const sharing = new Sharing(rulesOf())
    expect(sharing.look(seen, [first], 0)).toBe(false)
    expect(sharing.look(seen, undefined, 9_000)).toBe(false)
    expect(sharing.look(seen, [first], 12_000)).toBe(false)
    expect(sharing.look(seen, [first], 21_999)).toBe(false)
    expect(sharing.look(seen, [first], 22_000)).toMatchObject({ code: 'WEIR_SOURCE_MISASSIGNED', remedy: 'restart' })
    const again = new Sharing(rulesOf(), 2)
    expect(again.look(seen, [first], 0)).toBe(false)
    expect(again.look(seen, [first], 39_999)).toBe(false)
    expect(again.look(seen, [first], 40_000)).toBeInstanceOf(WeirError)
  })

  test('has all of them read', () => {
    expect(new Sharing(rulesOf()).look(new Map([[topic, was]]), [second, first], 0)).toBe(true)
  })
})
