import { Subscriber } from 'rxjs'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type ClientError, codes } from '../../src/kafka/client.js'
import { Fetcher, type Leaders } from '../../src/kafka/fetch/fetcher.js'
import type { FetchedPartition, FetchRequest, FetchResponse } from '../../src/kafka/fetch/protocol/fetch.js'
import type { KafkaValue } from '../../src/kafka/kafka-value.js'
import { Reading } from '../../src/kafka/silence.js'
import type { StreamRecord } from '../../src/model/index.js'
import { encodeBatch, type LoggedRecord, marker } from '../support/record-batches.js'

const topic = 't'
const mebibyte = 1_048_576

interface Asked {
  readonly node: number
  readonly request: FetchRequest
  answer(...partitions: readonly Partial<FetchedPartition>[]): Promise<void>
  throttle(ms: number): Promise<void>
  fail(error: Error): Promise<void>
}

/** Brokers that answer when the test has them do so. */
class FakeBrokers implements Leaders {
  readonly asked: Asked[] = []
  readonly leaders = new Map<number, number>()
  refreshed = 0
  isClosed = false

  leaderOf(_topic: string, partition: number) {
    const node = this.leaders.get(partition)
    return node === undefined ? undefined : { node, epoch: 7 }
  }

  refresh(): Promise<void> {
    this.refreshed++
    return Promise.resolve()
  }

  connectionTo(node: number) {
    return Promise.resolve({
      request: (_api: unknown, request: FetchRequest) =>
        new Promise<FetchResponse>((resolve, reject) => {
          const settle = async (action: () => void) => {
            action()
            await vi.advanceTimersByTimeAsync(0)
          }
          const give = (throttleMs: number, partitions: readonly Partial<FetchedPartition>[]) =>
            settle(() => resolve({ throttleMs, error: 0, partitions: partitions.map((one) => ({ ...empty, ...one })) }))
          this.asked.push({
            node,
            request,
            answer: (...partitions) => give(0, partitions),
            throttle: (ms) => give(ms, []),
            fail: (error) => settle(() => reject(error)),
          })
        }),
    })
  }

  close(): void {
    this.isClosed = true
  }
}

const empty: FetchedPartition = {
  topic,
  partition: 0,
  error: 0,
  highWatermark: 0,
  lastStableOffset: 0,
  logStart: 0,
  aborted: [],
  preferredReplica: -1,
  records: Buffer.alloc(0),
}

/** Records whose values are their offsets, or of the size that is given. */
function batch(from: number, count: number, size?: number): Buffer {
  const records = Array.from({ length: count }, (_, index): LoggedRecord => {
    const value = size === undefined ? Buffer.from(String(from + index)) : Buffer.alloc(size)
    return { offset: from + index, timestamp: 1, key: null, value, headers: [] }
  })
  return encodeBatch({ base: from, last: from + count - 1, records })
}

let brokers: FakeBrokers
let fetcher: Fetcher
let failed: ClientError[]
let throttled: number[]
let read: StreamRecord<KafkaValue>[]
let readings: Map<number, Reading>
const out = new Subscriber<StreamRecord<KafkaValue>>({
  next: (record: StreamRecord<KafkaValue>) => read.push(record),
} as never)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  brokers = new FakeBrokers()
  brokers.leaders.set(0, 1).set(1, 1).set(2, 2)
  failed = []
  throttled = []
  read = []
  readings = new Map([0, 1, 2].map((partition) => [partition, new Reading(topic, partition, 0, 0, { partitions: 3 })]))
  fetcher = new Fetcher(
    brokers,
    { rack: '' },
    { arrived: () => undefined, throttled: (ms) => throttled.push(ms), failed: (error) => failed.push(error) },
  )
})

afterEach(() => {
  fetcher.close()
  vi.useRealTimers()
})

async function assign(...partitions: number[]): Promise<void> {
  fetcher.set(partitions.map((partition) => ({ topic, partition, offset: 0 })))
  await vi.advanceTimersByTimeAsync(0)
}

/** Emits all that has come, as values. */
function emit(): (string | undefined)[] {
  const before = read.length
  while (fetcher.head !== undefined) {
    fetcher.head.emit(1_000, { out, moved: 0, part: (_topic, partition) => readings.get(partition) })
    fetcher.shift()
  }
  return read.slice(before).map(({ value }) => value?.toString())
}

function last(): Asked {
  return brokers.asked.at(-1) as Asked
}

function partitionsOf({ request }: Asked) {
  return request.topics.flatMap(({ partitions }) => partitions)
}

test('each broker is asked for all of its partitions at once, and for the next before these are emitted', async () => {
  await assign(0, 1, 2)
  expect(brokers.asked.map((one) => [one.node, partitionsOf(one).length])).toEqual([
    [1, 2],
    [2, 1],
  ])
  await brokers.asked[0]?.answer({ partition: 0, records: batch(0, 2) }, { partition: 1, records: batch(0, 1) })
  expect(read).toEqual([])
  expect(partitionsOf(last()).map(({ partition, offset, leaderEpoch }) => [partition, offset, leaderEpoch])).toEqual(
    expect.arrayContaining([
      [0, 2, 7],
      [1, 1, 7],
    ]),
  )
  expect(emit()).toEqual(['0', '1', '0'])
  expect([readings.get(0)?.position, readings.get(1)?.position]).toEqual([2, 1])
})

