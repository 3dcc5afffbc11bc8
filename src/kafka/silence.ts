import type { Position, TopicFacts, TopicPartition } from '../model/index.js'
import type { ClientSettings } from './client.js'
import { lookAhead } from './look-ahead.js'

const firstPatienceMs = 1_000

/** A partition that is being read. */
export class Reading implements TopicPartition {
  /** How long it may be silent before that is looked into, ms. */
  patience = firstPatienceMs
  /** The `moved` that this patience counts from. */
  patientSince: number
  /** The offsets at which the partition begins and ends, as the brokers said last. */
  start: number | undefined
  end: number | undefined
  /** Whether nothing is read of it, because its next record has to wait. */
  isHeld = false
  private told: TopicFacts | undefined

  constructor(
    readonly topic: string,
    readonly partition: number,
    public position: number,
    /** When the position last moved, in ms of reading. */
    public moved: number,
    private readonly about: TopicFacts,
  ) {
    this.patientSince = moved
    this.start = about.start
    this.end = about.end
  }

  /** What goes with its position. */
  get facts(): TopicFacts {
    const { told, start, end } = this
    if (told !== undefined && told.start === start && told.end === end) return told
    return (this.told = { ...this.about, start, end })
  }
}

export interface Watched {
  part(topic: string, partition: number): Reading | undefined
  /** How long somebody has been reading, ms. */
  readingMs(): number
  /** What the client starts from that looks ahead. */
  settings(): Promise<ClientSettings>
  /** Records are there, but did not come for as long as that is borne. */
  stalled(part: Reading): void
}

/**
 * Looks into partitions that reach further than what has come of them: past what is never delivered (the marks and the
 * remains of transactions) their position moves on; where there are records, the consumer has gone silent.
 */
export class SilenceWatch {
  private looking = false

  constructor(
    private readonly stallAfterMs: number,
    private readonly watched: Watched,
  ) {}

  /** Told regularly how far partitions reach. */
  async look(ends: readonly Position[]): Promise<void> {
    const silent = ends.flatMap(({ topic, partition, offset }) => {
      const part = this.watched.part(topic, partition)
      return part !== undefined && !part.isHeld && offset > part.position && this.isSilent(part) ? [part] : []
    })
    if (silent.length === 0 || this.looking) return
    this.looking = true
    try {
      await this.lookInto(silent)
    } finally {
      this.looking = false
    }
  }

  private async lookInto(silent: readonly Reading[]): Promise<void> {
    const asked = silent.map(({ topic, partition, position }) => ({ topic, partition, offset: position }))
    const settings = await this.watched.settings().catch(() => undefined)
    // Files that can't be read are no news of the reader.
    const found = settings === undefined ? [] : await lookAhead(settings, asked)
    for (const { topic, partition, from, offset, ahead } of found) {
      const part = this.watched.part(topic, partition)
      // It may have been taken away or moved on meanwhile.
      if (part === undefined || part.position !== from) continue
      const now = this.watched.readingMs()
      if (ahead === 'nothing') Object.assign(part, { position: offset, moved: now })
      else if (ahead === 'records' && now - part.moved > this.stallAfterMs) this.watched.stalled(part)
      part.patience = Math.min(part.patience * 2, this.stallAfterMs)
    }
  }

  private isSilent(part: Reading): boolean {
    if (part.patientSince !== part.moved) Object.assign(part, { patientSince: part.moved, patience: firstPatienceMs })
    return this.watched.readingMs() - part.moved > part.patience
  }
}
