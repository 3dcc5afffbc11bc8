import { describe, expect, test, vi } from 'vitest'
import type { TopicAdmin } from '../../src/kafka/admin.js'
import type { GroupConsumer } from '../../src/kafka/consumer.js'
import type { ReaderOptions } from '../../src/kafka/reader-options.js'
import { startingPoints } from '../../src/kafka/starting-points.js'
import { type Position, silentLogger, type TopicChange, type TopicFacts } from '../../src/model/index.js'
import type { GroupPosition, SeenTopic, Spot } from '../../src/state/topic-protocol/index.js'

const topic = 'orders'
const at = (partition: number, offset: number, facts?: TopicFacts): Position => ({ topic, partition, offset, facts })

interface Scene {
  /** The topic at the moment; undefined where there is none. */
  readonly now: SeenTopic | undefined
  /** By partition: the ends of its log, as they are told one after the other. */
  readonly logs?: readonly (readonly [start: number, ...ends: number[]])[]
  readonly given?: readonly Position[]
  readonly group?: readonly GroupPosition[]
  readonly assigned?: readonly number[]
  readonly remembered?: SeenTopic
  readonly options?: Partial<ReaderOptions>
}

/** Where a reader begins, and what it notices. */
async function begin({ now, logs = [], given = [], group = [], assigned, remembered, options = {} }: Scene) {
  const noticed: TopicChange[] = []
  const asked = new Map<number, number>()
  const offsetAt = (partition: number, spot: Spot) => {
    const [start = 0, ...ends] = logs[partition] ?? [0, 100]
    if (spot === 'earliest') return start
    const times = asked.get(partition) ?? 0
    asked.set(partition, times + 1)
    return ends[Math.min(times, ends.length - 1)]!
  }
  const topics = {
    describe: () => Promise.resolve(new Map([[topic, now]])),
    offsets: (partitions: readonly Position[], spot: Spot) =>
      Promise.resolve(partitions.map(({ partition }) => ({ topic, partition, offset: offsetAt(partition, spot) }))),
  } as unknown as TopicAdmin
  const consumer = { committedPositions: () => Promise.resolve(group) } as unknown as GroupConsumer
  const all: ReaderOptions = {
    topics: [topic],
    group: 'g',
    instance: undefined,
    from: 'latest',
    partitions: 1,
    create: false,
    keeps: 'nothing',
    onRecreated: 'fail',
    onGap: 'warn',
    onTruncated: 'fail',
    onGrown: 'fail',
    stallAfterMs: 30_000,
    client: {},
    doing: "reading topic 'orders'",
    place: {},
    log: silentLogger,
    noticed: (change) => noticed.push(change),
    ...options,
  }
  const numbers = assigned ?? Array.from({ length: now?.partitions ?? 1 }, (_, partition) => partition)
  const from = {
    consumer,
    topics,
    options: all,
    remembered: new Map(remembered === undefined ? [] : [[topic, remembered]]),
    noticed: new Map(),
  }
  const { positions } = await startingPoints(
    from,
    numbers.map((partition) => ({ topic, partition })),
    given,
  )
  const offsets = Object.fromEntries(positions.map(({ partition, offset }) => [partition, offset]))
  return { offsets, positions, noticed }
}

const one = { id: 'a', partitions: 1 }