test('of a partition nothing more is asked for while enough waits, and the broker is not to wait for the others', async () => {
  await assign(0, 1)
  await last().answer({ partition: 0, records: batch(0, 2, mebibyte) })
  expect(partitionsOf(last()).map(({ partition }) => partition)).toEqual([1])
  expect(last().request.maxWaitMs).toBeLessThan(50)
  emit()
  await last().answer()
  expect(partitionsOf(last()).map(({ partition }) => partition)).toEqual(expect.arrayContaining([0, 1]))
  expect(last().request.maxWaitMs).toBe(100)
})

test('a partition of which enough waited is asked for again when that is emitted, though nothing else comes', async () => {
  await assign(0)
  await last().answer({ records: batch(0, 2, mebibyte) })
  expect(brokers.asked).toHaveLength(1)
  emit()
  await vi.advanceTimersByTimeAsync(0)
  expect(brokers.asked).toHaveLength(2)
  expect(partitionsOf(last())[0]?.offset).toBe(2)
})

test('nothing is asked for while 16 MiB wait, of however many partitions', async () => {
  const many = Array.from({ length: 17 }, (_, partition) => partition)
  for (const partition of many) brokers.leaders.set(partition, 1)
  await assign(...many)
  const large = many.slice(0, 16).map((partition) => ({ partition, records: batch(0, 1, mebibyte) }))
  await last().answer(...large)
  expect(brokers.asked).toHaveLength(1)
  fetcher.shift()
  await vi.advanceTimersByTimeAsync(0)
  expect(partitionsOf(last()).map(({ partition }) => partition)).toEqual(expect.arrayContaining([0, 16]))
})

test('what comes of a partition that is not read any more is never emitted, be it on its way or here', async () => {
  await assign(0, 1)
  await last().answer({ partition: 0, records: batch(0, 2) }, { partition: 1, records: batch(0, 1) })
  fetcher.remove([{ topic, partition: 0 }])
  await last().answer({ partition: 0, records: batch(2, 2) }, { partition: 1, records: batch(1, 1) })
  expect(emit()).toEqual(['0', '1'])
  await last().answer({ partition: 0, records: batch(4, 2) })
  expect(emit()).toEqual([])
})

test('a partition that is read elsewhere gives nothing of where it was read before', async () => {
  await assign(0)
  await last().answer({ records: batch(0, 2) })
  const asked = last()
  fetcher.set([{ topic, partition: 0, offset: 0 }])
  await asked.answer({ records: batch(2, 2) })
  expect(emit()).toEqual([])
  expect(partitionsOf(last())[0]?.offset).toBe(0)
  await last().answer({ records: batch(0, 3) })
  expect(emit()).toEqual(['0', '1', '2'])
})

test('a batch that is larger than what was asked for is asked for whole, once', async () => {
  await assign(0)
  const large = batch(0, 3, mebibyte)
  await last().answer({ records: large.subarray(0, mebibyte) })
  expect(partitionsOf(last())[0]?.maxBytes).toBe(large.length)
  expect(last().request.maxBytes).toBeGreaterThanOrEqual(large.length)
  await last().answer({ records: large })
  expect(emit()).toHaveLength(3)
  await vi.advanceTimersByTimeAsync(0)
  await vi.advanceTimersByTimeAsync(0)
  expect(partitionsOf(last())[0]).toMatchObject({ offset: 3, maxBytes: mebibyte })
})

test('a partition whose leader has moved is asked for at the new one', async () => {
  await assign(0)
  brokers.leaders.set(0, 3)
  await last().answer({ error: 6 })
  expect(brokers.refreshed).toBe(1)
  await vi.advanceTimersByTimeAsync(60)
  expect(last().node).toBe(3)
  expect(failed).toEqual([])
})

test('a partition without a leader is asked after again, and others meanwhile', async () => {
  brokers.leaders.delete(0)
  await assign(0, 2)
  expect(brokers.asked.map(({ node }) => node)).toEqual([2])
  await vi.advanceTimersByTimeAsync(500)
  expect(brokers.refreshed).toBeGreaterThan(3)
  expect(brokers.refreshed).toBeLessThan(15)
  brokers.leaders.set(0, 1)
  await vi.advanceTimersByTimeAsync(60)
  expect(brokers.asked.map(({ node }) => node)).toContain(1)
})

test.each([
  ['is beyond its end, or was deleted', { error: 1 }, codes.noOffset],
  ['was cut away by a new leader', { diverging: { epoch: 1, end: 0 } }, codes.logTruncated],
])('a position that %s is told once, and read no further until somebody says where', async (_, answer, code) => {
  await assign(0)
  await last().answer(answer)
  await vi.advanceTimersByTimeAsync(5_000)
  expect(failed.map((error) => error.code)).toEqual([code])
  expect(brokers.asked).toHaveLength(1)
  fetcher.set([{ topic, partition: 0, offset: 5 }])
  await vi.advanceTimersByTimeAsync(0)
  expect(partitionsOf(last())[0]?.offset).toBe(5)
})

