import type { PartitionMap, Position } from '../model/index.js'
import type { ClientError } from './client.js'
import type { GroupConsumer } from './consumer.js'
import { Fetching } from './fetching.js'
import type { Chunk, Lane, LaneEvents } from './lane.js'
import { Pump } from './pump.js'
import type { Reading } from './silence.js'

/** The client fetches, and its messages are taken from its queue. */
export class ClientLane implements Lane {
  private readonly pump: Pump
  private readonly fetching: Fetching

  constructor(
    private readonly consumer: GroupConsumer,
    private readonly parts: PartitionMap<Reading>,
    events: LaneEvents & { failed(error: ClientError): void },
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

  get head(): Chunk | undefined {
    return this.pump.head
  }

  get hasAll(): boolean {
    return this.pump.hasAll
  }

  shift(): void {
    this.pump.shift()
  }

  fill(): void {
    this.pump.fill()
  }

  start(): void {
    this.pump.start()
  }

  stop(): Promise<void> {
    return this.pump.stop()
  }

  startReading(): void {
    this.pump.startReading()
  }

  stopReading(): void {
    this.pump.stopReading()
  }

  wake(): void {
    this.pump.wake()
  }

  hearing<T>(answer: Promise<T>): Promise<T> {
    return this.pump.hearing(answer)
  }

  quietly<T>(action: () => T | Promise<T>): Promise<T> {
    return this.pump.quietly(action)
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
    this.fetching.goTo(part)
  }

  hold(topic: string, isHeld: boolean): void {
    this.fetching.hold(topic, isHeld)
  }
}
