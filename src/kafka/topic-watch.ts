import { type Position, type TopicChange, type TopicPartition, WeirError } from '../model/index.js'
import type { SeenTopic, TopicAdmin } from './admin.js'
import { Outage } from './outage.js'
import type { ReaderOptions } from './reader-options.js'
import type { Reading } from './silence.js'
import { isAnother, lose, recreatedError, repartition, truncatedError } from './topic-changes.js'

const everyMs = 3_000
/** After how long without a record it is asked whether a partition's position is still there, ms of reading. */
const silentMs = 2_000

export interface WatchedReader {
  readonly parts: Iterable<Reading>
  /** How long somebody has been reading, ms. */
  readingMs(): number
  /** Reads nothing more of a topic, or again: what has its name may be another one. */
  hold(topic: string, isHeld: boolean): void
  /** Goes on elsewhere in a partition. */
  move(part: Reading, to: number): Promise<void>
  /** Ends the reading with an error, once what was read is committed. */
  end(error: WeirError): void
}

/** Compares, every few seconds, what the topics are with what they were when reading began. */
export class TopicWatch {
  /** Topics that were there and are not any more. */
  private readonly gone = new Map<string, WeirError>()
  /** What they were found to be last. */
  seen: ReadonlyMap<string, SeenTopic> = new Map()
  private looking: Promise<void> | undefined
  private ticking: NodeJS.Timeout | undefined
  private isOver = false
  /** Whether the client has given up on a position; which one it does not say. */
  private hasStrayed = false
  /** Partitions whose end lay before their position when that was looked at. */
  private suspects = new Map<Reading, number>()
  private readonly outage: Outage

  constructor(
    private readonly topics: TopicAdmin,
    private readonly options: ReaderOptions,
    private readonly reader: WatchedReader,
  ) {
    this.outage = new Outage(options)
  }

  /** Why nothing can be read: a topic that is waited for, or brokers that are. */
  get trouble(): WeirError | undefined {
    return this.gone.values().next().value ?? this.outage.error
  }

  start(): void {
    this.ticking = setInterval(() => void this.look(), everyMs)
  }

  /** Resolves when it asks nothing any more. */
  async stop(): Promise<void> {
    this.isOver = true
    clearInterval(this.ticking)
    await this.looking
  }

  /** Reading begins, or more of it, with the topics being this. */
  know(seen: ReadonlyMap<string, SeenTopic>): void {
    this.seen = seen
  }

  /** A position is not there, or so it seemed to the client, which reads nothing more of its partition. */
  stray(): Promise<void> {
    this.hasStrayed = true
    return this.look()
  }

  /** Looks now, unless it does so already. */
  look(): Promise<void> {
    if (this.isOver) return Promise.resolve()
    this.looking ??= this.compare()
      .catch((error: unknown) => this.failed(error))
      .finally(() => {
        this.looking = undefined
      })
    return this.looking
  }

  private async compare(): Promise<void> {
    if (this.seen.size === 0) return
    const before = this.seen
    const seen = await this.topics.describe([...before.keys()])
    this.outage.answered()
    // More may have been assigned meanwhile, with topics as they were then.
    if (this.isOver || this.seen !== before) return
    this.seen = new Map([...before].map(([topic, was]) => [topic, this.compareTopic(topic, was, seen.get(topic))]))
    await this.findGaps()
  }

  private compareTopic(topic: string, was: SeenTopic, now: SeenTopic | undefined): SeenTopic {
    if (now === undefined) {
      this.miss(topic)
      return was
    }
    this.gone.delete(topic)
    if (isAnother(was, now)) throw this.told(recreatedError(topic, this.options), { topic, change: 'recreated' })
    this.reader.hold(topic, false)
    // A broker may not have heard of it yet.
    if (now.partitions <= was.partitions) return was
    repartition(topic, was.partitions, now.partitions, this.options)
    return now
  }

  private miss(topic: string): void {
    this.reader.hold(topic, true)
    if (this.gone.has(topic)) return
    const { doing, place, log, noticed } = this.options
    const text = `${doing}: topic '${topic}' is gone`
    this.gone.set(topic, new WeirError('WEIR_SOURCE_MISSING', text, { ...place, hint: 'It is waited for.' }))
    noticed?.({ topic, change: 'missing' })
    log.warn({ topic }, `${text}; it is waited for`)
  }

  /** Where nothing comes although it is read, the records may be gone, or the whole end of the log. */
  private async findGaps(): Promise<void> {
    const isSilent = ({ topic, moved }: Reading) => !this.gone.has(topic) && this.reader.readingMs() - moved >= silentMs
    const silent = [...this.reader.parts].filter(isSilent)
    if (silent.length === 0) return
    const { hasStrayed, suspects } = this
    this.hasStrayed = false
    this.suspects = new Map()
    const positions = new Map(silent.map((part) => [part, part.position]))
    const asked = silent.map(({ topic, partition }) => ({ topic, partition }))
    const [starts, ends] = await Promise.all([
      this.topics.offsets(asked, 'earliest'),
      this.topics.offsets(asked, 'latest'),
    ])
    for (const part of silent) {
      const { topic, partition, position: offset } = part
      if (this.isOver || positions.get(part) !== offset) continue
      const [start, end] = [offsetOf(starts, part), offsetOf(ends, part)]
      if (start !== undefined) part.start = start
      const at = { topic, partition, offset }
      if (start !== undefined && start > offset) {
        lose(at, start, this.options)
        await this.reader.move(part, start)
      } else if (end !== undefined && end < offset) {
        // A new leader may take a moment to know how far it reaches.
        if (suspects.get(part) === offset)
          throw this.told(truncatedError(at, end, this.options), { topic, change: 'truncated' })
        this.suspects.set(part, offset)
      } else if (hasStrayed) await this.reader.move(part, offset)
    }
  }

  /** What goes on after an error tells of it by itself. */
  private told(error: WeirError, change: TopicChange): WeirError {
    if (error.remedy === 'stop') this.options.noticed?.(change)
    return error
  }

  /** The topic is another one: what goes on starts with what it is now. All else is no news of it. */
  private failed(error: unknown): void {
    if (this.isOver) return
    if (error instanceof WeirError && error.code.startsWith('WEIR_SOURCE_')) this.reader.end(error)
    else {
      this.options.log.debug({ err: error }, 'Kafka: looking at the topics failed')
      this.outage.failed(error)
    }
  }
}

function offsetOf(positions: readonly Position[], { topic, partition }: TopicPartition): number | undefined {
  return positions.find((one) => one.topic === topic && one.partition === partition)?.offset
}
