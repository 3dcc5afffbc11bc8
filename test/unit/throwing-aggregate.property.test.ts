import fc from 'fast-check'
import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import {
  type Aggregate,
  aggregate,
  collect,
  count,
  eventTime,
  type Flow,
  flow,
  hopping,
  json,
  kafka,
  keyBy,
  map,
  recordKey,
  type StreamRecord,
  tumbling,
} from '../../src/index.js'
import type { Windowed } from '../../src/operators/windows.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly id: number
  readonly t: number
  readonly user: string
}

const refuses = (what: string, isIt: boolean) => {
  if (isIt) throw new Error(`refused by ${what}`)
}

/** Takes three visits of a minute at most, and changes itself before it says so. */
const atMostThree: Aggregate<Visit, number[], number[]> = {
  init: () => [],
  add(ids, { id }) {
    ids.push(id)
    refuses('what the group has', ids.length > 3)
    return ids
  },
  merge: (ids, others) => {
    ids.push(...others)
    return ids
  },
  result: (ids) => ids,
}

/** Takes every visit in, and can't save a group that has had one of these. */
const unsavable = (hasChanges: boolean): Aggregate<Visit, number[], number[]> => {
  const save = (ids: number[]) => {
    refuses('a codec', ids.some(isOfFive))
    return ids
  }
  const changes = { changes: save, apply: (_: number[], ids: unknown) => ids as number[] }
  return {
    init: () => [],
    add: (ids, { id }) => [...ids, id],
    merge: (ids, others) => [...ids, ...others],
    result: (ids) => ids,
    codec: { version: 1, save, load: (ids) => ids as number[], ...(hasChanges && changes) },
  }
}

/** Takes every visit in, and with one of these what nobody can pack. */
const unpackable: Aggregate<Visit, unknown[], number[]> = {
  init: () => [],
  add: (kept, { id }) => [...kept, isOfFive(id) ? (oddities[id % oddities.length] as Oddity)(id) : id],
  merge: (kept, others) => [...kept, ...others],
  result: (kept) => kept as number[],
}
type Oddity = (id: number) => unknown
const oddities: readonly Oddity[] = [
  (id) => () => id,
  (id) => Symbol(String(id)),
  () => new (class Made {})(),
  () => {
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    return cyclic
  },
]

const seen = collect(({ id }: Visit) => id, { max: 1_000 })
const isOfFive = (id: number) => id % 5 === 1
const picky = count(({ id }: Visit) => {
  refuses('a selector', isOfFive(id))
  return true
})
const userOf = ({ id, user }: Visit) => {
  refuses('by', id % 7 === 3)
  return user
}

/** Counts what there is, and can't tell it of every group. */
const untellable: Aggregate<Visit, number[], number[]> = {
  init: () => [],
  add: (ids, { id }) => [...ids, id],
  merge: (ids, others) => [...ids, ...others],
  result(ids) {
    refuses('a result', ids.reduce((all, one) => all + one, 0) % 3 === 0)
    return [...ids].sort((one, other) => one - other)
  },
}

const read = [
  kafka.source({ topic: 'visits' }),
  json<Visit>(),
  eventTime(({ t }: Visit) => t, { idleAfter: '1s' }),
] as const
const rejects = { late: 'skip', onError: 'dead-letter' } as const

