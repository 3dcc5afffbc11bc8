import { describe } from 'vitest'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import type { Position, SourceTask, StreamRecord } from '../../src/model/index.js'
import { comesLater, done, replays, type SourceUnderTest, sourceContract } from '../contracts/sources.contract.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, openSink, recordOf, sinkOf, sourceOf, writeAll } from './kafka-support.js'

const missing = requireKafka()

/** A topic of one partition; what is committed is kept by the test, as a checkpoint store would. */
class Topic implements SourceUnderTest {
  private name = ''
  private committed: readonly Position[] = []

  private constructor(
    private readonly cluster: KafkaCluster,
    private readonly connection: KafkaConnection,
    private readonly reader: 'client' | 'fetch',
  ) {}

  static async start(reader: 'client' | 'fetch'): Promise<Topic> {
    const cluster = await KafkaCluster.start()
    return new Topic(cluster, connect(cluster.bootstrap), reader)
  }

  async reset(): Promise<void> {
    this.name = fresh('numbers')
    this.committed = []
    await this.give(0, 0)
  }

  async give(from: number, count: number): Promise<void> {
    const sink = sinkOf(this.connection, { topic: this.name, partitions: 1 })
    await openSink(sink)
    const values = Array.from({ length: count }, (_, index) => recordOf(String(from + index), null))
    await writeAll(sink, values)
    if (sink.close !== undefined) await done(sink.close())
  }

  open(): SourceTask {
    return sourceOf(this.connection, { topic: this.name, group: this.name, from: 'earliest', reader: this.reader })
  }

  async commit(task: SourceTask): Promise<void> {
    this.committed = task.positions()
    await done(task.commit(this.committed))
  }

  rewind(task: SourceTask): Promise<void> {
    return done(task.rewind(this.committed, new Error('made')))
  }

  positions(): readonly Position[] {
    return this.committed
  }

  number({ value }: StreamRecord): number {
    return Number(value)
  }

  async close(): Promise<void> {
    await this.connection.close()
    await this.cluster.close()
  }
}

describe.skipIf(missing !== undefined)('on a real broker', () => {
  for (const reader of ['client', 'fetch'] as const)
    sourceContract(`kafka, by ${reader}`, () => Topic.start(reader), replays, comesLater)
})
