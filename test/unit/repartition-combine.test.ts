import { expect, test } from 'vitest'
import { count, countDistinct, tumbling } from '../../src/index.js'
import { type PartialResult, StreamRecord } from '../../src/model/index.js'
import { aggregateDefinition } from '../../src/operators/aggregate.js'
import { singleStage, valuesOf } from '../support/single-stage.js'

/** The first half of an aggregate: what it sends at the end of an epoch with records of these offsets and times. */
function combining(of: object, more: object = {}) {
  const { stores, time, context } = singleStage('sum', 'task')
  const given = aggregateDefinition.options.parse({ name: 'sum', of, ...more })
  const combine = aggregateDefinition.spread?.combine(given, context)
  time.assigned(0, [{ topic: 't', partition: 0 }], 2)
  for (const partition of [0, 1]) {
    stores.assign({ topic: 't', partition, generation: 1, sequence: 0 })
    time.assign({ topic: 't', partition, generation: 1 }, undefined)
  }
  const recordOf = (offset: number, partition: number) =>
    new StreamRecord<unknown>(null, offset, offset, [], { topic: 't', partition, offset })
  const epoch = (...places: (number | readonly [partition: number, offset: number])[]) => {
    const records = places.map((at) => (typeof at === 'number' ? recordOf(at, 0) : recordOf(at[1], at[0])))
    for (const { origin, timestamp } of records) time.observe(origin.topic, origin.partition, timestamp)
    return valuesOf<PartialResult>(records, combine).map(({ last, saved }) => ({ last, saved }))
  }
  return { epoch, keysOf: (partition: number) => stores.restored({ topic: 't', partition }) }
}

test('a partial is as late as the latest of its records, in whatever order they come', () => {
  const { epoch } = combining(count())
  expect(epoch(5, 7, 6)).toEqual([{ last: 7, saved: 3 }])
  expect(epoch(9, 8)).toEqual([{ last: 9, saved: 5 }])
})

test('each source partition has partials of its own', () => {
  const { epoch } = combining(count())
  expect(epoch([0, 5], [1, 3], [1, 4], [0, 6], [1, 5])).toEqual([
    { last: 6, saved: 2 },
    { last: 5, saved: 3 },
  ])
})

test('each partial holds all that there is so far', () => {
  const { epoch } = combining(countDistinct((offset: number) => offset % 3))
  expect(epoch(1, 4)).toEqual([{ last: 4, saved: [1] }])
  expect(epoch(5, 6, 7)).toEqual([{ last: 7, saved: [1, 2, 0] }])
  expect(epoch()).toEqual([])
})

test('a window is sent when its partition has passed its end, and kept no longer', () => {
  const { epoch, keysOf } = combining(count(), { window: tumbling(10) })
  expect(epoch(1, 9, [1, 4])).toEqual([])
  expect(epoch(12)).toEqual([{ last: 9, saved: 2 }])
  expect([keysOf(0), keysOf(1)]).toEqual([1, 1])
  expect(epoch([1, 10])).toEqual([{ last: 4, saved: 1 }])
  expect([keysOf(0), keysOf(1)]).toEqual([1, 1])
  expect(epoch(20, [1, 20])).toEqual([
    { last: 12, saved: 1 },
    { last: 10, saved: 1 },
  ])
})
