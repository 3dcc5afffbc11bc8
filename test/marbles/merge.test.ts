import { describe, expect, test } from 'vitest'
import { aggregate, count, eventTime, flow, from, json, kafka, map, merge, tumbling } from '../../src/index.js'
import { at, marbles } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

interface Sale {
  readonly t: number
}

const web = kafka.source({ topic: 'web' })
const shop = kafka.source({ topic: 'shop' })
const sale = (t: number): Sale => ({ t })
const time = (idleAfter: `${number}s`) => eventTime<Sale>(({ t }) => t, { idleAfter })
const windows = () => aggregate('sales', { window: tumbling(10), of: count() })
const result = (start: number, value: number) => ({
  key: null,
  window: { start: new Date(start), end: new Date(start + 10) },
  value,
})

test(
  'inputs flow as one, each through stages of its own',
  marbles(({ flow: run }) => {
    const flowed = run(
      flow(
        merge(
          from(
            web,
            json<number>(),
            map((value) => `web ${value}`),
          ),
          from(
            shop,
            json<number>(),
            map((value) => `shop ${value}`),
          ),
        ),
        map((text) => text.toUpperCase()),
        listSink(),
      ),
    )
    flowed.source('a-b', { a: 1, b: 2 })
    flowed.source('-c-', { c: 3 }, { source: 1 })
    flowed.sink('  acb', { a: 'WEB 1', b: 'WEB 2', c: 'SHOP 3' })
  }),
)

test(
  'an epoch is full when all inputs together have filled it, and ends all of them',
  marbles(({ flow: run }) => {
    const flowed = run(flow(merge(from(web, json<number>()), from(shop, json<number>())), listSink()), {
      epoch: { maxRecords: 3, everyMs: 100 },
    })
    flowed.source('a-b---d', { a: 1, b: 2, d: 4 })
    flowed.source('-c-----', { c: 3 }, { source: 1 })
    flowed.sink('  acb---d', { a: 1, b: 2, c: 3, d: 4 })
    flowed.finally(({ lastCommitAt }) => {
      expect(lastCommitAt).toBe(2)
      expect(flowed.virtual.committed.map(({ value }) => value)).toEqual([1, 3, 2, 4])
    })
  }),
)

describe('windows over two topics', () => {
  const whole = (idleAfter: `${number}s` = '99s') =>
    flow(merge(from(web, json<Sale>()), from(shop, json<Sale>())), time(idleAfter), windows(), listSink())

  test(
    'wait for the watermarks of both',
    marbles(({ flow: run }) => {
      const flowed = run(whole())
      flowed.source('a-b--', { a: sale(1), b: sale(25) })
      flowed.source('-c--d', { c: sale(2), d: sale(12) }, { source: 1 })
      flowed.sink('  ----w', { w: result(0, 2) })
    }),
  )

  test(
    'do not mix partitions of the same number',
    marbles(({ flow: run }) => {
      const flowed = run(whole())
      flowed.source('a--c-', { a: at(sale(1), { partition: 1 }), c: at(sale(12), { partition: 0 }) })
      flowed.source('-b--d', { b: at(sale(50), { partition: 1 }), d: at(sale(51), { partition: 0 }) }, { source: 1 })
      // The first topic's partition 1 still stands at 1.
      flowed.sink('  -----')
    }),
  )

  test(
    'wait no longer for a topic that is idle and read to its end',
    marbles(({ flow: run }) => {
      const flowed = run(whole('2s'), { epoch: { everyMs: 100 } })
      flowed.source('a 1500ms b 1500ms c', { a: sale(1), b: sale(3), c: sale(12) })
      flowed.source('d', { d: sale(2) }, { source: 1 })
      flowed.sink('  - 1500ms - 1500ms w', { w: result(0, 3) })
    }),
  )

  test(
    'are the same after crashes',
    marbles(({ flow: run }) => {
      const flowed = run(whole())
      flowed.source('a-b-----', { a: sale(1), b: sale(25) })
      flowed.source('-c--d---', { c: sale(2), d: sale(12) }, { source: 1 })
      flowed.crash(' -x-x-x-x')
      flowed.sink('  ----w---', { w: result(0, 2) })
    }),
  )

  test(
    'may be closed in each input, and wait for both there too',
    marbles(({ flow: run }) => {
      const sums = aggregate('web-sales', { window: tumbling(10), of: count() })
      const flowed = run(
        flow(
          merge(from(web, json<Sale>(), time('99s'), sums), from(shop, json<Sale>(), time('99s'), windows())),
          listSink(),
        ),
      )
      flowed.source('a-b----', { a: sale(1), b: sale(25) })
      flowed.source('-c--d- ', { c: sale(2), d: sale(12) }, { source: 1 })
      flowed.sink('  ----(vw)', { v: result(0, 1), w: result(0, 1) })
    }),
  )
})

test(
  'an input that fails fails the epoch of all, and all go back',
  marbles(({ flow: run }) => {
    let isAway = true
    const breaking = map((value: number) => {
      if (value === 3 && isAway) {
        isAway = false
        throw new Error('away')
      }
      return value
    })
    const flowed = run(flow(merge(from(web, json<number>()), from(shop, json<number>(), breaking)), listSink()), {
      epoch: { maxRecords: 3, everyMs: 50 },
    })
    flowed.source('a-b', { a: 1, b: 2 })
    flowed.source('-c-', { c: 3 }, { source: 1 })
    flowed.sink('  a 500ms (abc)', { a: 1, b: 2, c: 3 })
    flowed.finally(() => expect(flowed.virtual.committed.map(({ value }) => value)).toEqual([1, 2, 3]))
  }),
)
