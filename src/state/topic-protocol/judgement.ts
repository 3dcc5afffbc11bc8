import { type Keeps, type Position, partitionName, type TopicPartition } from '../../model/index.js'
import { factsOf, isAnother, type PartitionNow } from './facts.js'
import { type Finding, gapError, grownError, recreatedError, truncatedError } from './findings.js'
import type { TopicRules } from './rules.js'

/** What becomes of what open windows have of partitions that are gone. */
const leftTexts: Readonly<Record<Keeps, string>> = {
  nothing: '',
  state: ', and what open windows have of them goes on over the internal topic, where there is one',
  'state by key': ', and what open windows have of them stays behind',
}

/** Judges what topics are now by what they were. What it finds it adds to `findings`; what has to stop a flow it throws. */
export class Judgement {
  findings: Finding[] = []

  constructor(private readonly rules: TopicRules) {}

  /**
   * Where to go on from a position that was kept, as its topic is now.
   * Errors: WEIR_SOURCE_RECREATED, WEIR_SOURCE_GAP and WEIR_SOURCE_TRUNCATED, as the rules say.
   */
  goOn(known: Position, now: PartitionNow): Position {
    const { offset, facts } = known
    if (facts !== undefined && isAnother(facts, now)) return this.anew(known, now)
    const position = { ...known, facts: factsOf(now, facts?.before) }
    if (now.start !== undefined && offset < now.start) {
      this.lose(known, now.start)
      return { ...position, offset: now.start }
    }
    if (now.end !== undefined && offset > now.end) return { ...position, offset: this.within(known, now) }
    return position
  }

  /** Where to begin in what was added: what has been deleted of it since is missing. Errors as `lose` does. */
  fromStart(at: TopicPartition, now: PartitionNow, before?: number): Position {
    const { start = 0 } = now
    if (start > 0) this.lose({ ...at, offset: 0 }, start)
    return { ...at, offset: start, facts: factsOf(now, before) }
  }

  /** A topic has taken the place of the one that was read. Errors: WEIR_SOURCE_RECREATED, unless the rules say to go on. */
  replace(topic: string, known: object): void {
    const error = recreatedError(topic, this.rules)
    const change = { topic, change: 'recreated' } as const
    if (this.rules.onRecreated === 'fail') throw this.found({ change }, error)
    const text = `${error.message}: it is read from its beginning`
    this.findings.push({ change, text, about: { topic, ...known } })
  }

  /** Counts and tells what was deleted before it was read. Errors: WEIR_SOURCE_GAP where that has to stop the flow. */
  lose(from: Position, to: number): void {
    const { rules } = this
    // Behind an internal topic it is known what a gap means.
    if (rules.isInternal) return
    const { topic, partition, offset } = from
    const records = to - offset
    const change = { topic, change: 'gap', records } as const
    const text = `${rules.doing}: ${partitionName(from)} has nothing left of ${offset} to ${to - 1}: up to ${records} records were deleted before they were read`
    if (rules.onGap === 'fail') throw this.found({ change }, gapError(from, text, rules))
    this.findings.push({ change, text, about: { topic, partition, from: offset, to, records } })
  }

  /** Errors: WEIR_SOURCE_REPARTITIONED where keys would find no state of theirs. */
  repartition(topic: string, was: number, now: number, isNews = true): void {
    const { doing, keeps, onGrown } = this.rules
    const text = `${doing}: topic '${topic}' has ${now} partitions and had ${was}`
    // Fewer has only one that was made anew.
    const change = { topic, change: now < was ? 'recreated' : 'grown' } as const
    if (keeps === 'state by key' && onGrown === 'fail')
      throw this.found({ change }, grownError(topic, text, this.rules))
    if (!isNews) return
    const told = `${text}: ${now < was ? `nobody waits for those that are gone${leftTexts[keeps]}` : 'those that are new are read from their beginning'}`
    this.findings.push({ change, text: told, about: { topic, was, now } })
  }

  /** What was found since it was taken last. */
  take(): readonly Finding[] {
    const { findings } = this
    this.findings = []
    return findings
  }

  private found(finding: Finding, error: Error): Error {
    this.findings.push(finding)
    return error
  }

  /** Where the positions of a topic's last life end, those of the next one go on: so repeats are still told from what is new. */
  private anew({ topic, partition, offset, facts }: Position, now: PartitionNow): Position {
    this.replace(topic, { partition, id: now.id, was: facts?.id })
    return this.fromStart({ topic, partition }, now, (facts?.before ?? 0) + Math.max(offset, 1))
  }

  private within(from: Position, { start = 0, end = 0 }: PartitionNow): number {
    const { topic, partition, offset } = from
    const { onTruncated } = this.rules
    const error = truncatedError(from, end, this.rules)
    const change = { topic, change: 'truncated' } as const
    if (onTruncated === 'fail') throw this.found({ change }, error)
    const to = onTruncated === 'earliest' ? start : end
    const text = `${error.message}; it goes on at ${to}`
    this.findings.push({ change, text, about: { topic, partition, offset, end, to } })
    return to
  }
}