describe('a partition without a position', () => {
  test('begins as the source says', async () => {
    expect((await begin({ now: one, logs: [[5, 90]] })).offsets).toEqual({ 0: 90 })
    expect((await begin({ now: one, logs: [[5, 90]], options: { from: 'earliest' } })).offsets).toEqual({ 0: 5 })
  })

  test('that was added is read from its beginning, as a position that is given, or of the group, tells', async () => {
    const now = { id: 'a', partitions: 2 }
    const logs = [
      [0, 50],
      [3, 70],
    ] as const
    const facts = { id: 'a', partitions: 1 }
    const byGiven = await begin({ now, logs, given: [at(0, 50, facts)] })
    const added = [{ change: 'grown' }, { change: 'gap', records: 3 }]
    expect(byGiven).toMatchObject({ offsets: { 0: 50, 1: 3 }, noticed: added })
    const byGroup = await begin({ now, logs, group: [{ ...at(0, 50, facts), isForeign: false }], assigned: [1] })
    expect(byGroup).toMatchObject({ offsets: { 1: 3 }, noticed: added })
    const ofOthers = await begin({ now, logs, group: [{ ...at(0, 50), isForeign: true }], assigned: [1] })
    expect(ofOthers.offsets).toEqual({ 1: 3 })
  })

  test('that was added is read from its beginning, though others have committed by now that it is there', async () => {
    const now = { id: 'a', partitions: 2 }
    const group = [{ ...at(0, 50, { id: 'a', partitions: 2, first: 1 }), isForeign: false }]
    const logs = [
      [0, 50],
      [0, 70],
    ] as const
    const begun = await begin({ now, logs, group, assigned: [1] })
    expect(begun.positions).toMatchObject([{ offset: 0, facts: { partitions: 2, first: 1 } }])
  })

  test('that was added, and has lost its beginning since', async () => {
    const now = { id: 'a', partitions: 2 }
    const logs = [
      [0, 50],
      [3, 70],
    ] as const
    const begun = await begin({ now, logs, given: [at(0, 50, { id: 'a', partitions: 2, first: 1 })], assigned: [1] })
    expect(begun).toMatchObject({ offsets: { 1: 3 }, noticed: [{ topic, change: 'gap', records: 3 }] })
  })

  test('that another member has yet to begin with is none that was added', async () => {
    const facts = { id: 'a', partitions: 2 }
    const begun = await begin({
      now: { id: 'a', partitions: 2 },
      logs: [
        [0, 50],
        [3, 70],
      ],
      group: [{ ...at(0, 50, facts), isForeign: false }],
      assigned: [1],
    })
    expect(begun).toMatchObject({ offsets: { 1: 70 }, noticed: [] })
  })

  test('of a topic that took the place of the one that this process has read', async () => {
    const scene = { now: { id: 'b', partitions: 1 }, logs: [[0, 40]], remembered: one } as const
    await expect(begin(scene)).rejects.toMatchObject({ code: 'WEIR_SOURCE_RECREATED' })
    expect(await begin({ ...scene, options: { onRecreated: 'restart' } })).toMatchObject({
      offsets: { 0: 0 },
      noticed: [{ topic, change: 'recreated' }],
    })
  })
})

describe('the number of partitions', () => {
  const given = [at(0, 10, { id: 'a', partitions: 3 })]

  test('stops a flow that keeps state by their keys, unless that is accepted', async () => {
    const scene = { now: { id: 'a', partitions: 4 }, given, assigned: [0] }
    const options = { keeps: 'state by key' } as const
    await expect(begin({ ...scene, options })).rejects.toMatchObject({ code: 'WEIR_SOURCE_REPARTITIONED' })
    expect((await begin({ ...scene, options: { ...options, onGrown: 'accept' } })).offsets).toEqual({ 0: 10 })
    expect((await begin({ ...scene, options: { keeps: 'state' } })).offsets).toEqual({ 0: 10 })
  })

  test('is only behind where a broker has not heard of it yet', async () => {
    const options = { keeps: 'state by key' } as const
    const late = await begin({ now: { id: 'a', partitions: 2 }, given, assigned: [0], options })
    expect(late).toMatchObject({ offsets: { 0: 10 }, noticed: [] })
  })

  test('that is less, of one that was made anew, is told as what it is', async () => {
    const scene = { now: { id: 'b', partitions: 1 }, given, assigned: [0] }
    const warn = vi.fn()
    const read = await begin({ ...scene, options: { onRecreated: 'restart', log: { ...silentLogger, warn } } })
    expect(read).toMatchObject({ offsets: { 0: 0 }, noticed: [{ change: 'recreated' }, { change: 'recreated' }] })
    expect(warn.mock.calls.map(([, text]) => text)).toEqual([
      "reading topic 'orders': topic 'orders' has 1 partitions and had 3: nobody waits for those that are gone",
      "reading topic 'orders': topic 'orders' was deleted and created again: it is read from its beginning",
    ])
    const options = { keeps: 'state by key' } as const
    await begin({ ...scene, options: { keeps: 'state', onRecreated: 'restart', log: { ...silentLogger, warn } } })
    expect(warn.mock.calls[2]?.[1]).toMatch(
      /those that are gone, and what open windows have of them goes on over the internal topic/,
    )
    await expect(begin({ ...scene, options })).rejects.toMatchObject({ code: 'WEIR_SOURCE_RECREATED' })
    await expect(begin({ ...scene, options: { ...options, onRecreated: 'restart' } })).rejects.toMatchObject({
      code: 'WEIR_SOURCE_REPARTITIONED',
    })
  })
})