/** What the first member has taken in when the second one throws must not stay. */
const flows: Record<string, Flow> = {
  'a selector in tumbling windows': flow(
    ...read,
    aggregate('n', { ...rejects, window: tumbling('2s'), by: userOf, of: { seen, picky } }),
    listSink(),
  ),
  'a selector in the windows of each partition': flow(
    ...read,
    aggregate('n', { ...rejects, window: tumbling('2s'), by: recordKey, of: { seen, picky } }),
    listSink(),
  ),
  'a selector in hopping windows': flow(
    ...read,
    aggregate('n', { ...rejects, window: hopping('4s', { advance: '2s' }), by: userOf, of: { seen, picky } }),
    listSink(),
  ),
  'what goes by its group': flow(
    ...read,
    aggregate('n', { ...rejects, window: tumbling('2s'), by: userOf, of: { seen, picky: atMostThree } }),
    listSink(),
  ),
  'what can not be saved with its group': flow(
    ...read,
    aggregate('n', { ...rejects, window: tumbling('2s'), by: userOf, of: { seen, picky: unsavable(false) } }),
    listSink(),
  ),
  'what can not be saved as a change, in hopping windows': flow(
    ...read,
    aggregate('n', {
      ...rejects,
      window: hopping('4s', { advance: '2s' }),
      by: userOf,
      of: { seen, picky: unsavable(true) },
    }),
    listSink(),
  ),
  'what can not be saved, for it holds what can not be packed': flow(
    ...read,
    aggregate('n', { ...rejects, window: tumbling('2s'), by: userOf, of: { seen, picky: unpackable } }),
    listSink(),
  ),
  'what can not be saved, in the windows of each partition, for it can not be packed': flow(
    ...read,
    aggregate('n', { ...rejects, window: tumbling('2s'), by: recordKey, of: { seen, picky: unpackable } }),
    listSink(),
  ),
  'what can not be saved, in the windows of each partition': flow(
    ...read,
    aggregate('n', { ...rejects, window: tumbling('2s'), by: recordKey, of: { seen, picky: unsavable(false) } }),
    listSink(),
  ),
}

const record = fc.record({
  partition: fc.nat(1),
  waitMs: fc.constantFrom(0, 50, 300, 700, 2_500),
  user: fc.constantFrom('ann', 'bob'),
})
const given = fc.record({
  records: fc.array(record, { minLength: 3, maxLength: 40 }),
  crashes: fc.array(fc.integer({ min: 1, max: 15_000 }), { maxLength: 3 }),
  everyMs: fc.constantFrom(250, 1_000),
  repartition: fc.boolean(),
})
type Given = typeof given extends fc.Arbitrary<infer T> ? T : never
type Told = Windowed<{ readonly seen: number[]; readonly picky: number | number[] }>
/** The dead letter of a result. */
interface Untold extends Pick<Told, 'key' | 'window'> {
  readonly accumulated: readonly [seen: unknown, ids: number[]]
}

function played(declared: Flow, { records, crashes, everyMs, repartition }: Given) {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { repartition, epoch: { maxRecords: 10, everyMs } })
  let at = 1
  for (const partition of [0, 1]) virtual.append(at, { id: 0, t: 100_000, user: 'none' }, { partition, key: 'none' })
  for (const [id, { partition, waitMs, user }] of records.entries()) {
    at += waitMs
    virtual.append(at, { id: id + 1, t: 100_000 + at, user }, { partition, key: `${user}-${partition}` })
  }
  scheduler.schedule(() => virtual.start(), 0)
  for (const moment of crashes) scheduler.schedule(() => (virtual.crash(), virtual.start()), moment)
  const end = at + 75_000
  scheduler.schedule(() => virtual.stop(), end)
  scheduler.schedule(() => virtual.crash(), end + 1_000)
  scheduler.flush()
  const told = virtual.committed.map(({ value }) => value as Told)
  const untold = virtual.deadLetters.map(({ record: { value }, error }) => ({ ...(value as Untold), error }))
  const letters = virtual.deadLetters.map(({ record: letter, error }) => [idOf(letter), error.message] as const)
  return { told, letters, untold }
}

/** Undefined where it is no visit that was rejected. */
function idOf({ origin }: StreamRecord): number | undefined {
  const { value } = origin as { readonly value?: Buffer }
  return value === undefined ? undefined : (JSON.parse(value.toString()) as Visit).id
}

test.each(Object.entries(flows))(
  '%s: each record that the code throws at is a dead letter and in no window, and the others are in all of theirs',
  (name, declared) => {
    const copies = name.includes('hopping') ? 2 : 1
    fc.assert(
      fc.property(given, (one) => {
        const { told, letters } = played(declared, one)
        const ids = one.records.map((_, index) => index + 1)
        const inWindows = told.flatMap(({ value }) => value.seen)
        const refused = new Map(letters)
        for (const id of ids)
          expect([id, inWindows.filter((other) => other === id).length]).toEqual([id, refused.has(id) ? 0 : copies])
        for (const { value } of told)
          expect(typeof value.picky === 'number' ? value.picky : value.picky.length).toBe(value.seen.length)
        if (name.includes('selector'))
          expect([...refused.keys()].filter((id = 0) => isOfFive(id)).sort()).toEqual(
            ids.filter((id) => isOfFive(id) && (id % 7 !== 3 || name.includes('each partition'))).sort(),
          )
        // A group that was told before it had to be saved is told with all that it has.
        if (name.includes('saved'))
          expect(letters.filter(([id = 0, message]) => !message.includes('by') && !isOfFive(id))).toEqual([])
        if (!name.includes('each partition'))
          expect(letters.filter(([, message]) => message.includes('by')).length).toBeGreaterThanOrEqual(
            ids.filter((id) => id % 7 === 3).length,
          )
      }),
      { numRuns: 15 },
    )
  },
)

