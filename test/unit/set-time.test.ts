import { lastValueFrom, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { changeProgress, setBack } from '../../src/engine/index.js'
import { aggregate, collect, eventTime, flow, json, kafka, tumbling } from '../../src/index.js'
import type { HeldPartition } from '../../src/model/index.js'
import type { Windowed } from '../../src/operators/windows.js'
import type { MemoryCheckpoints } from '../../src/state/index.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

const declared = flow(
  kafka.source({ topic: 't' }),
  json<{ t: number }>(),
  eventTime(({ t }) => t, { outOfOrder: '5s', idleAfter: '99s' }),
  aggregate('ids', {
    window: tumbling('1s'),
    of: collect(({ t }: { t: number }) => t, { max: 100 }),
    late: 'dead-letter',
  }),
  listSink(),
)

test('what comes for windows that were final when time was set back is its own dead letter', async () => {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { repartition: true, epoch: { maxRecords: 10, everyMs: 50 } })
  for (const [at, t] of [1_000, 30_000].entries()) virtual.append(at + 1, { t })
  virtual.append(2_001, { t: 7_500 })
  for (const [at, t] of [8_500, 12_000, 30_000].entries()) virtual.append(at + 4_000, { t })
  const run = (from: number, to: number) => {
    scheduler.schedule(() => virtual.start(), from)
    scheduler.schedule(() => virtual.stop(), to)
    scheduler.schedule(() => virtual.crash(), to + 500)
  }
  run(0, 1_000)
  scheduler.flush()
  const { checkpoints } = virtual as unknown as { checkpoints: MemoryCheckpoints }
  const all: readonly HeldPartition[] = await lastValueFrom(checkpoints.list('test'))
  expect(all).toHaveLength(2)
  for (const held of all)
    await lastValueFrom(changeProgress(checkpoints, held, (progress) => setBack(progress, 10_000, 1)))
  run(1_000, 9_000)
  scheduler.flush()
  const told = virtual.committed.map(({ value }) => (value as Windowed<number[]>).value)
  const letters = virtual.deadLetters.map(({ record }) => String(record.origin.value))
  expect([told, letters]).toEqual([
    [[1_000], [12_000]],
    ['{"t":7500}', '{"t":8500}'],
  ])
})
