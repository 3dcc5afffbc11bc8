import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from '@confluentinc/kafka-javascript'
import { expect } from 'vitest'
import { call, disconnect, nativeClient } from '../../src/kafka/client.js'
import type { Job, Row } from './job.js'
import { until } from './job.js'
import type { Account, PostedEvent } from './job-traffic.js'

/** What Kafka and Postgres really hold when a job has caught up. */
export interface Truth {
  /** The topic of events, from its beginning. */
  readonly messages: readonly Message[]
  readonly deadLetters: readonly Message[]
  /** What the table should hold, by what the topics hold. */
  readonly expected: readonly Row[]
}

/** Waits until the table holds what it should by the topics, then says what that is. Fails with the difference. */
export async function settle(job: Job, accounts: Account | readonly Account[] = [], ms = 120_000): Promise<Truth> {
  const messages = await readTopic(job.servers.kafka.bootstrap, job.topic)
  const found = messages.flatMap(eventId)
  expect([accounts].flat().flatMap((account) => account.contradictions(found))).toEqual([])
  const look = async (): Promise<Truth> => {
    const deadLetters = await readTopic(job.servers.kafka.bootstrap, job.deadLetterTopic)
    return { messages, deadLetters, expected: expectedRows(job, messages, deadLetters) }
  }
  let truth = await look()
  const isReached = async () => {
    truth = await look()
    return JSON.stringify(await job.rows()) === JSON.stringify(truth.expected)
  }
  await until(isReached, 'the table holds every window', ms).catch(() => undefined)
  expect(await job.rows()).toEqual(truth.expected)
  expect(lateInTheirPartition(job, messages).filter((place) => !lateOnes(truth.deadLetters).has(place))).toEqual([])
  return truth
}

/** One row for each window, counted from the events that were neither malformed nor dead-lettered as late. */
export function expectedRows(job: Job, messages: readonly Message[], deadLetters: readonly Message[]): Row[] {
  const late = lateOnes(deadLetters)
  return expectedFrom(job, messages, (message) => late.has(placeOf(message)))
}

/** One row for each window, counted from the events but for those that are left out. */
export function expectedFrom(job: Job, messages: readonly Message[], isLeftOut: (message: Message) => boolean): Row[] {
  const windows = new Map<number, { users: Set<string>; views: number }>()
  for (const message of messages) {
    const event = eventOf(message)
    if (event === undefined || isLeftOut(message)) continue
    const start = Math.floor(timeOf(event) / job.windowMs) * job.windowMs
    const window = windows.get(start) ?? { users: new Set(), views: 0 }
    windows.set(start, window)
    window.users.add(event.user_id)
    if (event.activity_type === 'page_view') window.views++
  }
  return [...windows]
    .map(([start, { users, views }]) => ({ start, users: users.size, views }))
    .sort((one, other) => one.start - other.start)
}

/** The events that are late by their own partition alone, whatever the others do: these no window may count. */
export function lateInTheirPartition(job: Job, messages: readonly Message[]): string[] {
  const streamTimes = new Map<number, number>()
  return messages.flatMap((message) => {
    const event = eventOf(message)
    if (event === undefined) return []
    const time = timeOf(event)
    const streamTime = Math.max(time, streamTimes.get(message.partition) ?? time)
    streamTimes.set(message.partition, streamTime)
    const end = (Math.floor(time / job.windowMs) + 1) * job.windowMs
    return end <= streamTime - job.latenessMs ? [placeOf(message)] : []
  })
}

/** `partition@offset` of the late ones among dead letters. */
export function lateOnes(deadLetters: readonly Message[]): Set<string> {
  const late = deadLetters.filter((letter) => header(letter, 'weir.error.code') === 'WEIR_RECORD_LATE')
  return new Set(late.map(letterPlace))
}