const byUser = { ...rejects, by: ({ user }: Visit) => user, of: { seen, picky: untellable } }
const untellableFlows: Record<string, Flow> = {
  'tumbling windows': flow(...read, aggregate('n', { ...byUser, window: tumbling('2s') }), listSink()),
  'the windows of each partition': flow(
    ...read,
    aggregate('n', { ...byUser, by: recordKey, window: tumbling('2s') }),
    listSink(),
  ),
  'hopping windows': flow(...read, aggregate('n', { ...byUser, window: hopping('4s', { advance: '2s' }) }), listSink()),
}
const groupOf = ({ key, window }: Pick<Told, 'key' | 'window'>) => `${String(key)} ${window.start.getTime()}`

test.each(Object.entries(untellableFlows))(
  '%s: a group whose result throws is a dead letter by its key and window, with all that it had, and the others are told',
  (name, declared) => {
    const copies = name.includes('hopping') ? 2 : 1
    fc.assert(
      fc.property(given, (one) => {
        const { told, untold } = played(declared, one)
        const letters = new Map(untold.map((letter) => [groupOf(letter), letter]))
        for (const { error, key, window } of letters.values())
          expect([error.code, error.message]).toEqual([
            'WEIR_STAGE_FAILED',
            `telling the result of '${String(key)}' from ${window.start.toISOString()} to ${window.end.toISOString()}: refused by a result`,
          ])
        expect(told.filter((result) => letters.has(groupOf(result)))).toEqual([])
        for (const { value } of told) expect(value.picky).toEqual([...value.seen].sort((one, other) => one - other))
        const counted = [
          ...told.map(({ value }) => value.seen),
          ...[...letters.values()].map((letter) => letter.accumulated[1]),
        ]
        const ids = counted.flat().filter((id) => id > 0)
        for (const id of one.records.map((_, index) => index + 1))
          expect([id, ids.filter((other) => other === id).length]).toEqual([id, copies])
      }),
      { numRuns: 15 },
    )
  },
)

test.each(['changes', 'epoch'] as const)(
  'emit %s: a result that throws is no fault of the records, which stay',
  (emit) => {
    const declared = flow(...read, aggregate('n', { ...byUser, window: tumbling('2s'), emit }), listSink())
    const visits = [1, 2, 4, 5].map((id) => ({ id, t: 100_000, user: 'ann' }))
    const { told, untold, status } = fed(declared, visits)
    expect(told.map(({ value }) => value.seen)).toEqual([[1], [1, 2, 4]])
    expect(untold.map(({ accumulated }) => accumulated[1])).toEqual([
      [1, 2],
      [1, 2, 4, 5],
    ])
    expect(status).toMatchObject({ state: 'stopped', error: undefined })
  },
)

test('a merge that throws on the way to a result of shared slices is a dead letter of each window', () => {
  const merge = () => refuses('a merge', true)
  const of = { seen, picky: { ...untellable, merge: merge as never } }
  const window = hopping('4s', { advance: '2s' })
  const declared = flow(...read, aggregate('n', { ...byUser, of, window, emit: 'changes' }), listSink())
  const { told, untold } = fed(declared, [
    { id: 1, t: 100_000, user: 'ann' },
    { id: 2, t: 102_000, user: 'ann' },
  ])
  expect(told.map(({ value }) => value.seen)).toEqual([[1], [1], [2]])
  expect(untold.map(({ window: { start }, accumulated, error }) => [+start, accumulated, error.message])).toEqual([
    [100_000, undefined, expect.stringContaining('refused by a merge')],
  ])
})

