import { isSamePartition, type Position, partitionName, type TopicPartition, WeirError } from '../../model/index.js'
import { factsOf, type GroupPosition, isAnother, type PartitionNow, type SeenTopic } from './facts.js'
import { misassigned, named, nowhere, unanswered } from './findings.js'
import { Judgement } from './judgement.js'
import { isNotIn, offsetIn } from './places.js'
import type { TopicRules } from './rules.js'
import { type BeginningCommand, type BeginningEvent, unexpected } from './steps.js'

const againMs = 1_000

/** What is known where partitions are assigned. */
export interface Known {
  readonly partitions: readonly TopicPartition[]
  /** The positions that are kept with the state. */
  readonly given: readonly Position[]
  /** What the topics were when this process last read them. */
  readonly remembered: ReadonlyMap<string, SeenTopic>
  /** What they were found to be while they are read. */
  readonly noticed: ReadonlyMap<string, SeenTopic>
}

/** Where partitions begin and end. */
interface Ends {
  readonly starts: readonly Position[]
  readonly ends: readonly Position[]
}

/**
 * Where to begin: at the given positions, else at the group's, else as the rules say; a partition that was added is read
 * from its beginning. What does not fit the topic as it is now is dealt with as the rules say.
 *
 *   describing ─► asking the group ─► bounding ─► (finding a time) ─► begin
 *                                       │  ▲
 *                                       └──┘ a new leader may take a moment to know how far it reaches
 *
 *   refuse: from any of them.
 */
export class TopicBeginning {
  private readonly judgement: Judgement
  private seen: ReadonlyMap<string, SeenTopic> = new Map()
  private told: readonly Position[] = []
  /** The positions that are kept of the partitions. */
  private kept: readonly Position[] = []
  private ends: Ends = { starts: [], ends: [] }
  private placed: readonly Position[] = []
  private wasBounded = false

  constructor(
    private readonly rules: TopicRules,
    private readonly known: Known,
  ) {
    this.judgement = new Judgement(rules)
  }

  start(): BeginningCommand {
    return { do: 'describe', topics: this.rules.topics }
  }

  handle(event: BeginningEvent): BeginningCommand {
    try {
      switch (event.on) {
        case 'described':
          return this.described(event.seen)
        case 'committed':
          return this.committed(event.positions)
        case 'bounded':
          return this.bounded(event)
        case 'found':
          return this.begin(event.positions)
        default:
          throw unexpected('beginning', event)
      }
    } catch (error) {
      if (!(error instanceof WeirError)) throw error
      return { do: 'refuse', error, findings: this.judgement.take() }
    }
  }

  private described(described: ReadonlyMap<string, SeenTopic | undefined>): BeginningCommand {
    const { partitions } = this.known
    this.seen = thoseThere(described)
    if (partitions.length === 0) return this.answer([])
    const gone = partitions.filter((at) => this.isGone(at))
    if (gone.length > 0) throw misassigned(this.rules, `has it read ${named(gone)}, and there is no such partition`)
    const absent = partitions.filter(({ topic }) => !this.seen.has(topic))
    if (absent.length > 0) throw unanswered(this.rules, absent)
    return { do: 'ask the group', partitions: everyPartition(this.seen, partitions) }
  }

  /** Groups leave a partition with who has it when its topic was made anew with fewer, or is no longer subscribed to. */
  private isGone({ topic, partition }: TopicPartition): boolean {
    return !this.rules.topics.includes(topic) || partition >= (this.seen.get(topic)?.partitions ?? Infinity)
  }

  private committed(group: readonly GroupPosition[]): BeginningCommand {
    const { partitions, given, remembered } = this.known
    this.told = [...given, ...group]
    this.kept = partitions.flatMap((partition) => this.chosen(partition, group) ?? [])
    for (const [topic, now] of this.seen) {
      const last = remembered.get(topic)
      // With the topic its offsets have gone from the group: only this process knows that there was another.
      const isTold = this.told.some((position) => position.topic === topic && position.facts !== undefined)
      if (last !== undefined && isAnother(last, now) && !isTold)
        this.judgement.replace(topic, { id: now.id, was: last.id })
      // Of another topic it is told that it is another, before how many partitions that has.
      if (this.rules.onRecreated !== 'fail' || this.ofTheseTopics.length === this.kept.length)
        this.compareCounts(topic, now)
    }
    return { do: 'bound', partitions, afterMs: 0 }
  }

  private bounded(ends: Ends): BeginningCommand {
    const { partitions } = this.known
    const isBeyond = (at: Position) => at.offset > (offsetIn(ends.ends, at) ?? Number.POSITIVE_INFINITY)
    const isAgain = this.wasBounded
    this.wasBounded = true
    this.ends = ends
    if (!isAgain && this.ofTheseTopics.some(isBeyond)) return { do: 'bound', partitions, afterMs: againMs }
    this.placed = this.kept.map((position) => this.judgement.goOn(position, this.nowOf(position)))
    const asSaid = this.fresh.filter((partition) => !this.isAdded(partition))
    const { from } = this.rules
    if (asSaid.length > 0 && from === undefined) throw nowhere(this.rules, asSaid)
    if (asSaid.length > 0 && typeof from === 'number') return { do: 'find', partitions: asSaid, time: from }
    return this.begin([])
  }

