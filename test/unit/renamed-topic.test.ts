import { TestScheduler } from 'rxjs/testing'
import { expect, test } from 'vitest'
import { aggregate, count, eventTime, flow, json, kafka, tumbling } from '../../src/index.js'
import { VirtualFlow, type Written } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

const declared = flow(
  kafka.source({ topic: 'sales' }),
  json<{ t: number }>(),
  eventTime(({ t }) => t, { idleAfter: '2s' }),
  aggregate('n', { window: tumbling(10), of: count() }),
  listSink(),
)

/** What one life of the flow leaves to the next. */
interface Inner {
  readonly sources: { topic: string }[]
  checkpoints: unknown
  internals: Map<string, { scheduler: unknown; logs: { at: number }[][] }>
}

interface Life {
  readonly topic: string
  readonly times: readonly number[]
  readonly before?: VirtualFlow | undefined
  readonly from?: number
}

/** Runs the flow over a source topic of that name; what the life before it has left is there. */
function live({ topic, times, before, from = 0 }: Life): VirtualFlow {
  const scheduler = new TestScheduler(() => undefined)
  return scheduler.run(() => {
    const options = { repartition: true, epoch: { maxRecords: 5, everyMs: 50 } }
    const virtual = new VirtualFlow(declared, scheduler, options)
    const inner = virtual as unknown as Inner
    inner.sources[0]!.topic = topic
    for (const [index, t] of times.entries()) virtual.append(from + index * 10, { t })
    if (before !== undefined) {
      const left = before as unknown as Inner
      inner.checkpoints = left.checkpoints
      inner.internals = left.internals
      for (const log of left.internals.values()) {
        log.scheduler = scheduler
        for (const entry of log.logs.flat()) entry.at = 0
      }
    }
    scheduler.schedule(() => virtual.start(), from)
    // Long enough for everything to go idle.
    scheduler.schedule(() => virtual.stop(), from + 60_000)
    scheduler.schedule(() => virtual.crash(), from + 60_001)
    scheduler.flush()
    return virtual
  })
}

const resultsOf = ({ committed }: VirtualFlow) =>
  committed.map(({ value }: Written) => {
    const { window, value: n } = value as { window: { start: Date }; value: number }
    return [window.start.getTime(), n]
  })

test('the same topic again: results go on', () => {
  expect(resultsOf(live({ topic: 'sales', times: [1, 15, 31] }))).toEqual([
    [0, 1],
    [10, 1],
    [30, 1],
  ])
  const before = live({ topic: 'sales', times: [1, 15] })
  const again = live({ topic: 'sales', times: [1, 15, 100_001, 100_015, 100_041], before, from: 100_000 })
  expect(resultsOf(again)).toContainEqual([100_000, 1])
})

test('another topic: nobody waits for the one that is read no longer', () => {
  const before = live({ topic: 'sales', times: [1, 15] })
  const second = live({ topic: 'sales-v2', times: [100_001, 100_015, 100_041], before, from: 100_000 })
  expect(resultsOf(second)).toContainEqual([100_000, 1])
})