test('a record that its group can not be saved with is a dead letter, and the others are told', () => {
  const of = { seen, picky: unsavable(false) }
  const declared = flow(...read, aggregate('n', { ...byUser, of }), listSink())
  const { told, untold } = fed(
    declared,
    [2, 6, 3, 11, 4].map((id) => ({ id, t: 100_000, user: 'ann' })),
  )
  expect(told.at(-1)?.value).toEqual({ seen: [2, 3, 4], picky: [2, 3, 4] })
  expect(untold.map(({ error }) => error.message)).toEqual(
    Array.from({ length: 2 }, () => "saving the state of 'n': refused by a codec"),
  )
})

test.each([
  ['a function', oddities[0] as Oddity],
  ['a symbol', oddities[1] as Oddity],
  ['an instance of a class', oddities[2] as Oddity],
  ['what contains itself', oddities[3] as Oddity],
] as const)(
  'a record with which its group would hold what can not be packed is a dead letter, and the others are told: %s',
  { timeout: 120_000 },
  (_, oddity) => {
    const add = (kept: unknown[], { id }: Visit) => [...kept, isOfFive(id) ? oddity(id) : id]
    for (const [emit, repartition] of [
      ['changes', false],
      ['epoch', false],
      ['changes', true],
    ] as const) {
      const of = { seen, picky: { ...unpackable, add } }
      const declared = flow(...read, aggregate('n', { ...byUser, of, emit }), listSink())
      const visits = [2, 6, 3, 11, 4].map((id) => ({ id, t: 100_000, user: 'ann' }))
      const { told, untold, status } = fed(declared, visits, 20_000, repartition)
      expect(told.at(-1)?.value).toEqual({ seen: [2, 3, 4], picky: [2, 3, 4] })
      expect(untold.map(({ error }) => error.message)).toEqual(
        Array.from({ length: 2 }, () => expect.stringMatching(/can not be kept|contains itself/)),
      )
      expect(status).toMatchObject({ state: 'stopped', error: undefined })
    }
  },
)

test.each([true, false])(
  'without a policy a group that can not be packed stops the flow, and says what to do (internal topic: %j)',
  (repartition) => {
    const strict = flow(...read, aggregate('n', { ...byUser, of: unpackable, onError: 'fail' }), listSink())
    const { untold, status } = fed(strict, [{ id: 1, t: 100_000, user: 'ann' }], 3_600_000, repartition)
    expect(untold).toEqual([])
    expect(status).toMatchObject({
      state: 'failed',
      error: { code: 'WEIR_STAGE_FAILED', hint: expect.stringContaining('onError'), place: { stage: 'n' } },
    })
  },
)

test('a record that no internal topic can carry goes by the policy of the stage behind it', () => {
  const odd = map((visit: Visit) => (isOfFive(visit.id) ? { ...visit, odd: () => visit.id } : visit))
  const byName = keyBy(({ user }: Visit) => user)
  const declared = flow(...read, odd, byName, aggregate('n', { ...rejects, maxKeys: 10, of: seen }), listSink())
  const visits = [2, 6, 3, 11, 4].map((id) => ({ id, t: 100_000, user: 'ann' }))
  const { told, untold, status } = fed(declared, visits, 20_000, true)
  expect(told.at(-1)?.value).toEqual([2, 3, 4])
  expect(untold.map(({ error }) => error.message)).toEqual(
    Array.from({ length: 2 }, () =>
      expect.stringMatching(/^writing an internal topic: a function at \S*\.odd can not be kept$/),
    ),
  )
  expect(status).toMatchObject({ state: 'stopped', error: undefined })
})

test('all time: a result that throws is told again when more has come', () => {
  const { told, untold } = fed(
    flow(...read, aggregate('n', byUser), listSink()),
    [1, 2, 4].map((id) => ({ id, t: 100_000, user: 'ann' })),
  )
  expect(told.map(({ value }) => value.seen)).toEqual([[1], [1, 2, 4]])
  expect(untold.map(({ window, error }) => [window, error.message])).toEqual([
    [undefined, expect.stringMatching(/^telling the result of 'ann' after kafka\.source-0-0@1: refused by a result$/)],
  ])
})