test('a broker that fails is asked again after a rest that grows to a second, and others all the time', async () => {
  await assign(0, 2)
  const ofFirst = () => brokers.asked.filter(({ node }) => node === 1)
  for (let times = 0; times < 8; times++) {
    await ofFirst()
      .at(-1)
      ?.fail(Object.assign(new Error('gone'), { code: codes.transport }))
    await vi.advanceTimersByTimeAsync(1_000)
  }
  expect(ofFirst()).toHaveLength(9)
  expect(failed).toHaveLength(8)
  await ofFirst().at(-1)?.fail(new Error('gone'))
  await vi.advanceTimersByTimeAsync(900)
  expect(ofFirst()).toHaveLength(9)
  await brokers.asked.find(({ node }) => node === 2)?.answer({ partition: 2, records: batch(0, 1) })
  expect(emit()).toEqual(['0'])
})

test('that no broker says who leads is told, and asked again', async () => {
  brokers.leaders.clear()
  const refused = Object.assign(new Error('another cluster'), { code: codes.foreignCluster })
  const refresh = vi.spyOn(brokers, 'refresh').mockRejectedValue(refused)
  await assign(0)
  await vi.advanceTimersByTimeAsync(120)
  expect(refresh.mock.calls.length).toBeGreaterThan(1)
  expect(failed[0]).toBe(refused)
})

test('a broker that wants to be left alone is, which is told', async () => {
  await assign(0)
  await last().throttle(400)
  await vi.advanceTimersByTimeAsync(390)
  expect(brokers.asked).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(20)
  expect(brokers.asked).toHaveLength(2)
  expect(throttled).toEqual([400])
})

test('marks and aborted records are not emitted, and positions go past them', async () => {
  await assign(0)
  const aborted = { ...recordsOf(1, 2), producer: 9, isTransactional: true }
  const log = Buffer.concat([batch(0, 1), encodeBatch(aborted), encodeBatch(marker(3, 9, false))])
  await last().answer({ records: log, aborted: [{ producer: 9n, first: 1 }] })
  expect(emit()).toEqual(['0'])
  expect(readings.get(0)?.position).toBe(4)
  await last().answer({ records: encodeBatch(marker(4, 9, true)) })
  expect(emit()).toEqual([])
  expect(readings.get(0)?.position).toBe(5)
})

test('a batch that is not what it was is told, and asked for again', async () => {
  await assign(0)
  const broken = batch(0, 1)
  broken[broken.length - 1] = 1
  await last().answer({ records: broken })
  expect(failed).toMatchObject([{ code: codes.badMessage }])
  await vi.advanceTimersByTimeAsync(60)
  await last().answer({ records: batch(0, 1) })
  expect(emit()).toEqual(['0'])
})

test('replicas nearby are read where the leader says so, and the leader where one does not have it', async () => {
  await assign(0)
  await last().answer({ preferredReplica: 5 })
  expect(last().node).toBe(5)
  await last().answer({ error: 1 })
  await vi.advanceTimersByTimeAsync(60)
  expect(last().node).toBe(1)
  expect(failed).toEqual([])
})

test('of a topic that is held nothing is asked for', async () => {
  fetcher.hold(topic, true)
  await assign(0)
  expect(brokers.asked).toEqual([])
  fetcher.hold(topic, false)
  await vi.advanceTimersByTimeAsync(0)
  expect(brokers.asked).toHaveLength(1)
})

test('closed, it asks nothing, and what comes is nothing', async () => {
  await assign(0)
  fetcher.close()
  await last().answer({ records: batch(0, 1) })
  await vi.advanceTimersByTimeAsync(5_000)
  expect(brokers.asked).toHaveLength(1)
  expect(fetcher.head).toBeUndefined()
  expect(brokers.isClosed).toBe(true)
})

function recordsOf(from: number, count: number) {
  const records = Array.from({ length: count }, (_, index): LoggedRecord => {
    const offset = from + index
    return { offset, timestamp: 1, key: null, value: Buffer.from(String(offset)), headers: [] }
  })
  return { base: from, last: from + count - 1, records }
}

test('all that the leaders had is emitted when nothing waits, and each partition was told to its end', async () => {
  await assign(0, 1)
  expect(fetcher.hasAll).toBe(false)
  await last().answer({ partition: 0, lastStableOffset: 7, records: batch(0, 5) }, { partition: 1 })
  expect(fetcher.hasAll).toBe(false)
  emit()
  // There are two more.
  expect(fetcher.hasAll).toBe(false)
  await last().answer({ partition: 0, lastStableOffset: 7, records: batch(5, 2) }, { partition: 1 })
  expect(fetcher.hasAll).toBe(false)
  emit()
  expect(fetcher.hasAll).toBe(true)
})
