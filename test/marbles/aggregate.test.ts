import { describe, expect, test } from 'vitest'
import {
  type Aggregate,
  aggregate,
  avg,
  collect,
  count,
  countDistinct,
  eventTime,
  flow,
  hopping,
  json,
  kafka,
  max,
  min,
  recordKey,
  sum,
  topK,
  tumbling,
} from '../../src/index.js'
import { at, marbles } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

interface Sale {
  readonly t: number
  readonly who: string
  readonly amount: number
}

const sale = (t: number, who = 'ann', amount = 1): Sale => ({ t, who, amount })
const input = [kafka.source({ topic: 'sales' }), json<Sale>()] as const
const result = (start: number, value: unknown, key: string | null = null) => ({
  key,
  window: { start: new Date(start), end: new Date(start + 10) },
  value,
})

/** Windows of 10 ms that wait 2 ms for records out of order. */
const windowed = (late: 'skip' | 'dead-letter' | 'fail' = 'skip') =>
  flow(
    ...input,
    eventTime((value) => value.t, { outOfOrder: 2, idleAfter: '1h' }),
    aggregate('sales', { window: tumbling(10), late, of: { n: count(), people: countDistinct((value) => value.who) } }),
    listSink(),
  )

describe('windows', () => {
  test(
    'a window closes when the watermark passes its end',
    marbles(({ flow }) => {
      const run = flow(windowed())
      run.source('a-b-c--d', { a: sale(0), b: sale(9, 'bob'), c: sale(11), d: sale(12) })
      run.sink('  -------w', { w: result(0, { n: 2, people: 2 }) })
    }),
  )

  test(
    'a record out of order is counted while its window waits, and late afterwards',
    marbles(({ flow }) => {
      const run = flow(windowed('dead-letter'))
      run.source('     abcde', { a: sale(0), b: sale(11), c: sale(3), d: sale(12), e: sale(4) })
      run.sink('       ---w-', { w: result(0, { n: 2, people: 1 }) })
      run.deadLetters('----e', { e: 'WEIR_RECORD_LATE' })
    }),
  )

  test(
    'late records that are skipped are counted as rejected',
    marbles(({ flow }) => {
      const run = flow(windowed('skip'))
      run.source('ab', { a: sale(30), b: sale(4) })
      run.sink('  --')
      run.finally(({ stages }) =>
        expect(stages.find(({ stage }) => stage === 'sales')).toMatchObject({ in: 2, rejected: 1 }),
      )
    }),
  )

  test(
    'a window waits for the slowest partition',
    marbles(({ flow }) => {
      const run = flow(windowed())
      run.source('ab--c-', {
        a: at(sale(0), { partition: 0 }),
        b: at(sale(30), { partition: 0 }),
        c: at(sale(12), { partition: 1 }),
      })
      run.sink('  ----w-', { w: result(0, { n: 1, people: 1 }) })
    }),
  )

  test(
    'lateness is a matter of the own partition, however far another one is ahead',
    marbles(({ flow }) => {
      const run = flow(windowed('dead-letter'))
      run.source('abc-d', {
        a: at(sale(90), { partition: 0 }),
        b: at(sale(1), { partition: 1 }),
        c: at(sale(8, 'bob'), { partition: 1 }),
        d: at(sale(14), { partition: 1 }),
      })
      run.sink('  ----w', { w: result(0, { n: 2, people: 2 }) })
    }),
  )

  test(
    'grace keeps a window open beyond the out-of-orderness',
    marbles(({ flow }) => {
      const graceful = aggregate('sales', { window: tumbling(10, { grace: 5 }), of: { n: count() } })
      const run = flow(flowOf(graceful))
      run.source('abc', { a: sale(0), b: sale(14), c: sale(15) })
      run.sink('  --w', { w: result(0, { n: 1 }) })
    }),
  )

  test(
    'every group of a window has its result, in one epoch',
    marbles(({ flow }) => {
      const run = flow(
        flowOf(aggregate('sales', { window: tumbling(10), by: (value: Sale) => value.who, of: count() })),
      )
      run.source('abc--d   ', { a: sale(1), b: sale(2, 'bob'), c: sale(3), d: sale(10) })
      run.sink('  -----(xy)', { x: result(0, 2, 'ann'), y: result(0, 1, 'bob') })
    }),
  )

  test(
    'windows close oldest first when one record passes several',
    marbles(({ flow }) => {
      const run = flow(flowOf(aggregate('sales', { window: tumbling(10), of: count() })))
      run.source('abc--d   ', {
        a: sale(11),
        b: at(sale(2), { partition: 1 }),
        c: sale(31),
        d: at(sale(45), { partition: 1 }),
      })
      run.sink('  -----(xy)', { x: result(0, 1), y: result(10, 1) })
    }),
  )

  test(
    'each group that an epoch changed is emitted once, at its end, when asked for',
    marbles(({ flow: run }) => {
      const sums = { of: sum((value: Sale) => value.amount), by: (value: Sale) => value.who, emit: 'epoch' } as const
      const flowing = run(flowOf(aggregate('sales', sums)), { epoch: { maxRecords: 3 } })
      flowing.source('abc----aaa', { a: sale(0, 'ann', 1), b: sale(0, 'bob', 10), c: sale(0, 'ann', 100) })
      flowing.sink('  --(xy)---z', {
        x: { key: 'bob', value: 10 },
        y: { key: 'ann', value: 101 },
        z: { key: 'ann', value: 104 },
      })
    }),
  )

  test(
    'each change is emitted at once when asked for',
    marbles(({ flow }) => {
      const run = flow(
        flowOf(aggregate('sales', { window: tumbling(10), emit: 'changes', of: sum((value: Sale) => value.amount) })),
      )
      run.source('abc', { a: sale(1, 'ann', 2), b: sale(2, 'bob', 3), c: sale(10, 'ann', 4) })
      run.sink('  xyz', { x: result(0, 2), y: result(0, 5), z: result(10, 4) })
    }),
  )

  test(
    'windows before 1970 are aligned like all others',
    marbles(({ flow }) => {
      const run = flow(flowOf(aggregate('sales', { window: tumbling(10), of: count() })))
      run.source('ab', { a: sale(-1), b: sale(0) })
      run.sink('  -w', { w: result(-10, 1) })
    }),
  )
})

