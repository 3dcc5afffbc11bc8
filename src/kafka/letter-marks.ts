import { isPlainObject, type LogEnds, type TopicPartition } from '../model/index.js'
import type { Message } from './client.js'
import type { KafkaConnection } from './connection.js'
import type { OutgoingMessage } from './producer.js'
import { extentOf, messagesIn } from './whole-topic.js'

/** What somebody has done about a dead letter. */
export interface LetterMark {
  readonly state: 'replayed' | 'dropped'
  /** When, in ISO 8601. */
  readonly at: string
  /** The topic that it was replayed to. */
  readonly to?: string | undefined
  /** What the record is known by: there may be another letter of it. */
  readonly of?: string | undefined
}

interface Marked extends LetterMark {
  /** The id of the letters' topic, where brokers tell one. */
  readonly id?: string | undefined
}

/** Behind the last mark there is only the marker of its transaction, unless somebody else marks meanwhile. */
const fewMarks = 100

type Place = Pick<Message, 'partition' | 'offset'>

/**
 * What was done about the letters of a topic, since Kafka deletes none of them by itself: a compacted topic beside it, one
 * message a letter. It is written in the transaction in which letters are replayed. A letters' topic that was made anew
 * begins without marks.
 */
export class LetterMarks {
  private readonly marks = new Map<number, Map<number, LetterMark>>()
  private readonly replayed = new Set<string>()
  private readonly stale: string[] = []
  private id: string | undefined

  constructor(
    private readonly connection: KafkaConnection,
    private readonly letters: string,
  ) {}

  get topic(): string {
    return `${this.letters}.marks`
  }

  /**
   * Reads those that there are of letters that lie within these bounds. Errors: WEIR_SOURCE_UNREACHABLE.
   */
  async read(extents: readonly LogEnds[]): Promise<void> {
    this.id = (await this.connection.topics.describe([this.letters])).get(this.letters)?.id
    const starts = new Map(extents.map(({ partition, start }) => [partition, start]))
    const found = new Map<string, Marked | undefined>()
    for await (const messages of messagesIn(this.connection, await extentOf(this.connection, this.topic)))
      for (const { key, value } of messages) found.set(String(key), markOf(value))
    for (const [key, mark] of found) {
      if (mark === undefined) continue
      const { partition, offset } = placeOf(key)
      if (this.isOther(mark) || offset < (starts.get(partition) ?? 0)) this.stale.push(key)
      else this.set({ partition, offset }, mark)
    }
  }

  /** Makes their topic where it isn't there. Errors: WEIR_SINK_UNREACHABLE. */
  async ensure(): Promise<void> {
    await this.connection.topics.ensure({
      topic: this.topic,
      partitions: 1,
      create: true,
      writes: true,
      doing: `writing topic '${this.topic}'`,
      unreachable: 'WEIR_SINK_UNREACHABLE',
      place: {},
      config: { 'cleanup.policy': 'compact' },
    })
  }

  /** Whether a mark that was committed can be read: that is so when its transaction's marker is written, a moment later. */
  async isSeen(place: Place, { at }: LetterMark): Promise<boolean> {
    const extents = await extentOf(this.connection, this.topic)
    const ends = extents.map((extent) => ({ ...extent, start: Math.max(extent.start, extent.end - fewMarks) }))
    for await (const messages of messagesIn(this.connection, ends))
      for (const { key, value } of messages) if (String(key) === keyOf(place) && markOf(value)?.at === at) return true
    return false
  }

  of({ partition, offset }: Place): LetterMark | undefined {
    return this.marks.get(partition)?.get(offset)
  }

  /** Whether a letter of this record was replayed. */
  hasReplayed(record: string): boolean {
    return this.replayed.has(record)
  }

  /** What marks a letter, to be written. */
  mark(place: Place, mark: LetterMark): OutgoingMessage {
    this.set(place, mark)
    const marked: Marked = { ...mark, id: this.id }
    return this.message(keyOf(place), Buffer.from(JSON.stringify(marked)))
  }

  /** What takes the marks away of letters that are no longer there, to be written. */
  forgotten(): readonly OutgoingMessage[] {
    return this.stale.splice(0).map((key) => this.message(key, null))
  }

  /** Of letters of a topic that had this name before. Where brokers tell no ids, nobody knows. */
  private isOther({ id }: Marked): boolean {
    return id !== undefined && this.id !== undefined && id !== this.id
  }

  private message(key: string, value: Buffer | null): OutgoingMessage {
    return { topic: this.topic, partition: 0, key, value, timestamp: Date.now(), headers: [] }
  }

  private set({ partition, offset }: Place, mark: LetterMark): void {
    const marks = this.marks.get(partition) ?? new Map<number, LetterMark>()
    this.marks.set(partition, marks.set(offset, mark))
    if (mark.state === 'replayed' && mark.of !== undefined) this.replayed.add(mark.of)
  }
}

function keyOf({ partition, offset }: Place): string {
  return `${partition}@${offset}`
}

function placeOf(key: string): Pick<TopicPartition, 'partition'> & { readonly offset: number } {
  const [partition, offset] = key.split('@').map(Number)
  return { partition: partition ?? Number.NaN, offset: offset ?? Number.NaN }
}

/** Undefined of what a tombstone took away, and of what is none of Weir's. */
function markOf(value: Buffer | null): Marked | undefined {
  try {
    const mark: unknown = JSON.parse(String(value))
    return isPlainObject(mark) && 'state' in mark ? (mark as unknown as Marked) : undefined
  } catch {
    return undefined
  }
}
