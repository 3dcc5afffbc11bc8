import { delay, of, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { aggregate, count, eventTime, flow, json, kafka, mapAsync, tumbling } from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

interface Sale {
  readonly t: number
}

const sale = (t: number): Sale => ({ t })
const sales = [kafka.source({ topic: 'sales' }), json<Sale>()] as const
const result = (start: number, value: number) => ({
  key: null,
  window: { start: new Date(start), end: new Date(start + 10) },
  value,
})
const windows = aggregate('windows', { window: tumbling(10), of: count() })

describe('a stage that answers later', () => {
  test(
    'is waited for: the epoch is committed with what was still under way when the source ended',
    marbles(({ flow: run, clock }) => {
      const slow = mapAsync(({ t }: Sale) => of(t).pipe(delay(5, clock.scheduler)), { concurrency: 4 })
      const flowed = run(flow(...sales, slow, listSink()), { epoch: { maxRecords: 2, everyMs: 100 } })
      // The epoch is full with the second record; the third waits in its topic until both are answered.
      flowed.source('ab-c', { a: sale(1), b: sale(2), c: sale(3) })
      flowed.sink('  -----ab----c', { a: 1, b: 2, c: 3 })
      flowed.finally(() => expect(flowed.virtual.committed.map(({ value }) => value)).toEqual([1, 2, 3]))
    }),
  )

  test(
    'before the event time does not make windows close too early or records late',
    marbles(({ flow: run, clock }) => {
      const slow = mapAsync((value: Sale) => of(value).pipe(delay(value.t === 3 ? 9 : 1, clock.scheduler)), {
        concurrency: 4,
        ordered: false,
      })
      const time = eventTime<Sale>(({ t }) => t, { outOfOrder: 16, idleAfter: '1h' })
      const flowed = run(flow(...sales, slow, time, windows, listSink()), { epoch: { maxRecords: 3, everyMs: 5 } })
      // The second record is answered at 10 ms, long after the third, and after its source has ended.
      flowed.source('abc---------d', { a: sale(1), b: sale(3), c: sale(25), d: sale(26) })
      flowed.sink('  ---------------w', { w: result(0, 2) })
    }),
  )

  test(
    'and fails replays its epoch from where that began',
    marbles(({ flow: run }) => {
      let tries = 0
      const failing = mapAsync(
        ({ t }: Sale) => (t === 2 && tries++ < 2 ? throwError(() => new Error('away')) : of(t)),
        {
          concurrency: 1,
        },
      )
      const flowed = run(flow(...sales, failing, listSink()))
      flowed.source('a-b-c', { a: sale(1), b: sale(2), c: sale(3) })
      // After half a second and then after a whole one.
      flowed.sink('  a- 1500ms (bc)', { a: 1, b: 2, c: 3 })
      flowed.finally(({ failures }) => expect(failures).toBe(0))
    }),
  )
})

test(
  'what no window waits for is late in every replay',
  marbles(({ flow: run }) => {
    const time = eventTime<Sale>(({ t }) => t, { idleAfter: '1h' })
    const late = aggregate('windows', { window: tumbling(10), of: count(), late: 'dead-letter' })
    let writes = 0
    const flowed = run(flow(...sales, time, late, listSink()), {
      epoch: { maxRecords: 3, everyMs: 100 },
      beforeWrite: () => {
        if (writes++ < 1) throw new Error('away')
      },
    })
    flowed.source('abc', { a: sale(1), b: sale(12), c: sale(4) })
    flowed.sink('  -- 500ms w', { w: result(0, 1) })
    flowed.deadLetters('--l 499ms m', { l: 'WEIR_RECORD_LATE', m: 'WEIR_RECORD_LATE' })
    flowed.finally(() => expect(flowed.virtual.deadLetters.map(({ attempts }) => attempts)).toEqual([1, 2]))
  }),
)
