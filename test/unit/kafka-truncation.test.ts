import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Grant, LogTruncation } from '../../src/kafka/checkpoint-truncation.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { PartitionMap, type Position, silentLogger } from '../../src/model/index.js'

const log = { topic: 'app.flow.t.checkpoints', partition: 0 }

let grant: Grant
let grants: PartitionMap<Grant>
let deleted: number[]
let tell: (end: number) => void
let truncation: LogTruncation

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  grant = { generation: 1, sequence: 0, keptFrom: 0, commits: 0, started: 0, told: '', marks: [] }
  grants = new PartitionMap<Grant>()
  grants.set('t', 0, grant)
  deleted = []
  const topics = {
    offsets: () => new Promise((resolve) => (tell = (offset) => resolve([{ ...log, offset }]))),
    deleteBefore: (positions: readonly Position[]) =>
      Promise.resolve(positions.map(({ offset }) => deleted.push(offset))),
  }
  truncation = new LogTruncation({ topics, context: { log: silentLogger } } as unknown as KafkaConnection, 'app.flow')
})
afterEach(() => {
  vi.useRealTimers()
})

/** A commit is done, and while the brokers say where the log ends, `meanwhile` happens. */
async function commit(end: number, meanwhile: () => void = () => undefined): Promise<void> {
  grant.commits++
  vi.advanceTimersByTime(1_000)
  truncation.tidy(grants)
  meanwhile()
  tell(end)
  await truncation.close()
}

const begin = () => void grant.started++

test('the last word on a partition stays until the next commit is done', async () => {
  begin()
  await commit(10, begin)
  // What lies before the end may be of the second commit, and the third may fail.
  await commit(20, begin)
  expect(deleted).toEqual([])
  await commit(30, begin)
  expect(deleted).toEqual([10])
})

test('chunks stay until no commit needs them any more', async () => {
  for (const sequence of [1, 2, 3]) {
    begin()
    grant.sequence = sequence
    await commit(10 * sequence)
  }
  expect(deleted).toEqual([])
  begin()
  Object.assign(grant, { sequence: 4, keptFrom: 3 })
  await commit(40)
  expect(deleted).toEqual([20])
})