/** `partition@offset` of the record that a dead letter was made of. */
export function letterPlace(letter: Message): string {
  return `${header(letter, '__connect.errors.partition')}@${header(letter, '__connect.errors.offset')}`
}

export function placeOf({ partition, offset }: Message): string {
  return `${partition}@${offset}`
}

export function header({ headers = [] }: Message, name: string): string | undefined {
  const found = headers.find((each) => name in each)?.[name]
  return found === undefined ? undefined : Buffer.from(found as Buffer).toString()
}

function eventId(message: Message): string[] {
  const id = eventOf(message)?.metadata?.event
  return id === undefined ? [] : [id]
}

/** Undefined for what is no event. */
export function eventOf({ value }: Message): PostedEvent | undefined {
  try {
    const { user_id, activity_type, timestamp, ...rest } = JSON.parse(String(value)) as Record<
      keyof PostedEvent,
      unknown
    >
    const isEvent = [user_id, activity_type, timestamp].every((field) => typeof field === 'string')
    return isEvent ? ({ user_id, activity_type, timestamp, ...rest } as PostedEvent) : undefined
  } catch {
    return undefined
  }
}

/** Without a zone it is UTC. */
function timeOf({ timestamp }: PostedEvent): number {
  return Date.parse(/(Z|[+-]\d\d:\d\d)$/.test(timestamp) ? timestamp : `${timestamp}Z`)
}

/** All records of a topic, in the order of each partition, read by a plain consumer. */
export async function readTopic(brokers: string, topic: string): Promise<Message[]> {
  const { KafkaConsumer } = nativeClient()
  const consumer = new KafkaConsumer(
    {
      'metadata.broker.list': brokers,
      'group.id': `reader-of-${topic}`,
      'enable.auto.commit': false,
      'enable.partition.eof': true,
    },
    { 'auto.offset.reset': 'earliest' },
  )
  const ended = new Set<number>()
  consumer.on('partition.eof', ({ partition }) => ended.add(partition))
  try {
    await call((done) => consumer.connect({ timeout: 60_000 }, done))
    consumer.setDefaultConsumeTimeout(100)
    const metadata = await call<{ topics: { name: string; partitions: { id: number }[] }[] }>((done) =>
      consumer.getMetadata({ topic, timeout: 60_000 }, done as never),
    )
    const partitions = metadata.topics.find(({ name }) => name === topic)?.partitions ?? []
    consumer.assign(partitions.map(({ id }) => ({ topic, partition: id, offset: 0 })))
    const messages: Message[] = []
    while (ended.size < partitions.length)
      messages.push(...(await call<Message[]>((done) => consumer.consume(5_000, done))))
    return messages
  } finally {
    await disconnect(consumer)
  }
}

export interface RawRecord {
  readonly key?: Buffer | string | null
  readonly value: Buffer | string | null
  readonly headers?: readonly Record<string, Buffer | string>[]
  readonly timestamp?: number
  readonly partition?: number
}

/** Writes records past the job, in order. */
export async function writeTopic(brokers: string, topic: string, records: Iterable<RawRecord>): Promise<void> {
  const producer = new (nativeClient().Producer)({
    'metadata.broker.list': brokers,
    'enable.idempotence': true,
    'linger.ms': 5,
  })
  await call((done) => producer.connect({ timeout: 60_000 }, done))
  try {
    let count = 0
    for (const { key = null, value, headers, timestamp, partition } of records) {
      const bytes = typeof value === 'string' ? Buffer.from(value) : value
      producer.produce(topic, partition ?? null, bytes, key, timestamp ?? Date.now(), undefined, headers as never)
      // Lets the client's queue, which takes 100,000, run empty.
      if (++count % 20_000 === 0) await call((done) => producer.flush(60_000, (error) => done(error, undefined)))
      if (count % 1_000 === 0) await sleep(0)
    }
    await call((done) => producer.flush(60_000, (error) => done(error, undefined)))
  } finally {
    await disconnect(producer)
  }
}
