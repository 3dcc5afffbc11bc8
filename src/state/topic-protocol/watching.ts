import { type Position, partitionName, type TopicChange, WeirError } from '../../model/index.js'
import { isAnother, type SeenTopic } from './facts.js'
import { missingError, recreatedError, truncatedError } from './findings.js'
import { Judgement } from './judgement.js'
import type { TopicRules } from './rules.js'
import { type Bounds, type Reading, unexpected, type WatchCommand, type WatchEvent } from './steps.js'

/** How often topics are looked at while they are read, ms. */
export const lookEveryMs = 3_000
/** How long an epoch may take to end before an error that waits for that is raised all the same, ms. */
export const endAfterMs = 10_000
/** After how long without a record it is asked whether a partition's position is still there, ms of reading. */
const silentMs = 2_000

type State =
  | { readonly is: 'resting' }
  | { readonly is: 'describing'; readonly before: ReadonlyMap<string, SeenTopic> }
  | {
      readonly is: 'bounding'
      readonly before: ReadonlyMap<string, SeenTopic>
      readonly asked: readonly Position[]
      readonly hasStrayed: boolean
      readonly suspects: ReadonlyMap<string, number>
    }

/**
 * Compares, while topics are read, what they are with what they were when reading began.
 *
 *   resting ──look──► describing ──► bounding, where partitions are silent ──► resting
 *
 *   end: from either, when what goes on has to begin with what the topics are now. Nothing is asked from then on.
 */
export class TopicWatching {
  /** What the topics were found to be last. */
  seen: ReadonlyMap<string, SeenTopic> = new Map()
  /** Topics that were there and are not any more. */
  private readonly gone = new Map<string, WeirError>()
  private state: State = { is: 'resting' }
  private hasStrayed = false
  /** Whether it has said that reading ends: that may take until an epoch does, and what was found is not found again. */
  private isOver = false
  /** Partitions whose end lay before their position when that was looked at. */
  private suspects: ReadonlyMap<string, number> = new Map()
  private readonly judgement: Judgement

  constructor(private readonly rules: TopicRules) {
    this.judgement = new Judgement(rules)
  }

  /** A topic that is waited for. */
  get missing(): WeirError | undefined {
    return this.gone.values().next().value
  }

  /**
   * Reading begins, or more of it, with the topics being this. One that is not among them is away at the moment: it is looked
   * for by what it was, for another one may come in its place.
   */
  know(seen: ReadonlyMap<string, SeenTopic>): void {
    this.seen = new Map([...this.seen, ...seen])
  }

  /** The client has given up on a position; which one it does not say. */
  stray(): void {
    this.hasStrayed = true
  }

  handle(event: WatchEvent): WatchCommand {
    try {
      return this.next(event)
    } catch (error) {
      if (!(error instanceof WeirError)) throw error
      this.state = { is: 'resting' }
      this.isOver = true
      return { do: 'end', error, findings: this.judgement.take() }
    }
  }

  private next(event: WatchEvent): WatchCommand {
    const { state } = this
    if (event.on === 'failed') return this.failed()
    if (state.is === 'resting' && event.on === 'look') return this.look()
    // More may have been assigned meanwhile, with topics as they were then.
    if (state.is !== 'resting' && state.before !== this.seen) return this.failed()
    if (state.is === 'describing' && event.on === 'described') return this.compare(event)
    if (state.is === 'bounding' && event.on === 'bounded')
      return this.rest(event.bounds.flatMap((at) => this.moved(at, state)))
    throw unexpected(state.is, event)
  }

  private look(): WatchCommand {
    if (this.seen.size === 0 || this.isOver) return this.rest()
    this.state = { is: 'describing', before: this.seen }
    return { do: 'describe', topics: [...this.seen.keys()] }
  }

  private compare({ seen, readings }: Extract<WatchEvent, { on: 'described' }>): WatchCommand {
    const now = [...this.seen].map(([topic, was]) => {
      const read = readings.filter((reading) => reading.topic === topic)
      return [topic, this.compareTopic(topic, [was, ...read], seen.get(topic))] as const
    })
    this.seen = new Map(now)
    const isSilent = (reading: Reading) => !this.gone.has(reading.topic) && reading.silentMs >= silentMs
    const asked = readings.filter(isSilent).map(({ topic, partition, offset }) => ({ topic, partition, offset }))
    if (asked.length === 0) return this.rest()
    const { hasStrayed, suspects } = this
    this.state = { is: 'bounding', before: this.seen, asked, hasStrayed, suspects }
    this.hasStrayed = false
    this.suspects = new Map()
    return { do: 'bound', partitions: asked, ...this.found }
  }

  /** Some of its partitions may have been begun with when it was another one than it was last seen to be. */
  private compareTopic(
    topic: string,
    known: readonly [SeenTopic, ...Pick<Reading, 'id'>[]],
    now: SeenTopic | undefined,
  ): SeenTopic {
    const [was] = known
    if (now === undefined) {
      this.miss(topic)
      return was
    }
    this.gone.delete(topic)
    if (known.some((one) => isAnother(one, now)))
      throw this.told(recreatedError(topic, this.rules), { topic, change: 'recreated' })
    // A broker may not have heard of it yet.
    if (now.partitions <= was.partitions) return was
    this.judgement.repartition(topic, was.partitions, now.partitions)
    return now
  }

  private miss(topic: string): void {
    if (this.gone.has(topic)) return
    const error = missingError(topic, this.rules)
    this.gone.set(topic, error)
    const text = `${error.message}; it is waited for`
    this.judgement.findings.push({ change: { topic, change: 'missing' }, text, about: { topic } })
  }

  /** Where nothing comes although it is read, the records may be gone, or the whole end of the log. */
  private moved(now: Bounds, { asked, hasStrayed, suspects }: Extract<State, { is: 'bounding' }>): Position[] {
    const { start, end } = now
    const at = asked.find(({ topic, partition }) => topic === now.topic && partition === now.partition)
    if (at === undefined || now.position !== at.offset) return []
    if (start !== undefined && start > at.offset) {
      this.judgement.lose(at, start)
      return [{ ...at, offset: start }]
    }
    if (end !== undefined && end < at.offset) {
      const name = partitionName(at)
      // A new leader may take a moment to know how far it reaches.
      if (suspects.get(name) === at.offset)
        throw this.told(truncatedError(at, end, this.rules), { topic: at.topic, change: 'truncated' })
      this.suspects = new Map([...this.suspects, [name, at.offset]])
      return []
    }
    return hasStrayed ? [at] : []
  }

  /** What goes on after an error tells of it by itself. */
  private told(error: WeirError, change: TopicChange): WeirError {
    if (error.remedy === 'stop') this.judgement.findings.push({ change })
    return error
  }

  /** No news of the topics; what was to be looked into still is. */
  private failed(): WatchCommand {
    const { state } = this
    if (state.is === 'bounding') {
      this.hasStrayed ||= state.hasStrayed
      this.suspects = state.suspects
    }
    return this.rest()
  }

  private rest(moves: readonly Position[] = []): WatchCommand {
    this.state = { is: 'resting' }
    return { do: 'rest', moves, ...this.found }
  }

  private get found() {
    const held = new Map([...this.seen.keys()].map((topic) => [topic, this.gone.has(topic)] as const))
    return { findings: this.judgement.take(), held }
  }
}
