import { expect, test } from 'vitest'
import type { EpochTrace } from '../../src/engine/status.js'
import { together } from '../../src/worker/observers.js'
import { EngineBench } from '../support/engine-bench.js'

/** What is told of a bench whose commit takes 20 ms, and whose sink 30. */
function traced() {
  const told: EpochTrace[] = []
  const bench = new EngineBench({ rejects: ['bad'], observer: { trace: (trace) => told.push(trace) } }).startWith([0])
  bench.checkpoints.commitWith = () => bench.after(20)
  bench.sink.acknowledgeWith = () => bench.after(30)
  return { bench, told }
}

test('an epoch tells how long each stage had to do, and what came and went', () => {
  const { bench, told } = traced()
  bench.until(40)
  bench.source.feed(0, 'a', 'bad', 'b')
  bench.until(600)
  const span = { startedAt: 40, endedAt: 100 }
  expect(told).toMatchObject([
    {
      flow: 'flow',
      part: 'flow',
      epoch: 0,
      records: 3,
      commitMs: 20,
      startedAt: 0,
      endedAt: 150,
      stages: [
        { stage: 'source', kind: 'source', in: 0, out: 3, rejected: 0, ...span },
        { stage: 'keep', kind: 'operator', in: 3, out: 2, rejected: 1, ...span },
        { stage: 'sink', kind: 'sink', in: 2, out: 2, rejected: 0, startedAt: 40, endedAt: 130 },
      ],
    },
  ])
  expect(told[0]?.heads.map(({ origin }) => origin.offset)).toEqual([0, 1, 2])
})

test('an epoch that fails is told with its error', () => {
  const { bench, told } = traced()
  bench.sink.acknowledgeWith = () => {
    throw new Error('away')
  }
  bench.source.feed(0, 'a')
  bench.until(110)
  expect(told).toMatchObject([{ records: 1, commitMs: undefined, error: { message: 'away' } }])
})

test('of a large epoch the first records are told, and of an empty one nothing', () => {
  const { bench, told } = traced()
  bench.until(500)
  expect(told).toEqual([])
  bench.source.feed(0, ...Array.from({ length: 100 }, (_, index) => `v${index}`))
  bench.until(1_000)
  expect(told[0]?.heads).toHaveLength(32)
})

test('where nobody traces no times are taken', () => {
  expect(together([{ epoch: () => undefined }]).trace).toBeUndefined()
  expect(together([{ trace: () => undefined }]).trace).toBeDefined()
})
