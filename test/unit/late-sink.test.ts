import { concat, ignoreElements, timer, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { flow, json, kafka } from '../../src/index.js'
import { defineOperator, type Operator } from '../../src/model/index.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

/** What stands behind it opens so late in each epoch. */
const late = defineOperator({
  name: 'late',
  summary: 'Subscribes late.',
  options: z.strictObject({ ms: z.number() }),
  build:
    ({ ms }, { clock }) =>
    (records$) =>
      concat(timer(ms, clock.scheduler).pipe(ignoreElements()), records$),
})

test.each([150, 99, 10_000])('a sink that opens after %i ms gets its records, though an epoch takes 100 ms', (ms) => {
  const scheduler = new VirtualTimeScheduler()
  const opening = late.declare({ ms }) as unknown as Operator<number, number>
  const declared = flow(kafka.source({ topic: 't' }), json<number>(), opening, listSink<number>())
  const virtual = new VirtualFlow(declared, scheduler, { epoch: { maxRecords: 100, everyMs: 100 } })
  for (const value of [1, 2, 3]) virtual.append(value, value)
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.crash(), ms + 101)
  scheduler.flush()
  expect(virtual.committed.map(({ value }) => value)).toEqual([1, 2, 3])
})
