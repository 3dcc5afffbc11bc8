import type { PartitionMap, Position, WeirError } from '../model/index.js'
import {
  lookEveryMs,
  offsetIn,
  type SeenTopic,
  TopicWatching,
  type WatchCommand,
  type WatchEvent,
} from '../state/topic-protocol/index.js'
import type { TopicAdmin } from './admin.js'
import { Outage } from './outage.js'
import { type ReaderOptions, tell } from './reader-options.js'
import type { Reading } from './silence.js'

export interface WatchedReader {
  readonly parts: Pick<PartitionMap<Reading>, 'get' | 'values'>
  /** How long somebody has been reading, ms. */
  readingMs(): number
  /** Reads nothing more of a topic, or again: what has its name may be another one. */
  hold(topic: string, isHeld: boolean): void
  /** Goes on elsewhere in a partition. */
  move(part: Reading, to: number): Promise<void>
  /** Ends the reading with an error, once what was read is committed. */
  end(error: WeirError): void
}

/** Looks every few seconds at what the topics are, and does what `TopicWatching` makes of it. */
export class TopicWatch {
  private readonly machine: TopicWatching
  private looking: Promise<void> | undefined
  private ticking: NodeJS.Timeout | undefined
  private isOver = false
  private readonly outage: Outage

  constructor(
    private readonly topics: TopicAdmin,
    private readonly options: ReaderOptions,
    private readonly reader: WatchedReader,
  ) {
    this.machine = new TopicWatching(options)
    this.outage = new Outage(options)
  }

  /** Why nothing can be read: a topic that is waited for, or brokers that are. */
  get trouble(): WeirError | undefined {
    return this.machine.missing ?? this.outage.error
  }

  /** What the topics were found to be last. */
  get seen(): ReadonlyMap<string, SeenTopic> {
    return this.machine.seen
  }

  start(): void {
    this.ticking = setInterval(() => void this.look(), lookEveryMs)
  }

  /** Resolves when it asks nothing any more. */
  async stop(): Promise<void> {
    this.isOver = true
    clearInterval(this.ticking)
    await this.looking
  }

  /** Reading begins, or more of it, with the topics being this. */
  know(seen: ReadonlyMap<string, SeenTopic>): void {
    this.machine.know(seen)
  }

  /** A position is not there, or so it seemed to the client, which reads nothing more of its partition. */
  stray(): Promise<void> {
    this.machine.stray()
    return this.look()
  }

  /** Looks now, unless it does so already. */
  look(): Promise<void> {
    if (this.isOver) return Promise.resolve()
    this.looking ??= this.run().finally(() => {
      this.looking = undefined
    })
    return this.looking
  }

  private async run(): Promise<void> {
    let command: WatchCommand | undefined = this.machine.handle({ on: 'look' })
    while (command !== undefined && !this.isOver) {
      const event: WatchEvent | undefined = await this.carryOut(command).catch((error: unknown) => this.failed(error))
      command = event && this.machine.handle(event)
    }
  }

  private async carryOut(command: WatchCommand): Promise<WatchEvent | undefined> {
    switch (command.do) {
      case 'describe': {
        const seen = await this.topics.describe(command.topics)
        this.outage.answered()
        return { on: 'described', seen, readings: this.readings() }
      }
      case 'bound':
        this.follow(command)
        return { on: 'bounded', bounds: await this.bounds(command.partitions) }
      case 'rest':
        this.follow(command)
        for (const { topic, partition, offset } of command.moves) {
          const part = this.reader.parts.get(topic, partition)
          if (part !== undefined) await this.reader.move(part, offset)
        }
        return undefined
      case 'end':
        tell(command.findings, this.options)
        this.reader.end(command.error)
        return undefined
    }
  }

  private follow({ findings, held }: Extract<WatchCommand, { do: 'bound' | 'rest' }>): void {
    tell(findings, this.options)
    for (const [topic, isHeld] of held) this.reader.hold(topic, isHeld)
  }

  private readings() {
    const { reader } = this
    return [...reader.parts.values()].map(({ topic, partition, position, moved, facts: { id } }) => ({
      topic,
      partition,
      offset: position,
      silentMs: reader.readingMs() - moved,
      id,
    }))
  }

  private async bounds(partitions: readonly Position[]) {
    const asked = partitions.map(({ topic, partition }) => ({ topic, partition }))
    const [starts, ends] = await Promise.all([
      this.topics.offsets(asked, 'earliest'),
      this.topics.offsets(asked, 'latest'),
    ])
    return asked.map(({ topic, partition }) => {
      const part = this.reader.parts.get(topic, partition)
      const [start, end] = [offsetIn(starts, { topic, partition }), offsetIn(ends, { topic, partition })]
      if (start !== undefined && part !== undefined) part.start = start
      return { topic, partition, position: part?.position, start, end }
    })
  }

  private failed(error: unknown): WatchEvent {
    this.options.log.debug({ err: error }, 'Kafka: looking at the topics failed')
    if (!this.isOver) this.outage.failed(error)
    return { on: 'failed' }
  }
}