describe('windows that overlap', () => {
  const hop = (start: number, value: unknown, key: string | null = null) => ({
    key,
    window: { start: new Date(start), end: new Date(start + 20) },
    value,
  })
  const twenty = hopping(20, { advance: 10 })
  const hopped = flow(
    ...input,
    eventTime((value) => value.t, { outOfOrder: 2, idleAfter: '1h' }),
    aggregate('sales', { window: twenty, late: 'dead-letter', of: countDistinct((value: Sale) => value.who) }),
    listSink(),
  )

  test(
    'a record counts in each window that it lies in',
    marbles(({ flow }) => {
      const run = flow(hopped)
      run.source('a-b-c-d', { a: sale(5), b: sale(12, 'bob'), c: sale(22, 'cyd'), d: sale(32) })
      run.sink('  --x-y-z', { x: hop(-10, 1), y: hop(0, 2), z: hop(10, 2) })
    }),
  )

  test(
    'a record that is late for some windows counts in the others, and one that is late for all is rejected',
    marbles(({ flow }) => {
      const run = flow(hopped)
      run.source('     ab---cde', { a: sale(0), b: sale(23), c: sale(15, 'bob'), d: sale(9, 'cyd'), e: sale(32) })
      run.sink('       -(xy)--z', { x: hop(-10, 1), y: hop(0, 1), z: hop(10, 2) })
      run.deadLetters('------d-', { d: 'WEIR_RECORD_LATE' })
    }),
  )

  test(
    'whether it is late for a window does not depend on whether the result is out',
    marbles(({ flow }) => {
      const run = flow(hopped, { epoch: { maxRecords: 4 } })
      run.source('abcd---eeee', { a: sale(0), b: sale(23), c: sale(15, 'bob'), d: sale(24, 'cyd'), e: sale(32) })
      run.sink('  ---(xy)---z', { x: hop(-10, 1), y: hop(0, 1), z: hop(10, 3) })
    }),
  )

  test(
    'windows of which neither holds the other have what they share, after crashes too',
    marbles(({ flow }) => {
      const run = flow(
        flowOf(
          aggregate('sales', { window: hopping(20, { advance: 15 }), by: (value: Sale) => value.who, of: count() }),
        ),
      )
      run.source('-a-b-c-d-e---f', {
        a: sale(1),
        b: sale(14, 'bob'),
        c: sale(16),
        d: sale(19, 'bob'),
        e: sale(20, 'bob'),
        f: sale(35),
      })
      run.crash(' --x-x-x-x--x')
      run.sink('  ---v-----(xy)(zw)', {
        v: hop(-15, 1, 'ann'),
        x: hop(0, 2, 'ann'),
        y: hop(0, 2, 'bob'),
        z: hop(15, 1, 'ann'),
        w: hop(15, 2, 'bob'),
      })
    }),
  )

  test(
    'each change is told of each window that it changes, when asked for',
    marbles(({ flow }) => {
      const run = flow(flowOf(aggregate('sales', { window: twenty, emit: 'changes', of: count() })))
      run.source('a----b----c', { a: sale(5), b: sale(12), c: sale(8) })
      run.sink('  (vw)-(xy)-z', { v: hop(-10, 1), w: hop(0, 1), x: hop(0, 2), y: hop(10, 1), z: hop(0, 3) })
    }),
  )

  test(
    'each window of a group that an epoch changed is told once, when asked for',
    marbles(({ flow: run }) => {
      const emitting = aggregate('sales', { window: twenty, emit: 'epoch', of: count() })
      const flowing = run(flowOf(emitting), { epoch: { maxRecords: 3 } })
      flowing.source('abb', { a: sale(5), b: sale(12) })
      flowing.sink('  --(xyz)', { x: hop(-10, 1), y: hop(0, 3), z: hop(10, 2) })
    }),
  )
})

