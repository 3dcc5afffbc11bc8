import { lastValueFrom } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/engine/index.js'
import { aggregate, consoleSink, count, eventTime, flow, from, json, kafka, merge, tumbling } from '../../src/index.js'
import { TopicAdmin } from '../../src/kafka/admin.js'
import { KafkaChannelReader } from '../../src/kafka/channel.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { type Position, silentLogger } from '../../src/model/index.js'

const topic = 'app.f.n.repartition'
const positions = [
  { topic, partition: 0, offset: 40 },
  { topic: 'orders', partition: 0, offset: 123_456 },
]

test('a task may read an internal topic beside one of the user’s', () => {
  const declared = flow(
    merge(
      from(
        kafka.source({ topic: 'clicks' }),
        json<{ t: number }>(),
        eventTime(({ t }) => t),
        aggregate('n', { window: tumbling('1m'), of: count() }),
      ),
      kafka.source({ topic: 'orders' }),
    ),
    consoleSink(),
  )
  const connections = { kafka: kafka({ brokers: 'b:9092' }) }
  const { flows } = compile({ connections, flows: { f: declared } }, { environment: {} })
  const sources = flows[0]?.parts.map(({ inputs }) => inputs.map(({ source }) => source.definition.name))
  expect(sources).toEqual([['kafka.source'], ['repartition.source', 'kafka.source']])
})

test('only the internal topic is truncated, whatever positions its reader is told of', async () => {
  const deleted: Position[] = []
  const connection = {
    topics: { deleteBefore: (before: readonly Position[]) => (deleted.push(...before), Promise.resolve()) },
    closes: () => undefined,
  }
  const request = {
    topic,
    group: 'app.f.n',
    like: 'single',
    instance: undefined,
    place: {},
    log: silentLogger,
  } as const
  const reader = new KafkaChannelReader(connection as unknown as KafkaConnection, request)
  Object.assign(reader, { truncatedAt: performance.now() - 20_000 })
  await lastValueFrom(reader.commit(positions), { defaultValue: undefined })
  expect(deleted).toEqual([positions[0]])
})

describe('deleting records', () => {
  const refused = { code: 'WEIR_TASK_UNEXPECTED', message: expect.stringContaining("topic 'orders'") }

  test('of a topic that is not Weir’s own is refused before any broker is asked', async () => {
    const admin = new TopicAdmin(() => Promise.reject(new Error('it asks')), 'b:9092')
    await expect(admin.deleteBefore([{ topic: 'orders', partition: 0, offset: 1 }])).rejects.toMatchObject(refused)
  })

  test('of both is refused for both', async () => {
    const admin = new TopicAdmin(() => Promise.reject(new Error('it asks')), 'b:9092')
    const doing = 'making it'
    const place = {}
    const request = { topic, partitions: 1, doing, place, unreachable: 'WEIR_SINK_UNREACHABLE' } as const
    await expect(admin.ensure({ ...request, create: true, internal: true })).rejects.toThrow('it asks')
    await expect(admin.deleteBefore(positions)).rejects.toMatchObject(refused)
    await expect(admin.deleteBefore(positions.slice(0, 1))).rejects.toThrow('it asks')
  })
})
