import type { AwaitedAgain, PartitionTold, StreamTime, TimeOptions, TopicPartition } from '../model/index.js'

/** Event time of all inputs, of which each can be told of by itself. */
interface TimeOfAll extends StreamTime {
  configure(options: TimeOptions, only?: number): void
  follow(told: Parameters<StreamTime['follow']>[0], only?: number): void
}

/** Event time as the stages on the way of one input have it: what they say of it holds for that input alone. */
export class InputTime implements StreamTime {
  constructor(
    private readonly all: TimeOfAll,
    private readonly input: number,
  ) {}

  configure(options: TimeOptions): void {
    this.all.configure(options, this.input)
  }

  follow(told: Parameters<StreamTime['follow']>[0]): void {
    this.all.follow(told, this.input)
  }

  outOfOrderMsOf(topic: string): number {
    return this.all.outOfOrderMsOf(topic)
  }

  observe(topic: string, partition: number, timestamp: number): number {
    return this.all.observe(topic, partition, timestamp)
  }

  watermark(): number {
    return this.all.watermark()
  }

  get closed(): number {
    return this.all.closed
  }

  watermarkOf(partition: TopicPartition): number {
    return this.all.watermarkOf(partition)
  }

  closedOf(topic: string, partition: number): number {
    return this.all.closedOf(topic, partition)
  }

  isRead(topic: string, partition: number): boolean {
    return this.all.isRead(topic, partition)
  }

  get isWhole(): boolean {
    return this.all.isWhole
  }

  tells(): AwaitedAgain {
    return this.all.tells()
  }

  toldIdle(topic: string, partition: number): boolean {
    return this.all.toldIdle(topic, partition)
  }

  told(): readonly PartitionTold[] {
    return this.all.told()
  }

  left(): readonly PartitionTold[] {
    return this.all.left()
  }
}
