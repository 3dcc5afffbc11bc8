import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { aggregate, count, eventTime, flow, from, json, kafka, merge, tumbling } from '../../src/index.js'
import type { Windowed } from '../../src/operators/windows.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { config, faultsOf, flowOf } from '../support/compiling.js'
import { listSink } from '../support/list-sink.js'

const windows = aggregate('n', { window: tumbling(10), of: count() })
const source = (topic: string) => kafka.source({ topic })
const byValue = (outOfOrder = '0s' as const) => eventTime<{ t: number }>(({ t }) => t, { outOfOrder })

function played(timestamps: readonly number[]) {
  const declared = flow(source('t'), json<number>(), windows, listSink())
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { epoch: { maxRecords: 5, everyMs: 50 } })
  for (const [index, timestamp] of timestamps.entries()) virtual.append(index, index, { timestamp })
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.stop(), 120_000)
  scheduler.schedule(() => virtual.crash(), 120_001)
  scheduler.flush()
  const starts = virtual.committed.map(({ value }) => (value as Windowed<number, null>).window.start.getTime())
  return { starts, rejected: virtual.deadLetters.map(({ error }) => error.code) }
}

test('windows close by the timestamps of the source', () => {
  expect(played([1, 15, 31, 1_000, 90_000])).toEqual({ starts: [0, 10, 30, 1_000], rejected: [] })
})

test('a record without a timestamp is rejected, and moves nothing', () => {
  expect(played([1, -1, 15, 31])).toEqual({ starts: [0, 10], rejected: ['WEIR_RECORD_NO_TIME'] })
})

test('only an input whose records get no time otherwise takes their timestamps', () => {
  const inputs = merge(from(source('a'), json<{ t: number }>(), byValue()), from(source('b'), json<{ t: number }>()))
  const { summary } = flowOf(config(flow(inputs, windows, listSink())))
  const times = summary.filter(({ definition }) => definition === 'recordTime').map((stage) => stage.inputs)
  expect(times).toEqual([['kafka.source-2']])
  const untimed = flowOf(config(flow(source('a'), json(), listSink())))
  expect(untimed.summary.map(({ definition }) => definition)).not.toContain('recordTime')
})

test('two stages that say the time on one way, and one behind what goes by it, are refused', () => {
  const messages = (declared: Parameters<typeof config>[0]) => faultsOf(config(declared)).map(({ message }) => message)
  const json$ = json<{ t: number }>()
  expect(
    messages(flow(merge(from(source('a'), json$, byValue()), from(source('b'), json$)), byValue(), listSink())),
  ).toEqual(["flow 'flow': 'eventTime-2' says what time records have, and 'eventTime' has said so already"])
  expect(
    messages(
      flow(
        source('a'),
        json$,
        windows,
        eventTime(() => 0),
        listSink(),
      ),
    ),
  ).toEqual(["flow 'flow': 'n' goes by the time of records, which 'eventTime' says only elsewhere"])
})
