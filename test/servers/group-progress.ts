import { call, disconnect, type KafkaConsumer, nativeClient } from '../../src/kafka/client.js'

const answerMs = 10_000

/** How far a consumer group has come, asked from outside. */
export class GroupProgress {
  private constructor(private readonly client: KafkaConsumer) {}

  static async of(brokers: string, group: string): Promise<GroupProgress> {
    const { KafkaConsumer } = nativeClient()
    const client = new KafkaConsumer({ 'metadata.broker.list': brokers, 'group.id': group }, {})
    await call((done) => client.connect({ timeout: answerMs }, done))
    return new GroupProgress(client)
  }

  /** How many records the group has not committed of all that the topic has by now. */
  async behind(topic: string, partitions: number): Promise<number> {
    const asked = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const ends = await Promise.all(asked.map(({ partition }) => this.endOf(topic, partition)))
    const committed = await call<{ partition: number; offset?: number }[]>((done) =>
      this.client.committed(asked, answerMs, done as never),
    )
    return committed.reduce((sum, { partition, offset }) => sum + ends[partition]! - (offset ?? 0), 0)
  }

  close(): Promise<void> {
    return disconnect(this.client)
  }

  private async endOf(topic: string, partition: number): Promise<number> {
    const { highOffset } = await call<{ highOffset: number }>((done) =>
      this.client.queryWatermarkOffsets(topic, partition, answerMs, done),
    )
    return highOffset
  }
}
