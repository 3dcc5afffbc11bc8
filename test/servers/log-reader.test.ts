import { EMPTY, lastValueFrom } from 'rxjs'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { codes, type Message } from '../../src/kafka/client.js'
import { FetchedLog } from '../../src/kafka/fetched-log.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { answering, FakeBroker, keys } from '../support/fake-broker.js'
import { encodeBatch } from '../support/record-batches.js'
import { connect, fresh, makeTopic, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'

const log = { topic: 'log', partition: 0 }

/** A broker with records of the log `log` from `start` up to `end`; it writes down where it was asked for them. */
async function brokerOf(start: number, end: number) {
  const broker = await FakeBroker.start()
  onTestFinished(() => broker.close())
  const asked: { readonly offset: number; readonly rack: string }[] = []
  broker.leads([{ topic: log.topic, leaders: [[1, 0]] }])
  broker.manners[keys.offsets] = answering((to) => {
    to.int32(0)
    to.array([log], ({ topic, partition }) => {
      to.string(topic)
      to.array([partition], (one) => {
        to.int32(one)
        to.int16(0)
        to.int64(-1)
        to.int64(start)
      })
    })
  })
  broker.manners[keys.fetch] = answering((to, { body }) => {
    // Before it: who asks, waits and sizes, the isolation, the session, numbers of topics and partitions, names and epoch.
    const offset = Number(body.readBigInt64BE(4 * 4 + 1 + 4 * 3 + 2 + log.topic.length + 4 * 3))
    asked.push({ offset, rack: body.toString('utf8', body.length - body.at(-1)!) })
    const isThere = offset >= start && offset <= end
    to.int32(0)
    to.int16(0)
    to.int32(0)
    to.array([log], ({ topic, partition }) => {
      to.string(topic)
      to.array([partition], (one) => {
        to.int32(one)
        to.int16(isThere ? 0 : 1)
        for (const place of [end, end, start]) to.int64(isThere ? place : -1)
        to.array([], () => undefined)
        to.int32(-1)
        to.bytesOf(isThere && offset < end ? batch(offset, end) : Buffer.alloc(0))
      })
    })
  })
  return { bootstrap: broker.bootstrap, asked }
}

function batch(from: number, end: number): Buffer {
  const records = Array.from({ length: end - from }, (_, index) => {
    const offset = from + index
    return { offset, timestamp: 0, key: null, value: Buffer.from(`${offset}`), headers: [] }
  })
  return encodeBatch({ base: from, last: end - 1, records })
}

async function readerOf(bootstrap: string, more: object = {}): Promise<LogReader> {
  const reader = new LogReader({ 'metadata.broker.list': bootstrap, ...more })
  onTestFinished(() => reader.close())
  await reader.connect()
  return reader
}

async function valuesFrom(reader: LogReader, offset: number, of = log): Promise<string[]> {
  const values: string[] = []
  reader.assign([{ ...of, offset }])
  await reader.read(
    ({ value }) => values.push(String(value)),
    () => reader.hasEnded(of),
  )
  return values
}

afterEach(() => vi.restoreAllMocks())

describe('a reader of logs', () => {
  test('asks leaders only: a replica nearby may not have what was committed last', async () => {
    const { bootstrap, asked } = await brokerOf(0, 3)
    expect(await valuesFrom(await readerOf(bootstrap, { 'client.rack': 'near' }), 0)).toEqual(['0', '1', '2'])
    expect(asked.map(({ rack }) => rack)).toEqual(asked.map(() => ''))
  })

  test('passes over what was deleted before it could be read', async () => {
    const { bootstrap, asked } = await brokerOf(5, 8)
    expect(await valuesFrom(await readerOf(bootstrap), 2)).toEqual(['5', '6', '7'])
    expect(asked[0]?.offset).toBe(2)
  })

  test('does not begin again where a log ends before its position: what it has read would come twice', async () => {
    const { bootstrap } = await brokerOf(0, 8)
    await expect(valuesFrom(await readerOf(bootstrap), 9)).rejects.toMatchObject({ code: codes.logTruncated })
  })

  test('has read a log without records at once', async () => {
    const { bootstrap } = await brokerOf(8, 8)
    expect(await valuesFrom(await readerOf(bootstrap), 8)).toEqual([])
  })

  test('reads on by the client, from where it is, what only the client can read', { timeout: 30_000 }, async () => {
    const connection = connect('embedded')
    onTestFinished(() => connection.close())
    // Which of its partitions they go to, all to one, is the embedded broker's choice.
    const topic = await makeTopic(connection, fresh('topic'))
    const sink = sinkOf(connection, { topic })
    await openSink(sink)
    await writeAll(
      sink,
      ['a', 'b', 'c'].map((value) => recordOf(value, 'key')),
    )
    await lastValueFrom(sink.close?.() ?? EMPTY, { defaultValue: undefined })
    const reader = await readerOf(await connection.bootstrap(), { 'check.crcs': false })
    const unreadable = Object.assign(new Error('a batch of format 1'), { code: codes.unreadable })
    const logs = [0, 1, 2, 3].map((partition) => ({ topic, partition, offset: 0 }))
    const read: Message[] = []
    const poll = vi.spyOn(FetchedLog.prototype, 'poll')
    for (const way of ['fetched', 'by the client']) {
      if (way === 'by the client') poll.mockRejectedValueOnce(unreadable)
      // Of the records of the first round the second one leaves out what is before the last.
      reader.assign(
        logs.map((one) => ({
          ...one,
          offset: read.findLast(({ partition }) => partition === one.partition)?.offset ?? 0,
        })),
      )
      await reader.read(
        (message) => read.push(message),
        () => reader.endedCount === logs.length,
      )
    }
    expect(read.map(({ value }) => String(value))).toEqual(['a', 'b', 'c', 'c'])
    expect(poll.mock.settledResults.filter(({ type }) => type === 'rejected')).toHaveLength(1)
  })
})