describe('a position that is kept', () => {
  const facts = { id: 'a', partitions: 1, before: 7 }

  test('of another topic of that name', async () => {
    const scene = { now: { id: 'b', partitions: 1 }, logs: [[2, 40]], given: [at(0, 50, facts)] } as const
    await expect(begin(scene)).rejects.toMatchObject({ code: 'WEIR_SOURCE_RECREATED', remedy: 'stop' })
    const { positions } = await begin({ ...scene, options: { onRecreated: 'restart' } })
    expect(positions).toEqual([at(0, 2, { id: 'b', partitions: 1, start: 2, end: 40, before: 57, first: 0 })])
  })

  test('before the first record that is left', async () => {
    const scene = { now: one, logs: [[30, 40]], given: [at(0, 10, facts)] } as const
    expect(await begin(scene)).toMatchObject({
      offsets: { 0: 30 },
      noticed: [{ topic, change: 'gap', records: 20 }],
    })
    await expect(begin({ ...scene, options: { onGap: 'fail' } })).rejects.toMatchObject({ code: 'WEIR_SOURCE_GAP' })
  })

  test('beyond the end', async () => {
    const scene = { now: one, logs: [[5, 40]], given: [at(0, 50, facts)] } as const
    await expect(begin(scene)).rejects.toMatchObject({ code: 'WEIR_SOURCE_TRUNCATED' })
    expect((await begin({ ...scene, options: { onTruncated: 'earliest' } })).offsets).toEqual({ 0: 5 })
    expect((await begin({ ...scene, options: { onTruncated: 'latest' } })).offsets).toEqual({ 0: 40 })
  })

  test('beyond an end that a new leader does not know yet', async () => {
    const begun = await begin({ now: one, logs: [[5, 40, 50]], given: [at(0, 50, facts)] })
    expect(begun).toMatchObject({ offsets: { 0: 50 }, noticed: [] })
  })

  test('goes before that of the group, which mirrors it, but not before one that others have set', async () => {
    const mirrored = [{ ...at(0, 20, facts), isForeign: false }]
    const given = [at(0, 50, facts)]
    expect(await begin({ now: one, given, group: mirrored })).toMatchObject({ offsets: { 0: 50 }, noticed: [] })
    const set = [{ ...at(0, 20), isForeign: true }]
    const reset = await begin({ now: one, given, group: set })
    expect(reset).toMatchObject({ offsets: { 0: 20 }, noticed: [{ topic, change: 'reset' }] })
    const stateful = await begin({ now: one, given, group: set, options: { keeps: 'state' } })
    expect(stateful).toMatchObject({ offsets: { 0: 50 }, noticed: [{ topic, change: 'reset' }] })
  })

  test('of a topic that no broker knows of is not begun with', async () => {
    await expect(begin({ now: undefined, given: [at(0, 50, facts)] })).rejects.toMatchObject({
      code: 'WEIR_SOURCE_UNREACHABLE',
      remedy: 'restart',
    })
  })
})