describe('idle partitions', () => {
  const idle = () =>
    flow(
      ...input,
      eventTime((value) => value.t, { outOfOrder: 2, idleAfter: '2s' }),
      aggregate('sales', { window: tumbling(1_000), late: 'dead-letter', of: count() }),
      listSink(),
    )
  const closed = (start: number, n: number) => ({
    key: null,
    window: { start: new Date(start), end: new Date(start + 1_000) },
    value: n,
  })

  test(
    'an idle partition that is read to its end does not hold the others',
    marbles(({ flow }) => {
      const run = flow(idle(), { epoch: { everyMs: 500 } })
      run.source('a', { a: at(sale(0), { partition: 1 }) })
      run.source('b 1500ms c 1500ms d', { b: sale(0), c: sale(500), d: sale(1_002) })
      run.sink('  - 1500ms - 1500ms w', { w: closed(0, 3) })
    }),
  )

  test(
    'what an idle partition brings at last is late for a window whose result is out',
    marbles(({ flow }) => {
      const run = flow(idle(), { epoch: { everyMs: 500 } })
      run.source('     a 3500ms e', { a: at(sale(0), { partition: 1 }), e: at(sale(700), { partition: 1 }) })
      run.source('     b 1500ms c 1500ms d', { b: sale(0), c: sale(500), d: sale(1_002) })
      run.sink('       - 1500ms - 1500ms w', { w: closed(0, 3) })
      run.deadLetters('- 3500ms e', { e: 'WEIR_RECORD_LATE' })
    }),
  )

  test(
    'when all are idle, the watermark moves on at the pace of the wall clock',
    marbles(({ flow }) => {
      const run = flow(idle(), { epoch: { everyMs: 100 } })
      run.source('a 3500ms -', { a: sale(500) })
      // Idle after 2 s; then 502 ms from 498 to 1,000, told by the next epoch, of which there is one every 100 ms.
      run.sink('2600ms w', { w: closed(0, 1) })
    }),
  )

  test(
    'a replay of old records is not late when the flow was idle before',
    marbles(({ flow }) => {
      const run = flow(idle(), { epoch: { everyMs: 100 } })
      run.source('a 2500ms bc', { a: sale(500), b: sale(900), c: sale(2_500) })
      run.sink('- 2500ms -w', { w: closed(0, 2) })
    }),
  )
})

