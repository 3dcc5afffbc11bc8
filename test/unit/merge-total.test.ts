import { VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { aggregate, count, eventTime, type Flow, flow, from, json, kafka, merge, tumbling } from '../../src/index.js'
import type { Windowed } from '../../src/operators/windows.js'
import { VirtualFlow, type VirtualFlowOptions } from '../../src/testing/virtual-flow.js'
import { assignLater } from '../support/late-assignment.js'
import { listSink } from '../support/list-sink.js'

interface Sale {
  readonly t: number
}

const merged = flow(
  merge(from(kafka.source({ topic: 'web' }), json<Sale>()), from(kafka.source({ topic: 'shop' }), json<Sale>())),
  eventTime<Sale>(({ t }) => t, { idleAfter: '99s' }),
  aggregate('sales', { window: tumbling(10), of: count(), late: 'dead-letter' }),
  listSink(),
)

/** What comes of two records in each of two sources, of which the second is assigned after so long, ms. */
function played(declared: Flow, delay: number, options: VirtualFlowOptions, end = 200) {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, options)
  for (const source of [0, 1]) {
    virtual.append(0, { t: 1 + source }, {}, source)
    virtual.append(1, { t: 25 }, {}, source)
  }
  if (delay > 0) assignLater(virtual, 1, delay, scheduler)
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.stop(), end)
  scheduler.schedule(() => virtual.crash(), end + 1)
  scheduler.flush()
  const results = virtual.committed.map(({ value }) => value as Windowed<number, null>)
  return {
    results: results.map(({ window, value }) => [window.start.getTime(), value]),
    late: virtual.deadLetters.map(({ error }) => error.code),
  }
}

describe.each([{ repartition: false }, { repartition: true }])('a window of a merge, %o', (options) => {
  test.each([0, 30])('waits for both sources, of which the second is assigned after %i ms', (delay) => {
    expect(played(merged, delay, options)).toEqual({ results: [[0, 2]], late: [] })
  })

  test('waits for the second however long its group takes', () => {
    expect(played(merged, 10_000, options, 10_500)).toEqual({ results: [[0, 2]], late: [] })
  })
})
