import type { Position } from '../model/index.js'
import {
  type ClientSettings,
  call,
  disconnect,
  type KafkaConsumer,
  type Message,
  nativeClient,
  type TopicPartitionOffset,
} from './client.js'

const longestMs = 3_000
const stepMs = 100

export interface Ahead extends Position {
  /** The position that was asked for. */
  readonly from: number
  /** What a reader finds from there on. With `nothing`, `offset` is the end that it then has reached. */
  readonly ahead: 'records' | 'nothing' | 'no answer'
}

/**
 * Looks what there is to read from some positions on, in their order, with a consumer of its own that belongs to no
 * group. It tells a consumer gone silent from one that has read all there is: the marks and the aborted records of
 * transactions lie before the end of a partition, but are never delivered.
 */
export async function lookAhead(settings: ClientSettings, positions: readonly Position[]): Promise<readonly Ahead[]> {
  const found: Ahead[] = positions.map((position) => ({ ...position, from: position.offset, ahead: 'no answer' }))
  const note = ({ topic, partition }: { topic: string; partition: number }, ahead: Ahead['ahead'], offset?: number) => {
    const index = found.findIndex((one) => one.topic === topic && one.partition === partition)
    const before = found[index]
    if (before?.ahead === 'no answer') found[index] = { ...before, ahead, offset: offset ?? before.offset }
  }
  const client = new (nativeClient().KafkaConsumer)({
    ...settings,
    'enable.auto.commit': false,
    'isolation.level': 'read_committed',
    'enable.partition.eof': true,
    // Before a position that retention has passed lie no records, but behind it there may be.
    'auto.offset.reset': 'earliest',
  })
  client.on('event.error', () => undefined)
  client.on('error' as never, (() => undefined) as never)
  client.on('partition.eof', (end: TopicPartitionOffset) => note(end, 'nothing', end.offset))
  try {
    await call((done) => client.connect({ timeout: longestMs, allTopics: false }, done))
    client.assign(positions.map((position) => ({ ...position })))
    const deadline = performance.now() + longestMs
    while (found.some(({ ahead }) => ahead === 'no answer') && performance.now() < deadline) {
      for (const message of await consumed(client)) note(message, 'records')
    }
  } catch {
    // Who can't be reached is no news of the reader; the partitions stay without an answer.
  } finally {
    await disconnect(client)
  }
  return found
}

function consumed(client: KafkaConsumer): Promise<readonly Message[]> {
  client.setDefaultConsumeTimeout(stepMs)
  return call((done) => client.consume(1, done))
}
