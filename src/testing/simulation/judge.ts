import { isDeepStrictEqual } from 'node:util'
import { headerOf, type Position, partitionName, type StreamRecord, type TopicPartition } from '../../model/index.js'
import type { LetterMessage } from '../../state/letter-protocol/index.js'
import { type Accounts, letterPlace } from './accounts.js'
import type { Model } from './models.js'
import type { World } from './world.js'

/** A result that has to come out, and what has. */
interface Awaited {
  readonly id: string
  readonly value: unknown
  /** When each instance of it has to be durable: these tell from what has been committed. */
  readonly dues: ((state: Committed) => boolean)[]
  done: number
  isRejected: boolean
}

/** What was committed of a partition: the next offset to read, and the watermark up to which results are out. */
export interface CommittedPartition extends Position {
  readonly watermark?: number | undefined
}

/** How much of a value is in the trace. */
const longest = 500

/** Tells a topic from others of its name, where there may be such. */
type IdOf = (topic: string) => string | undefined

interface Committed {
  /** Up to where a partition has been committed by those who give results. */
  position(partition: TopicPartition): number
  /** Up to where all of them have given theirs. */
  readonly watermark: number
}

/** From where results are made: behind all internal topics. */
export interface LastTopics {
  readonly topics: readonly string[]
  /** Empty as long as one of the topics is not there. */
  partitions(): readonly TopicPartition[]
}

/** Compares what becomes durable with what a model says must come out, while it happens. */
export class Judge {
  private readonly awaited = new Map<string, Awaited>()
  private readonly open: Set<Awaited>
  private readonly positions = new Map<string, number>()
  /** Where positions may go back. */
  private readonly setBack = new Set<string>()
  private readonly watermarks = new Map<string, number>()

  constructor(
    private readonly world: World,
    private readonly model: Model | undefined,
    input: Parameters<Model['expected']>[0],
    private readonly last: LastTopics,
    private readonly idOf: IdOf,
    readonly accounts?: Accounts,
  ) {
    for (const { id, value, due } of model?.expected(input) ?? []) {
      const known = this.awaited.get(id) ?? { id, value, dues: [], done: 0, isRejected: false }
      this.awaited.set(id, known)
      known.dues.push((state) => {
        if (due === undefined) return false
        return 'closes' in due ? state.watermark >= due.closes : state.position(due) > due.offset
      })
    }
    this.open = new Set(this.awaited.values())
  }

  /** A value is durable; `once` when it became so together with the positions that it stems from. */
  effect(who: string, output: unknown, once: boolean): void {
    this.accounts?.counted(output, once)
    if (this.model === undefined) return this.world.note(who, `makes durable: ${shown(output)}`)
    const { id, value } = this.model.identify(output)
    this.world.note(who, `makes durable: ${id} = ${shown(value)}`)
    const expected = this.awaited.get(id)
    if (expected === undefined) return this.world.breaks(`nothing else comes out: ${id} = ${JSON.stringify(value)}`)
    if (!isDeepStrictEqual(expected.value, value)) {
      const [is, must] = [value, expected.value].map((shown) => JSON.stringify(shown))
      this.world.breaks(`results are those of the model: ${id} is ${is}, must be ${must}`)
    }
    if (expected.isRejected) this.world.breaks(`what is rejected does not come out: ${id}`)
    expected.done++
    if (expected.done >= expected.dues.length) this.open.delete(expected)
    if (once && expected.done > expected.dues.length) this.world.breaks(`each result comes out once: ${id}`)
  }

  /** A dead letter is durable. */
  lettered(who: string, letter: LetterMessage): void {
    const code = headerOf(letter.headers, 'weir.error.code')
    this.world.note(who, `dead letter of ${letterPlace(letter)} is durable: ${code}`)
    this.accounts?.lettered(letter)
  }

  /** A dead letter of an epoch that failed is written. */
  strayed(place: string): void {
    this.world.breaks(`no dead letter outlives its epoch: that of ${place} does`)
  }

