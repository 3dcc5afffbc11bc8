import { from, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { EventTime } from '../../src/engine/event-time.js'
import { count, countDistinct } from '../../src/index.js'
import { type OperatorContext, type PartialResult, StreamRecord, silentLogger } from '../../src/model/index.js'
import { aggregateDefinition } from '../../src/operators/aggregate.js'
import { TaskStores } from '../../src/state/index.js'

const partition = { topic: 't', partition: 0 }

/** The first half of an aggregate over all time, and what it sends at the end of an epoch with these records. */
function combining(of: object) {
  const scheduler = new VirtualTimeScheduler()
  const clock = { now: () => scheduler.now(), scheduler }
  const stores = new TaskStores()
  const time = new EventTime(clock)
  const context = {
    clock,
    time,
    stage: 'sum',
    log: silentLogger,
    store: stores.declare.bind(stores),
  } as unknown as OperatorContext
  const given = aggregateDefinition.options.parse({ name: 'sum', of })
  const combine = aggregateDefinition.spread?.combine(given, context)
  stores.assign({ ...partition, generation: 1, sequence: 0 })
  time.assign({ ...partition, generation: 1 }, undefined, 1)
  return (...offsets: number[]) => {
    const sent: PartialResult[] = []
    const records = offsets.map((offset) => new StreamRecord<unknown>(null, offset, 0, [], { ...partition, offset }))
    from(records)
      .pipe(combine as never)
      .subscribe((record) => sent.push((record as StreamRecord<PartialResult>).value))
    return sent.map(({ last, saved }) => ({ last, saved }))
  }
}

test('a partial is as late as the latest of its records, in whatever order they come', () => {
  const epoch = combining(count())
  expect(epoch(5, 7, 6)).toEqual([{ last: 7, saved: 3 }])
  expect(epoch(9, 8)).toEqual([{ last: 9, saved: 5 }])
})

test('each partial holds all that there is so far', () => {
  const epoch = combining(countDistinct((offset: number) => offset % 3))
  expect(epoch(1, 4)).toEqual([{ last: 4, saved: [1] }])
  expect(epoch(5, 6, 7)).toEqual([{ last: 7, saved: [1, 2, 0] }])
  expect(epoch()).toEqual([])
})