  /** `found` are the places of a time; where no record is as late as that, it is the end. */
  private begin(found: readonly Position[]): BeginningCommand {
    const { starts, ends } = this.ends
    const begun = this.fresh.flatMap((partition): Position[] => {
      const now = this.nowOf(partition)
      if (now.start === undefined) return []
      if (this.isAdded(partition)) return [this.judgement.fromStart(partition, now)]
      const said = this.rules.from === 'earliest' ? starts : [...found, ...ends]
      const offset = offsetIn(said, partition)
      return offset === undefined ? [] : [{ ...partition, offset, facts: factsOf(now) }]
    })
    const positions = [...this.placed, ...begun]
    const missing = this.known.partitions.filter(isNotIn(positions))
    if (missing.length > 0) throw unanswered(this.rules, missing)
    return this.answer(positions)
  }

  private answer(positions: readonly Position[]): BeginningCommand {
    const seen = new Map([...this.seen].map(([topic, now]) => [topic, { ...now, first: this.firstOf(topic) }]))
    return { do: 'begin', positions, seen, findings: this.judgement.take() }
  }

  /** The partitions that nobody has a position of. */
  private get fresh(): readonly TopicPartition[] {
    return this.known.partitions.filter(isNotIn(this.placed))
  }

  /** The position that is kept of a partition. The group's only mirrors a given one, unless somebody has set it. */
  private chosen(at: TopicPartition, group: readonly GroupPosition[]): Position | undefined {
    const { rules, judgement } = this
    const own = this.known.given.find((position) => isSamePartition(at, position))
    const groups = group.find((position) => isSamePartition(at, position))
    const isReset = own?.facts !== undefined && groups !== undefined && groups.isForeign && groups.offset !== own.offset
    if (!isReset || rules.isInternal) return own ?? groups
    const { topic, partition } = at
    const isHonoured = rules.keeps === 'nothing'
    const follows = isHonoured
      ? 'it goes on where the group says'
      : 'it goes on where its state is; weir state set-position moves it'
    judgement.findings.push({
      change: { topic, change: 'reset' },
      text: `${rules.doing}: the offset of group '${rules.group}' was set to ${groups.offset} by other means, and ${partitionName(at)} was read up to ${own.offset}: ${follows}`,
      about: { topic, partition, group: groups.offset, position: own.offset },
    })
    return isHonoured ? { ...own, offset: groups.offset } : own
  }

  private compareCounts(topic: string, now: SeenTopic): void {
    const noticed = this.known.noticed.get(topic)
    const facts = this.told.flatMap((position) => (position.topic === topic ? (position.facts ?? []) : []))
    const kept = facts.map(({ partitions }) => partitions)
    const counts = [...kept, ...(noticed === undefined ? [] : [noticed.partitions])]
    const isNews = noticed?.partitions !== now.partitions
    // Who has gone on with more of them has committed that with the first position.
    const isKnown = counts.length === 0 || kept.includes(now.partitions) || (kept.length === 0 && !isNews)
    const was = Math.max(...counts)
    // A broker may not have heard of it yet; fewer has only a topic that was made anew.
    const isLess = now.partitions < was && !facts.some((one) => isAnother(one, now))
    if (!isKnown && !isLess) this.judgement.repartition(topic, was, now.partitions, isNews)
  }

  /** Whether a partition without a position came to be after others were read. */
  private isAdded({ topic, partition }: TopicPartition): boolean {
    const first = this.firstOf(topic)
    if (first !== undefined) return partition >= first
    const others = this.told.filter((position) => position.topic === topic)
    return others.length > 0 && others.every((position) => position.partition < partition)
  }

  /**
   * How many partitions a topic had when it was first read. How many it has by now, others may have committed already,
   * before anybody has begun with the last ones.
   */
  private firstOf(topic: string): number | undefined {
    const now = this.seen.get(topic)
    const facts = this.told.flatMap((position) => (position.topic === topic ? (position.facts ?? []) : []))
    const known = [...facts, ...[this.known.remembered.get(topic) ?? []].flat()]
    if (known.length === 0) return undefined
    const ofThis = known.filter((one) => now === undefined || !isAnother(one, now))
    return ofThis.length === 0 ? 0 : Math.min(...ofThis.map(({ first, partitions }) => first ?? partitions))
  }

  /** The positions that are in the topics that there are, and not in others of their names. */
  private get ofTheseTopics(): readonly Position[] {
    const isOf = ({ topic, facts }: Position) =>
      facts === undefined || !isAnother(facts, this.seen.get(topic) as SeenTopic)
    return this.kept.filter(isOf)
  }

  private nowOf({ topic, partition }: TopicPartition): PartitionNow {
    const now = this.seen.get(topic) ?? { id: undefined, partitions: 0 }
    return {
      ...now,
      first: this.firstOf(topic) ?? now.partitions,
      topic,
      partition,
      start: offsetIn(this.ends.starts, { topic, partition }),
      end: offsetIn(this.ends.ends, { topic, partition }),
    }
  }
}

function thoseThere(described: ReadonlyMap<string, SeenTopic | undefined>): Map<string, SeenTopic> {
  return new Map([...described].flatMap(([topic, now]) => (now === undefined ? [] : [[topic, now] as const])))
}

function everyPartition(
  seen: ReadonlyMap<string, SeenTopic>,
  asked: readonly TopicPartition[],
): readonly TopicPartition[] {
  const all = [...seen].flatMap(([topic, { partitions }]) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
  )
  return [...all, ...asked.filter(isNotIn(all))]
}