test('without a policy a result that throws stops the flow, with the stage, the group and the window', () => {
  const strict = flow(...read, aggregate('n', { ...byUser, onError: 'fail', window: tumbling('2s') }), listSink())
  const { told, untold, status } = fed(strict, [{ id: 3, t: 100_000, user: 'ann' }], 3_600_000)
  expect([told, untold]).toEqual([[], []])
  expect(status).toMatchObject({
    state: 'failed',
    error: {
      code: 'WEIR_STAGE_FAILED',
      message: expect.stringContaining(
        "telling the result of 'ann' from 1970-01-01T00:01:40.000Z to 1970-01-01T00:01:42.000Z",
      ),
      place: { flow: 'flow', stage: 'n' },
    },
  })
})

/** Visits one after another, and what came of them after so many ms. */
function fed(declared: Flow, visits: readonly Visit[], forMs = 20_000, repartition = false) {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { repartition })
  for (const [index, visit] of visits.entries()) virtual.append(index + 1, visit)
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.stop(), forMs)
  scheduler.flush()
  const told = virtual.committed.map(({ value }) => value as Told)
  const untold = virtual.deadLetters.map(({ record: { value }, error }) => ({ ...(value as Untold), error }))
  return { told, untold, status: virtual.status() }
}

test('without a policy the flow fails at what throws, as often as it may, and stops', () => {
  const strict = flow(...read, aggregate('n', { window: tumbling('2s'), of: picky }), listSink())
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(strict, scheduler, {})
  virtual.append(1, { id: 1, t: 100_000, user: 'ann' })
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.crash(), 3_600_000)
  scheduler.flush()
  expect(virtual.deadLetters).toEqual([])
  expect(virtual.committed).toEqual([])
  expect(virtual.status()).toMatchObject({ state: 'failed', error: { code: 'WEIR_STAGE_FAILED' } })
})

/** Counts in an array, by a codec that this does something to. */
const countedBy = (codec: Partial<NonNullable<Aggregate<Visit, number[], number>['codec']>>) => ({
  init: () => [] as number[],
  add: (ids: number[], { id }: Visit) => [...ids, id],
  merge: (ids: number[], others: number[]) => [...ids, ...others],
  result: (ids: number[]) => ids.length,
  codec: { version: 1, save: (ids: number[]) => ids, load: (saved: unknown) => saved as number[], ...codec },
})

test.each([true, false])(
  'without a policy a state that can not be saved stops the flow, and the stage and the key are told (internal topic: %j)',
  (repartition) => {
    const of = countedBy({ save: () => refuses('a codec', true) })
    const strict = flow(...read, aggregate('n', { by: ({ user }: Visit) => user, of }), listSink())
    const scheduler = new VirtualTimeScheduler()
    const virtual = new VirtualFlow(strict, scheduler, { repartition })
    virtual.append(1, { id: 1, t: 100_000, user: 'ann' })
    scheduler.schedule(() => virtual.start(), 0)
    scheduler.schedule(() => virtual.crash(), 3_600_000)
    scheduler.flush()
    expect(virtual.committed).toEqual([])
    expect(virtual.status()).toMatchObject({
      state: 'failed',
      failures: 10,
      error: {
        code: 'WEIR_STAGE_FAILED',
        message: expect.stringMatching(/(^|at key "ann": )saving the state of 'n': refused by a codec$/),
        place: { flow: 'flow', stage: 'n' },
      },
    })
  },
)

test('a state that can not be loaded stops the flow, and the stage and the key are told', () => {
  let isBroken = false
  const load = (saved: unknown) => {
    refuses('a codec', isBroken)
    return saved as number[]
  }
  const declared = flow(...read, aggregate('n', { by: recordKey, of: countedBy({ load }) }), listSink())
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, {})
  virtual.append(1, { id: 1, t: 100_000, user: 'ann' }, { key: 'ann' })
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => {
    virtual.crash()
    isBroken = true
    virtual.start()
  }, 10_000)
  scheduler.schedule(() => virtual.crash(), 3_600_000)
  scheduler.flush()
  expect(virtual.committed).toHaveLength(1)
  expect(virtual.status()).toMatchObject({
    state: 'failed',
    failures: 1,
    error: {
      code: 'WEIR_CHECKPOINT_CORRUPT',
      message: expect.stringMatching(/: the codec of 'n' throws at key "ann": refused by a codec$/),
    },
  })
})
