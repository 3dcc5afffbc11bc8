import { VirtualTimeScheduler } from 'rxjs'
import { afterEach, expect, test, vi } from 'vitest'
import { aggregate, count, eventTime, flow, json, kafka, tumbling } from '../../src/index.js'
import { Combining } from '../../src/operators/internal/combining.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly at: number
}

const declared = flow(
  kafka.source({ topic: 'visits' }),
  json<Visit>(),
  eventTime(({ at }) => at, { outOfOrder: '1s', idleAfter: '10s' }),
  aggregate('windows', { window: tumbling('5s'), of: count() }),
  listSink(),
)

afterEach(() => {
  vi.restoreAllMocks()
})

test('a partition that has paused sends records ahead until it is awaited again, and not for ever', {
  timeout: 60_000,
}, () => {
  const scheduler = new VirtualTimeScheduler()
  const ahead: number[] = []
  const { add } = Combining.prototype
  vi.spyOn(Combining.prototype, 'add').mockImplementation(function (this: Combining, record) {
    const sent = add.call(this, record)
    if (sent !== undefined) ahead.push(scheduler.now())
    return sent
  })
  const virtual = new VirtualFlow(declared, scheduler, {
    repartition: true,
    epoch: { maxRecords: 1_000, everyMs: 500 },
  })
  virtual.reserve(1)
  for (let at = 100; at < 50_000; at += 500) virtual.append(at, { at })
  for (let at = 100; at < 50_000; at += 500) if (at < 5_000 || at > 30_000) virtual.append(at, { at }, { partition: 1 })
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.crash(), 31_000)
  scheduler.schedule(() => virtual.start(), 31_000)
  scheduler.schedule(() => virtual.crash(), 42_000)
  scheduler.schedule(() => virtual.start(), 42_000)
  scheduler.schedule(() => virtual.stop(), 90_000)
  scheduler.flush()
  expect(ahead.length).toBeGreaterThan(2)
  expect([Math.min(...ahead) > 30_000, Math.max(...ahead) < 40_000]).toEqual([true, true])
  const counted = virtual.committed.map(({ value }) => (value as { value: number }).value)
  expect(counted.reduce((sum, one) => sum + one, 0)).toBe(100 + 50)
  expect(virtual.deadLetters).toEqual([])
})
