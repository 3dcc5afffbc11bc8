import { of } from 'rxjs'
import { expect, test } from 'vitest'
import { type Aggregate, count, tumbling } from '../../src/index.js'
import { CombinedRecord, PartialResult, StreamRecord, type ToldBefore } from '../../src/model/index.js'
import { aggregateDefinition } from '../../src/operators/aggregate.js'
import { singleStage, valuesOf } from '../support/single-stage.js'

const internal = { topic: 'internal', partition: 0 }
const end = { ...internal, offset: 9, end: 9 }

/** The second half of an aggregate by windows of 10 ms: epochs of partials, each with the watermark at its end. */
function merging(total: Aggregate<unknown, never, number> = count() as never) {
  const rejected: string[] = []
  const { stores, time, context } = singleStage('sum', 'partition', ({ code }) => rejected.push(code))
  const merge = aggregateDefinition.spread?.merge(
    aggregateDefinition.options.parse({ name: 'sum', of: total, window: tumbling(10) }),
    context,
  )
  let watermark = 0
  time.follow(() => ({ watermark, idle: false }))
  stores.assign({ ...internal, generation: 1, sequence: 0 })
  time.assigned(0, [internal], 1)
  time.assign({ ...internal, generation: 1 }, undefined)
  const epoch = (until: number, ...partials: (PartialResult | CombinedRecord)[]) => {
    watermark = until
    time.advance([end])
    const records = partials.map((partial) => new StreamRecord(null, partial, 0, [], { ...internal, offset: 0 }))
    const results = valuesOf<{ value: unknown }>(records, merge)
    time.committed()
    return results.map(({ value }) => value)
  }
  return { epoch, rejected, merge }
}

/** What a source partition has of the window at 0, and what it had told before it was sent. */
function partial(
  saved: number,
  last: number,
  { source = 0, generation = 1, watermark = -1, sentTo = 0, position = last + 1, ahead = -1 } = {},
) {
  const from = { topic: 'source', partition: source }
  return new PartialResult(from, generation, last, 0, null, saved, 1, { position, watermark, sentTo, ahead })
}

test('partials of several source partitions are added up, and the latest of each counts', () => {
  const { epoch } = merging()
  epoch(5, partial(2, 7), partial(1, 3, { source: 1 }))
  epoch(6, partial(1, 6), partial(4, 9), partial(3, 8))
  expect(epoch(12)).toEqual([5])
})

test('a later generation counts though it is not as far, and an older one does not though it is further', () => {
  const { epoch } = merging()
  epoch(5, partial(4, 9), partial(2, 7, { generation: 2 }), partial(8, 20))
  expect(epoch(12)).toEqual([2])
})

test('what is sent again of a window whose result is out is no result, and not late', () => {
  const { epoch, rejected } = merging()
  expect(epoch(12, partial(3, 5))).toEqual([3])
  expect(epoch(13, partial(3, 5, { watermark: 10 }), partial(3, 5, { sentTo: 6 }))).toEqual([])
  expect(rejected).toEqual([])
})

test('a record of a window whose result is out is late as itself, unless it comes again', () => {
  const { epoch, rejected } = merging()
  const ahead = (offset: number, told: Partial<ToldBefore> = {}) => {
    const origin = { topic: 'source', partition: 0, offset }
    const before = { position: 5, watermark: -1, sentTo: 5, ahead: -1, ...told }
    return new CombinedRecord(new StreamRecord(null, 'as read', 0, [], origin), 0, null, before)
  }
  expect(epoch(5, ahead(5), partial(3, 5))).toEqual([])
  expect(epoch(12)).toEqual([3])
  expect(epoch(13, ahead(5, { sentTo: 6 }), ahead(5, { position: 6, watermark: 10 }))).toEqual([])
  expect(rejected).toEqual([])
  expect(epoch(13, ahead(6, { sentTo: 6 }), partial(4, 6, { sentTo: 6, ahead: 6 }))).toEqual([])
  expect(rejected).toEqual(['WEIR_RECORD_LATE'])
})

test('what is new of a window whose result is out is late', () => {
  const { epoch, rejected } = merging()
  expect(epoch(12, partial(3, 5))).toEqual([3])
  expect(epoch(13, partial(4, 6, { watermark: 9, sentTo: 6 }))).toEqual([])
  expect(rejected).toEqual(['WEIR_RECORD_LATE'])
})

test('what can not be loaded of a partial result ends the epoch, and the error says where it is from', () => {
  const load = () => {
    throw new Error('the codec is of another day')
  }
  const { merge } = merging({ ...count(), codec: { version: 1, save: (value: number) => value, load } } as never)
  const errors: unknown[] = []
  const record = new StreamRecord(null, partial(3, 5), 0, [], { ...internal, offset: 0 })
  of(record)
    .pipe(merge as never)
    .subscribe({ error: (error: unknown) => errors.push(error) })
  expect(errors).toMatchObject([
    {
      code: 'WEIR_STAGE_FAILED',
      message: 'loading a partial result of source-0 at key null: the codec is of another day',
      place: { stage: 'sum' },
    },
  ])
})