describe('all time', () => {
  test(
    'without windows every record changes the result',
    marbles(({ flow }) => {
      const run = flow(
        flowOf(
          aggregate('sales', {
            by: (value: Sale) => value.who,
            of: { n: count(), total: sum((value: Sale) => value.amount) },
          }),
        ),
      )
      run.source('abc', { a: sale(1), b: sale(2, 'bob', 5), c: at(sale(0, 'ann', 7), { partition: 1 }) })
      run.sink('  xyz', {
        x: { key: 'ann', value: { n: 1, total: 1 } },
        y: { key: 'bob', value: { n: 1, total: 5 } },
        z: { key: 'ann', value: { n: 2, total: 8 } },
      })
    }),
  )
})

describe('bounded, all time', () => {
  const of = (who: string, t: number) => at(sale(t, who), { key: who })
  const total = (key: string, n: number | undefined) => ({ key, value: n })
  const bounded = (bounds: { ttl?: number; maxKeys?: number }, emit: 'changes' | 'epoch' = 'changes') =>
    flowOf(aggregate('sales', { by: recordKey, of: count(), emit, ...bounds }))
  const telling = (bounds: { ttl?: number; maxKeys?: number }, emit: 'changes' | 'epoch' = 'changes') =>
    flowOf(aggregate('sales', { by: recordKey, of: count(), emit, gone: 'emit', ...bounds }))

  test(
    'a key that no record came for is forgotten, in event time',
    marbles(({ flow }) => {
      const run = flow(bounded({ ttl: 10 }))
      run.source('abcde', { a: of('ann', 0), b: of('bob', 5), c: of('ann', 9), d: of('bob', 15), e: of('ann', 18) })
      run.sink('  vwxyz', {
        v: total('ann', 1),
        w: total('bob', 1),
        x: total('ann', 2),
        y: total('bob', 1),
        z: total('ann', 3),
      })
      run.finally(({ stores }) => expect(stores).toEqual([{ store: 'sales', expired: 1, evicted: 0 }]))
    }),
  )

  test(
    'the key that had no record for longest makes room for one more',
    marbles(({ flow }) => {
      const run = flow(bounded({ maxKeys: 2 }))
      run.source('-a-b-c-d-e-f', {
        a: of('ann', 0),
        b: of('bob', 0),
        c: of('ann', 0),
        d: of('cyd', 0),
        e: of('ann', 0),
        f: of('bob', 0),
      })
      run.crash(' --x-x-x-x-x')
      run.sink('  -u-v-w-x-y-z', {
        u: total('ann', 1),
        v: total('bob', 1),
        w: total('ann', 2),
        x: total('cyd', 1),
        y: total('ann', 3),
        z: total('bob', 1),
      })
      run.finally(({ stores }) => expect(stores).toMatchObject([{ store: 'sales', evicted: 1 }]))
    }),
  )

  test(
    'what a key had is told at the end of an epoch, even if it made room meanwhile',
    marbles(({ flow }) => {
      const run = flow(bounded({ maxKeys: 1 }, 'epoch'), { epoch: { maxRecords: 3 } })
      run.source('abc', { a: of('ann', 0), b: of('bob', 0), c: of('ann', 0) })
      run.sink('  --(xy)', { x: total('bob', 1), y: total('ann', 1) })
    }),
  )

  test(
    'a key that made room is told, where that is wanted, unless it is back at the end of the epoch',
    marbles(({ flow }) => {
      const run = flow(telling({ maxKeys: 1 }, 'epoch'), { epoch: { maxRecords: 3 } })
      const cyd = of('cyd', 0)
      run.source('abc-----def', { a: of('ann', 0), b: of('bob', 0), c: of('ann', 0), d: cyd, e: cyd, f: cyd })
      run.crash(' ---------x')
      run.sink('  --(xyg)---(zh)', {
        x: total('bob', 1),
        y: total('ann', 1),
        g: total('bob', undefined),
        z: total('cyd', 3),
        h: total('ann', undefined),
      })
    }),
  )

  test(
    'a key whose time is over is told with the record that shows it',
    marbles(({ flow }) => {
      const run = flow(telling({ ttl: 10 }), { epoch: { maxRecords: 1 } })
      run.source('a----b----', { a: of('ann', 0), b: of('bob', 15) })
      run.sink('  v----(wg)-', { v: total('ann', 1), w: total('bob', 1), g: total('ann', undefined) })
      run.finally(({ stores }) => expect(stores).toEqual([{ store: 'sales', expired: 1, evicted: 0 }]))
    }),
  )
})

