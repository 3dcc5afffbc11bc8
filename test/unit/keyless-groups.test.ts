import { expect, test } from 'vitest'
import { count, tumbling } from '../../src/index.js'
import { StreamRecord } from '../../src/model/index.js'
import { aggregateDefinition, recordKey } from '../../src/operators/aggregate.js'
import { singleStage, valuesOf } from '../support/single-stage.js'

interface Told {
  readonly key: string | null
  readonly value: number
}

/** A process that has one of two partitions, and may get the other. */
function sharing(way: 'alone' | 'met', more: object = {}) {
  const { stores, time, context } = singleStage('n', 'partition')
  const warnings: string[] = []
  const log = { ...context.log, warn: (text: string) => void warnings.push(text) }
  const given = aggregateDefinition.options.parse({ name: 'n', of: count(), by: recordKey, ...more })
  const stage = aggregateDefinition.spread?.[way](given, { ...context, log } as never)
  const give = (partition: number) => {
    time.assigned(0, [{ topic: 't', partition }], 2)
    stores.assign({ topic: 't', partition, generation: 1, sequence: 0 })
    time.assign({ topic: 't', partition, generation: 1 }, undefined)
  }
  give(0)
  let offset = 0
  /** What an epoch tells of records with these keys and times. */
  const epoch = (...given: (readonly [key: string | null, at: number, partition?: number])[]) => {
    const records = given.map(([key, at, partition = 0]) => {
      return new StreamRecord(key, null, at, [], { topic: 't', partition, offset: offset++ })
    })
    for (const { origin, timestamp } of records) time.observe(origin.topic, origin.partition, timestamp)
    time.advance([])
    const told = valuesOf<Told>(records, stage).map(({ key, value }) => [key, value])
    time.committed()
    return told
  }
  return { epoch, give, warnings }
}

const windows = { window: tumbling(10) }

test('windows of records without a key are withheld while another process has a partition, and then told once', () => {
  const { epoch, give, warnings } = sharing('alone', windows)
  expect(epoch([null, 1], ['a', 2], [null, 3])).toEqual([])
  expect(warnings).toEqual([])
  expect(epoch(['a', 12])).toEqual([['a', 1]])
  expect(epoch(['a', 22])).toEqual([['a', 1]])
  expect(warnings).toEqual([expect.stringMatching(/^records without a key are one group, and .* withheld/)])
  give(1)
  expect(epoch([null, 4, 1])).toEqual([])
  expect(epoch(['b', 30, 1])).toEqual([[null, 3]])
  expect(epoch(['a', 40], ['b', 40, 1])).toEqual([
    ['a', 1],
    ['b', 1],
  ])
})

test('so are the results of all time, with each change', () => {
  const { epoch, give, warnings } = sharing('alone')
  expect(epoch([null, 1], ['a', 2], [null, 3])).toEqual([['a', 1]])
  expect(warnings).toHaveLength(1)
  give(1)
  expect(epoch([null, 4, 1])).toEqual([[null, 3]])
})

test('where an internal topic has brought them together they are told as others are', () => {
  const { epoch, warnings } = sharing('met')
  expect(epoch([null, 1], ['a', 2], [null, 3])).toEqual([
    [null, 1],
    ['a', 1],
    [null, 2],
  ])
  const windowed = sharing('met', windows)
  windowed.epoch([null, 1], [null, 3])
  expect(windowed.epoch(['a', 12])).toEqual([[null, 2]])
  expect([...warnings, ...windowed.warnings]).toEqual([])
})