  /** A record is a dead letter: what would have come of it is not awaited any more. */
  rejected(record: StreamRecord): void {
    const id = this.model?.rejected?.(record)
    if (id === undefined) return
    const expected = this.awaited.get(id)
    if (expected === undefined) return this.world.breaks(`what is rejected was read: ${id}`)
    if (expected.done > 0) this.world.breaks(`what is rejected does not come out: ${id}`)
    expected.isRejected = true
    this.open.delete(expected)
  }

  /** Positions, and the watermarks up to which results are out, were committed. */
  committed(partitions: readonly CommittedPartition[]): void {
    for (const { watermark = Number.NEGATIVE_INFINITY, ...position } of partitions) {
      const name = partitionName(position)
      const place = `${name} ${position.facts?.id}`
      const known = this.setBack.has(place) ? 0 : (this.positions.get(place) ?? 0)
      this.positions.set(place, Math.max(position.offset, known))
      this.watermarks.set(name, Math.max(watermark, this.watermarkOf(position)))
    }
    const state = this.state()
    for (const { id, dues, done } of this.open) {
      if (dues.filter((isDue) => isDue(state)).length <= done) continue
      this.world.breaks(`no committed position is ahead of a durable effect: ${id} is not written`)
    }
  }

  positionOf(partition: TopicPartition): number {
    return this.knownPosition(partition) ?? 0
  }

  /** Undefined where nobody has committed one, in the topic that has this name now. */
  knownPosition(partition: TopicPartition): number | undefined {
    return this.positions.get(this.placeOf(partition))
  }

  /** It was said to go on in this partition before what is committed. */
  goesBack(partition: TopicPartition): void {
    this.setBack.add(this.placeOf(partition))
  }

  /** Whether a position was ever committed of another topic that had this name. */
  hadRead(topic: string): boolean {
    const isOther = (place: string) => place.startsWith(`${topic}-`) && !place.endsWith(` ${this.idOf(topic)}`)
    return [...this.positions.keys()].some(isOther)
  }

  mayGoBack(partition: TopicPartition): boolean {
    return this.setBack.has(this.placeOf(partition))
  }

  /** What somebody reads who sees only what counts has to be each result, as often as it came out. */
  readBack(outputs: readonly unknown[]): void {
    const { model } = this
    if (model === undefined) return
    const times = new Map<string, number>()
    for (const output of outputs) {
      const { id } = model.identify(output)
      times.set(id, (times.get(id) ?? 0) + 1)
    }
    for (const { id, done } of this.awaited.values()) {
      const read = times.get(id) ?? 0
      if (read !== done) this.world.breaks(`who reads what is committed reads each result once: ${id} ${read} times`)
    }
  }

  get isComplete(): boolean {
    return this.open.size === 0 && (this.accounts?.missing() ?? []).length === 0
  }

  /** What has not come out yet. */
  missing(): string[] {
    return [...[...this.open].map(({ id }) => id), ...(this.accounts?.missing() ?? [])]
  }

  private state(): Committed {
    const { topics, partitions } = this.last
    const watermarks = partitions().map((partition) => this.watermarkOf(partition))
    return {
      position: (partition) => (topics.includes(partition.topic) ? this.positionOf(partition) : 0),
      watermark: watermarks.length === 0 ? Number.NEGATIVE_INFINITY : Math.min(...watermarks),
    }
  }

  private placeOf(partition: TopicPartition): string {
    return `${partitionName(partition)} ${this.idOf(partition.topic)}`
  }

  private watermarkOf(partition: TopicPartition): number {
    return this.watermarks.get(partitionName(partition)) ?? Number.NEGATIVE_INFINITY
  }
}

function shown(value: unknown): string {
  const text = String(JSON.stringify(value))
  return text.length > longest ? `${text.slice(0, longest)}…` : text
}
