import type { PartitionMap, Position } from '../model/index.js'
import type { Chunk } from './chunk.js'
import type { GroupConsumer } from './consumer.js'
import { Fetching } from './fetching.js'
import type { Lane } from './lane.js'
import { Pump, type PumpEvents } from './pump.js'
import type { Reading } from './silence.js'

/** The client fetches, and its messages are taken from its queue. */
export class ClientLane implements Lane {
  readonly pump: Pump
  private readonly fetching: Fetching

  constructor(
    private readonly consumer: GroupConsumer,
    private readonly parts: PartitionMap<Reading>,
    events: PumpEvents,
  ) {
    const pump = new Pump(
      {
        consume: (count, done) => consumer.consume(count, done),
        pause: () => this.fetching.pause(),
        resume: () => this.fetching.resume(),
      },
      events,
    )
    this.pump = pump
    this.fetching = new Fetching({
      parts,
      consumer,
      get isPaused() {
        return pump.isPaused
      },
    })
  }

  get hasAll(): boolean {
    return this.pump.hasAll
  }

  oldest(): Chunk | undefined {
    const { head } = this.pump
    if (head !== undefined) this.pump.fill()
    return head
  }

  shift(): void {
    this.pump.shift()
  }

  stop(): Promise<void> {
    return this.pump.stop()
  }

  assign(positions: readonly Position[]): void {
    this.consumer.assign(positions)
    this.fetching.settle(positions)
  }

  release(): void {
    this.pump.keep(({ topic, partition }) => this.parts.get(topic, partition) !== undefined)
  }

  /** What was taken from the client and not emitted is asked for again, so nothing of it is kept. */
  seek(positions: readonly Position[]): Promise<void> {
    this.pump.keep(() => false)
    return this.consumer.seek(positions)
  }

  move(part: Reading): void {
    this.pump.keep(({ topic, partition }) => topic !== part.topic || partition !== part.partition)
    this.fetching.goTo(part)
  }

  hold(topic: string, isHeld: boolean): void {
    this.fetching.hold(topic, isHeld)
  }
}
