import { beforeEach, expect, test } from 'vitest'
import { PartitionMap, type TopicPartition } from '../../src/model/index.js'
import { Grant } from '../../src/state/checkpoint-protocol/grant.js'
import { LogTruncation } from '../../src/state/checkpoint-protocol/truncation.js'

const source: TopicPartition = { topic: 't', partition: 0 }

let grant: Grant
let truncation: LogTruncation
let position = 0

beforeEach(() => {
  grant = new Grant(1)
  const grants = new PartitionMap<Grant>()
  grants.set('t', 0, grant)
  truncation = new LogTruncation(grants)
})

function begin(sequence = 0, truncateBefore?: number): void {
  const progress = { position: position++ }
  grant.begins({ ...source, generation: 1, progress, sequence, chunks: [], truncateBefore })
}

/** A commit is done, and while the brokers say where the log ends, `meanwhile` happens. Returns what is deleted. */
function commit(end: number, meanwhile: () => void = () => undefined): number[] {
  grant.isDone()
  expect(truncation.handle({ on: 'tidy' })).toEqual({ do: 'ask', partitions: [source] })
  expect(truncation.handle({ on: 'tidy' })).toEqual({ do: 'rest' })
  meanwhile()
  const command = truncation.handle({ on: 'ends', ends: [{ ...source, offset: end }] })
  truncation.handle({ on: 'over' })
  return command.do === 'delete' ? command.before.map(({ offset }) => offset) : []
}

test('the last word on a partition stays until the next commit is done', () => {
  begin()
  expect(commit(10, begin)).toEqual([])
  // What lies before the end may be of the second commit, and the third may fail.
  expect(commit(20, begin)).toEqual([])
  expect(commit(30, begin)).toEqual([10])
})

test('chunks stay until no commit needs them any more', () => {
  for (const sequence of [1, 2, 3]) {
    begin(sequence)
    expect(commit(10 * sequence)).toEqual([])
  }
  begin(4, 3)
  expect(commit(40)).toEqual([20])
})

test('nothing is asked where nothing is held', () => {
  expect(new LogTruncation(new PartitionMap<Grant>()).handle({ on: 'tidy' })).toEqual({ do: 'rest' })
})
