import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { concat, defer, EMPTY, firstValueFrom, from, ignoreElements, lastValueFrom, retry } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { kafkaConnection } from '../../src/kafka/definition.js'
import { KafkaWriter } from '../../src/kafka/writer.js'
import {
  type ChannelKind,
  type ChannelRequest,
  type Key,
  type Position,
  silentLogger,
  WeirError,
} from '../../src/model/index.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import {
  connect,
  fresh,
  Member,
  makeTopic,
  openSink,
  recordOf,
  sharedServer,
  sinkOf,
  sourceOf,
  text,
  valuesOf,
  writeAll,
} from './kafka-support.js'
import { settingsOfTopic } from './topic-tools.js'

const missing = requireKafka()
const channel = kafkaConnection.definition.channel as ChannelKind<KafkaConnection>

describe.skipIf(missing !== undefined)('an internal topic', () => {
  const shared = sharedServer(() => KafkaCluster.start())

  function requestFor(like: ChannelRequest['like']): ChannelRequest {
    const topic = fresh('internal')
    return { topic, group: topic, like, instance: undefined, place: {}, log: silentLogger }
  }

  const done = (work: { write?: never } | object) => lastValueFrom(work as never, { defaultValue: undefined })

  test('has as many partitions as the largest of the topics before it, which are made where they are missing', async () => {
    const [small, large] = [fresh('small'), fresh('large')]
    const like = [
      { topics: [small], partitions: 2, create: true },
      { topics: [large], partitions: 5, create: true },
    ]
    const writer = channel.writer(shared.connection, requestFor(like))
    onTestFinished(() => void done(writer.close()))
    expect(await firstValueFrom(writer.open())).toBe(5)
    expect(await shared.connection.topics.partitionsOf(small)).toBe(2)
    const single = channel.writer(shared.connection, requestFor('single'))
    onTestFinished(() => void done(single.close()))
    expect(await firstValueFrom(single.open())).toBe(1)
  })

  test('is kept for ever, whatever brokers do with topics that say nothing', async () => {
    const request = requestFor([{ topics: [fresh('source')], partitions: 1, create: true }])
    const writer = channel.writer(shared.connection, request)
    onTestFinished(() => void done(writer.close()))
    await firstValueFrom(writer.open())
    const settings = settingsOfTopic(shared.server.bootstrap, request.topic)
    expect(settings).toMatchObject({ 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' })
  })

  test('keeps the order of a partition, a key in one of them, and is truncated behind what is committed', async () => {
    const request = requestFor([{ topics: [fresh('source')], partitions: 3, create: true }])
    const writer = channel.writer(shared.connection, request)
    onTestFinished(() => void done(writer.close()))
    await firstValueFrom(writer.open())
    // Bytes that are no text, and such that are none, are keys as well.
    const keys = ['k0', 'k1', 'k2', '', Buffer.from([0, 200]), Buffer.from([0, 201])]
    for (let index = 0; index < 60; index++)
      writer.write({ key: keys[index % 6] as Key, value: Buffer.from(String(index)) })
    for (let partition = 0; partition < 3; partition++)
      writer.write({ key: null, partition, value: Buffer.from('end') })
    await done(writer.flush())

    const member = new Member(channel.source(shared.connection, request) as never)
    onTestFinished(() => member.leave())
    await member.until(() => member.partitions === 3, 'partitions are assigned')
    const records = await member.read(63)
    for (const partition of [0, 1, 2]) {
      const values = records
        .filter(({ origin }) => origin.partition === partition)
        .map(({ value }) => value?.toString())
      expect(values.at(-1)).toBe('end')
      const numbers = values.slice(0, -1).map(Number)
      expect(numbers).toEqual(numbers.toSorted((one, other) => one - other))
    }
    const placeOf = new Map(records.map(({ key, origin }) => [key?.toString('hex'), origin.partition]))
    expect(placeOf.size).toBe(7)
    expect(
      records.every(({ key, origin }) => key === null || placeOf.get(key.toString('hex')) === origin.partition),
    ).toBe(true)

    const positions = member.task.positions()
    // Who has read to the ends that the writer is told has read all that it wrote.
    const ends = await lastValueFrom(writer.ends())
    const offsets = (all: readonly Position[]) => all.map(({ partition, offset }) => [partition, offset]).sort()
    expect(offsets(ends)).toEqual(offsets(positions))
    await expect
      .poll(
        async () => {
          await done(member.task.commit(positions))
          return shared.connection.topics.offsets(positions, 'earliest')
        },
        { interval: 500 },
      )
      .toEqual(expect.arrayContaining(positions.map(({ facts: _, ...position }) => expect.objectContaining(position))))
  })

  test('has nothing behind what it did not take', async () => {
    const generous = connect(shared.server.bootstrap, { client: { 'message.max.bytes': 5_000_000 } })
    onTestFinished(() => generous.close())
    const request = requestFor('single')
    const writer = channel.writer(generous, request)
    onTestFinished(() => void done(writer.close()))
    await firstValueFrom(writer.open())
    writer.write({ key: null, value: Buffer.from('before') })
    await done(writer.flush())
    writer.write({ key: null, value: randomBytes(2_000_000) })
    writer.write({ key: null, value: Buffer.from('behind') })
    await expect(done(writer.flush())).rejects.toMatchObject({ code: 'WEIR_SINK_FAILED' })
    expect(await valuesOf(shared.connection, request.topic)).toEqual(['before'])
  })

  test('tells which message is too large for it, at the second try', async () => {
    const request = requestFor('single')
    const writer = channel.writer(shared.connection, request)
    onTestFinished(() => void done(writer.close()))
    const attempt = async () => {
      await firstValueFrom(writer.open())
      for (let index = 0; index < 20; index++) writer.write({ key: null, value: randomBytes(2_000_000) })
      return done(writer.flush())
    }
    await expect(attempt()).rejects.toMatchObject({ code: 'WEIR_SINK_FAILED', atOnce: true })
    await expect(attempt()).rejects.toMatchObject({ code: 'WEIR_RECORD_REFUSED', isTooLarge: true })
    expect(await valuesOf(shared.connection, request.topic)).toEqual([])
  })

  test('puts a long key where a short one of the same text goes', async () => {
    const request = requestFor([{ topics: [fresh('source')], partitions: 7, create: true }])
    const writer = channel.writer(shared.connection, request)
    onTestFinished(() => void done(writer.close()))
    await firstValueFrom(writer.open())
    const keys = [1_025, 1_026, 1_027, 1_028, 30_000].map((length) => 'ké'.repeat(length).slice(0, length))
    for (const key of keys) writer.write({ key, value: Buffer.from('hashed here') })
    await done(writer.flush())
    const client = sinkOf(shared.connection, { topic: request.topic })
    await openSink(client)
    await writeAll(
      client,
      keys.map((key) => recordOf('hashed by the client', key)),
    )
    const member = new Member(sourceOf(shared.connection, { topic: request.topic, group: fresh('group') }))
    onTestFinished(() => member.leave())
    await member.until(() => member.partitions === 7, 'partitions are assigned')
    const records = await member.read(10)
    const partitionsOf = (value: string) =>
      records.filter((record) => text(record) === value).map(({ origin }) => origin.partition)
    expect(partitionsOf('hashed here').sort()).toEqual(partitionsOf('hashed by the client').sort())
    expect(records).toHaveLength(10)
  })

  test('has nothing without what came before it, however long that could not be written', async () => {
    const { topic } = requestFor('single')
    const options = { deliveryTimeoutMs: 3_000, compression: 'none', lingerMs: 0, gapless: true } as const
    const refused = () => undefined
    const writer = new KafkaWriter(shared.connection, { ...options, doing: 'writing', place: {}, refused })
    const write = (value: string) =>
      writer.write({ topic, key: null, value: Buffer.from(value), timestamp: Date.now(), headers: [] }, undefined)
    onTestFinished(() => void done(writer.close()))
    await makeTopic(shared.connection, topic)
    await done(writer.ready$)
    write('before')
    await done(writer.flush$)
    await shared.server.kill(0)
    write('long')
    await sleep(2_500)
    write('behind')
    // A broker that takes long to come back is given up; what was written by then holds all the same.
    const flushed = done(writer.flush$).catch((error: unknown) => expect(error).toMatchObject({ remedy: 'retry' }))
    await sleep(1_000)
    await shared.server.restart(0)
    await flushed
    // A client that gives up single messages writes those behind them.
    const values = await valuesOf(shared.connection, topic)
    expect(values).toEqual(['before', 'long', 'behind'].slice(0, values.length))
    expect(values).toContain('before')
  })

  test('an epoch behind one that was cut off loses nothing when the flush of that one fails later', async () => {
    const begin = async (keeps: boolean) => {
      const topic = await makeTopic(shared.connection, fresh('cut'))
      const options = { deliveryTimeoutMs: 2_000, compression: 'none', lingerMs: 0, keeps } as const
      const refused = () => undefined
      const writer = new KafkaWriter(shared.connection, { ...options, doing: 'writing', place: {}, refused })
      const write = (value: string) =>
        writer.write({ topic, key: null, value: Buffer.from(value), timestamp: Date.now(), headers: [] }, undefined)
      onTestFinished(() => void done(writer.close()))
      await done(writer.ready$)
      return () => {
        write('cut')
        const cut = done(writer.flush$).catch((error: unknown) => error)
        // What keeps its messages is not told where an epoch begins.
        const begin$ = keeps ? defer(() => (writer.forget(), EMPTY)) : writer.ready$
        const write$ = defer(() => (write('next'), from(cut))).pipe(ignoreElements())
        const next = done(concat(begin$, write$, writer.flush$).pipe(retry({ delay: 100 })))
        return { topic, cut, next }
      }
    }
    const writers = [await begin(false), await begin(true)]
    await shared.server.kill(0)
    const begun = writers.map((write) => write())
    for (const { cut } of begun) expect(await cut).toBeInstanceOf(WeirError)
    await shared.server.restart(0)
    for (const { topic, next } of begun) {
      await next
      expect(await valuesOf(shared.connection, topic)).toContain('next')
    }
  })
})
