import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import {
  aggregate,
  count,
  eventTime,
  type Flow,
  flow,
  from,
  json,
  kafka,
  merge,
  recordKey,
  tumbling,
} from '../../src/index.js'
import { StreamRecord } from '../../src/model/index.js'
import type { Windowed } from '../../src/operators/windows.js'
import { TaskStores } from '../../src/state/index.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { config, faultsOf, flowOf } from '../support/compiling.js'
import { listSink } from '../support/list-sink.js'

const windows = aggregate('n', { window: tumbling(10), of: count() })
const source = (topic: string) => kafka.source({ topic })
const byValue = (outOfOrder = '0s' as const) => eventTime<{ t: number }>(({ t }) => t, { outOfOrder })

function played(timestamps: readonly number[]) {
  const told = run(flow(source('t'), json<number>(), windows, listSink()), timestamps)
  const starts = told.values.map((value) => (value as Windowed<number, null>).window.start.getTime())
  return { starts, rejected: told.rejected }
}

/** What comes of records of one key at these timestamps. */
function run(declared: Flow, timestamps: readonly number[]) {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { epoch: { maxRecords: 5, everyMs: 50 } })
  for (const [index, timestamp] of timestamps.entries()) virtual.append(index, index, { timestamp, key: 'a' })
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.stop(), 120_000)
  scheduler.schedule(() => virtual.crash(), 120_001)
  scheduler.flush()
  const values = virtual.committed.map(({ value }) => value)
  return { values, rejected: virtual.deadLetters.map(({ error }) => error.code) }
}

test('windows close by the timestamps of the source', () => {
  expect(played([1, 15, 31, 1_000, 90_000])).toEqual({ starts: [0, 10, 30, 1_000], rejected: [] })
})

test('a record without a timestamp is rejected, and moves nothing', () => {
  expect(played([1, -1, 15, 31])).toEqual({ starts: [0, 10], rejected: ['WEIR_RECORD_NO_TIME'] })
})

test('a ttl goes by the timestamps of the source: one of the future, or none, ends no key', () => {
  const declared = flow(
    source('t'),
    json<number>(),
    aggregate('n', { of: count(), by: recordKey, ttl: '10s' }),
    listSink(),
  )
  const start = Date.UTC(2024, 0)
  const { values, rejected } = run(declared, [start, -1, Date.UTC(2999, 0), start + 9_000, start + 20_000])
  expect(values).toEqual([1, 2, 1].map((value) => ({ key: 'a', value })))
  expect(rejected).toEqual(['WEIR_RECORD_NO_TIME', 'WEIR_RECORD_AHEAD'])
})

test('the ttl of any store goes by no time where a record has none', () => {
  const stores = new TaskStores()
  const codec = { version: 1, save: (value: number) => value, load: (saved: unknown) => saved as number }
  const store = stores.declare('n', codec, { ttl: '10s' })
  stores.assign({ topic: 't', partition: 0, generation: 1, sequence: 0 })
  const at = (timestamp: number) =>
    store.for(new StreamRecord(null, 0, timestamp, [], { topic: 't', partition: 0, offset: 0 }))
  at(-1).add(0, 'a', 1)
  at(Number.NaN)
  expect(at(Date.UTC(2024, 0)).get(0, 'a')?.value).toBe(1)
  expect(at(Date.UTC(2024, 0) + 10_000).get(0, 'a')).toBeUndefined()
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
