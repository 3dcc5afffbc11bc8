import type { Position, TopicPartition } from '../model/index.js'
import type { Chunk } from './chunk.js'
import type { ClientError } from './client.js'
import type { GroupConsumer } from './consumer.js'
import type { Fetcher } from './fetch/index.js'
import type { Lane } from './lane.js'
import { Pump } from './pump.js'
import type { Reading } from './silence.js'

/**
 * Records come past the client, from the leaders of their partitions. The client keeps its place in the group and says
 * what is read: its partitions are paused for good, so that all it has to give are answers and changes.
 */
export class FetchLane implements Lane {
  readonly pump: Pump

  constructor(
    private readonly consumer: GroupConsumer,
    private readonly fetcher: Fetcher,
    failed: (error: ClientError) => void,
  ) {
    const nothing = () => undefined
    this.pump = new Pump(
      { consume: (count, done) => consumer.consume(count, done), pause: nothing, resume: nothing },
      // What the client had fetched before it was told to pause comes by the other way, too.
      { arrived: () => this.pump.keep(() => false), failed },
    )
  }

  get hasAll(): boolean {
    return this.fetcher.hasAll
  }

  oldest(): Chunk | undefined {
    return this.fetcher.head
  }

  shift(): void {
    this.fetcher.shift()
  }

  stop(): Promise<void> {
    this.fetcher.close()
    return this.pump.stop()
  }

  assign(positions: readonly Position[]): void {
    this.consumer.assign(positions)
    this.consumer.pause(positions)
    this.fetcher.set(positions)
  }

  release(partitions: readonly TopicPartition[]): void {
    this.fetcher.remove(partitions)
  }

  seek(positions: readonly Position[]): Promise<void> {
    this.fetcher.set(positions)
    return Promise.resolve()
  }

  move({ topic, partition, position }: Reading): void {
    this.fetcher.set([{ topic, partition, offset: position }])
  }

  hold(topic: string, isHeld: boolean): void {
    this.fetcher.hold(topic, isHeld)
  }
}