describe('aggregates', () => {
  const of = {
    n: count(),
    big: count((value: Sale) => value.amount > 2),
    total: sum((value: Sale) => value.amount),
    least: min((value: Sale) => value.amount),
    most: max((value: Sale) => value.amount),
    mean: avg((value: Sale) => value.amount),
    people: countDistinct((value: Sale) => value.who),
    last: collect((value: Sale) => value.amount, { max: 2 }),
    top: topK((value: Sale) => value.who, { k: 1, weight: ({ amount }) => amount }),
  }
  const diagram = {
    a: sale(0, 'ann', 1),
    b: sale(1, 'bob', 4),
    c: sale(2, 'ann', 1),
    d: sale(3, 'cyd', 6),
    e: sale(10),
  }
  const top = [{ key: 'cyd', count: 6, error: 0 }]
  const expected = { n: 4, big: 2, total: 12, least: 1, most: 6, mean: 3, people: 3, last: [1, 6], top }

  test(
    'the catalogue',
    marbles(({ flow }) => {
      const run = flow(flowOf(aggregate('sales', { window: tumbling(10), of })))
      run.source('abcde', diagram)
      run.sink('  ----w', { w: result(0, expected) })
    }),
  )

  test(
    'the catalogue, restored after crashes between any two records',
    marbles(({ flow }) => {
      const run = flow(flowOf(aggregate('sales', { window: tumbling(10), of })))
      run.source('-a-b-c-d-e', diagram)
      run.crash(' --x-x-x-x-')
      run.sink('  ---------w', { w: result(0, expected) })
    }),
  )

  test(
    'one of your own',
    marbles(({ flow }) => {
      const product: Aggregate<Sale, number, number> = {
        init: () => 1,
        add: (all, { amount }) => all * amount,
        merge: (all, other) => all * other,
        result: (all) => all,
      }
      const run = flow(flowOf(aggregate('sales', { window: tumbling(10), of: product })))
      run.source('abcd', {
        a: sale(0, 'ann', 2),
        b: at(sale(1, 'bob', 5), { partition: 1 }),
        c: sale(10),
        d: at(sale(10), { partition: 1 }),
      })
      run.sink('  ---w', { w: result(0, 10) })
    }),
  )

  test(
    'an aggregate that throws fails the epoch, with the place of its record',
    marbles(({ flow }) => {
      const run = flow(
        flowOf(
          aggregate('sales', {
            of: sum((): number => {
              throw new Error('no amount')
            }),
          }),
        ),
      )
      run.source('a', { a: sale(0) })
      run.sink('  -')
      run.finally((status) => {
        expect(status.state).toBe('retrying')
        expect(status.error).toMatchObject({
          code: 'WEIR_STAGE_FAILED',
          place: { stage: 'sales', partition: { partition: 0 }, offset: 0 },
        })
      })
    }),
  )
})

function flowOf<R>(stage: Parameters<typeof flow<never, Sale, Sale, R>>[3]) {
  return flow(
    ...input,
    eventTime((value) => value.t, { idleAfter: '1h' }),
    stage,
    listSink(),
  )
}
