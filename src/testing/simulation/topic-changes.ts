import { type ErrorCode, type Position, partitionName } from '../../model/index.js'
import type { Finding, TopicRules } from '../../state/topic-protocol/index.js'
import type { Cluster } from './cluster.js'
import type { Fleet } from './fleet.js'
import type { Judge } from './judge.js'
import type { Random } from './random.js'
import type { World } from './world.js'

/** What can become of the topics of sources, each with what happens. */
export const topicChanges = {
  grown: 'A topic gets another partition.',
  gap: 'Records are deleted, read or not.',
  recreated: 'A topic is deleted, and created again some time later.',
  truncated: 'A partition loses its end, as it does on brokers that were restored.',
  renamed: 'The flow is deployed again with another topic in the place of the first.',
  dropped: 'The flow is deployed again without one of its inputs.',
  away: 'The flow is deployed again without one of its inputs, and some time later with it.',
  reset: 'The offsets of a group are set by other means while nobody reads.',
} as const

export type TopicFault = keyof typeof topicChanges

/** What ends a flow until somebody says that it is to go on. */
const stops = {
  WEIR_SOURCE_RECREATED: 'onRecreated',
  WEIR_SOURCE_GAP: 'onGap',
  WEIR_SOURCE_TRUNCATED: 'onTruncated',
  WEIR_SOURCE_REPARTITIONED: 'onGrown',
} as const

/** Where a group was set to, and where the flow would have gone on. */
interface Moved {
  readonly group: number
  readonly position: number
}

type Rule = (typeof stops)[keyof typeof stops]

/** What says whether a flow goes on after a change. */
const rules: Readonly<Record<string, Rule | undefined>> = {
  recreated: 'onRecreated',
  gap: 'onGap',
  truncated: 'onTruncated',
  grown: 'onGrown',
}

/** What somebody does who has stopped the flow. */
const betweenLives: readonly TopicFault[] = ['renamed', 'dropped', 'away', 'reset']
/** When an input that is away is read again, at the latest, ms. */
const longestAway = 15_000

interface Scene {
  readonly world: World
  readonly cluster: Cluster
  readonly judge: Judge
  readonly random: Random
  /** How many partitions topics have at first. */
  readonly partitions: number
  /** Whether what is left of partitions that are gone goes over an internal topic. */
  readonly isSentOn: boolean
  /** Whether the positions of a topic are in its group only. */
  isInGroup(topic: string): boolean
  /** The topics of the sources. */
  topics(): readonly string[]
  /** Has the flow read another topic in the place of one. */
  rename(topic: string, to: string): void
  /** Has the flow read a topic no longer. */
  drop(topic: string): void
  /** Has the flow not read a topic for now, or again. */
  away(topic: string, isAway: boolean): void
}

/** Changes topics while things go wrong, under load and between two lives, and tells the judge what may be lost by it. */
export class TopicChanges {
  private readonly accepted: Set<Rule>
  private readonly latest: boolean
  /** Topics that were created again. */
  private readonly again = new Set<string>()
  /** Partitions of which an epoch was committed, if need be an empty one. */
  private readonly kept = new Set<string>()

  constructor(
    private readonly scene: Scene,
    private readonly kinds: readonly TopicFault[],
  ) {
    const { random } = scene
    this.accepted = new Set(Object.values(stops).filter(() => random.chance(0.5)))
    this.latest = random.chance(0.5)
  }

  /** Changes topics a few times in this time, ms. */
  deal(fleet: Fleet, withinMs: number): void {
    const { random, world } = this.scene
    if (this.kinds.length === 0) return
    for (let count = random.between(1, 3); count > 0; count--) {
      const kind = random.pick(this.kinds)
      const isBetween = betweenLives.includes(kind) || random.chance(0.4)
      const strike = () => this.strike(kind, fleet)
      world.servers.after(random.between(0, withinMs), () => (isBetween ? fleet.between(strike) : strike()))
    }
  }

  /** What shall follow, by what was decided before and what somebody has said since. */
  get rules(): Pick<TopicRules, Rule> {
    const { accepted, latest } = this
    return {
      onRecreated: accepted.has('onRecreated') ? 'restart' : 'fail',
      onGap: accepted.has('onGap') ? 'warn' : 'fail',
      onTruncated: accepted.has('onTruncated') ? (latest ? 'latest' : 'earliest') : 'fail',
      onGrown: accepted.has('onGrown') ? 'accept' : 'fail',
    }
  }

  /** A flow has stopped. Whoever looks after it deploys it again, and lets it go on. */
  stopped(code: ErrorCode | undefined): void {
    const rule = stops[code as keyof typeof stops] as Rule | undefined
    if (rule === undefined || this.accepted.has(rule)) return
    this.scene.world.note('operator', `sets ${rule}, since ${code}`)
    this.accepted.add(rule)
  }

  /** Whether a record may be written: nobody reads on where a log that was cut would grow past them. */
  isOpen(topic: string, partition: number): boolean {
    const { cluster, judge } = this.scene
    const at = { topic, partition }
    if (!cluster.hasPartition(at)) return false
    return !cluster.hasLostEnd(at) || (judge.positionOf(at) <= cluster.end(at) && !cluster.isReadBeyond(at))
  }

  /** What flows have said of topics. */
  told(findings: readonly Finding[], keeps: TopicRules['keeps']): void {
    for (const { change, about } of findings) {
      // What an error tells has no more to it.
      if (about !== undefined) this.goesOn(change.change, keeps)
      const { topic } = change
      this.scene.world.note('told', `${change.change} ${JSON.stringify(about ?? { topic })}`)
      if (about?.partition === undefined) continue
      const at = { topic, partition: about.partition }
      if (change.change === 'gap') this.lost(at, about as { from: number; to: number })
      if (change.change === 'truncated') this.setBack(at, about)
      if (change.change === 'reset' && keeps === 'nothing') this.moved(at, about as unknown as Moved)
    }
  }

  /** A partition that nobody had a position of is read from there on: what lies before it is not for this flow. */
  began(position: Position): void {
    const { cluster, judge, world } = this.scene
    if (judge.knownPosition(position) !== undefined) return
    // Of a topic that has gone meanwhile, nothing is known any more.
    const isOf = position.facts?.id === cluster.idOf(position.topic)
    if (isOf && this.kept.has(this.placeOf(position)))
      return world.breaks(`where to begin is kept once an epoch has ended: ${partitionName(position)} is begun again`)
    if (this.isAdded(position)) return
    judge.accounts?.excuse({ ...position, offset: 0 }, position.offset, cluster.idOf(position.topic))
  }

  /** An epoch has ended with these positions. */
  ended(positions: readonly Position[]): void {
    for (const position of positions) this.kept.add(this.placeOf(position))
  }

  private placeOf(position: Position): string {
    return `${partitionName(position)} ${position.facts?.id}`
  }

  /** A flow says what it goes on with: it has to stop before, until somebody lets it. */
  private goesOn(change: string, keeps: TopicRules['keeps']): void {
    const rule = rules[change]
    if (rule === undefined || this.accepted.has(rule) || (rule === 'onGrown' && keeps !== 'state by key')) return
    this.scene.world.breaks(`nobody goes on where it has to stop: ${rule} says so, and a topic is ${change}`)
  }

  /** Whether a flow has to know that a partition was added: by what was committed, which groups forget with their topics. */
  private isAdded({ topic, partition }: Position): boolean {
    const { judge, partitions, isInGroup } = this.scene
    if (!this.again.has(topic)) return partition >= partitions
    return !isInGroup(topic) && judge.hadRead(topic)
  }

  private lost(at: { topic: string; partition: number }, { from, to }: { from: number; to: number }): void {
    const { cluster, judge, world } = this.scene
    if (cluster.hasPartition(at) && to > cluster.start(at))
      return world.breaks(`what is told to be lost is gone: ${at.topic}-${at.partition} has ${cluster.start(at)}`)
    judge.accounts?.excuse({ ...at, offset: from }, to, cluster.idOf(at.topic))
  }

  private setBack(at: { topic: string; partition: number }, { to = 0 }: { to?: number }): void {
    const { cluster, judge } = this.scene
    judge.goesBack(at)
    if (cluster.hasPartition(at)) judge.accounts?.repeat({ ...at, offset: to }, cluster.end(at), cluster.idOf(at.topic))
  }

  private strike(kind: TopicFault, fleet: Fleet): void {
    const { world, random, cluster } = this.scene
    const topic = random.pick(this.scene.topics())
    if (!cluster.has(topic)) return
    world.note('topics', `${topic} is ${kind}`)
    switch (kind) {
      case 'grown':
        return this.grow(topic)
      case 'gap':
        return this.cut(topic)
      case 'recreated':
        return this.recreate(topic)
      case 'truncated':
        return this.shorten(topic)
      case 'renamed':
        return this.rename(topic)
      case 'dropped':
        return this.drop(topic)
      case 'away':
        return this.leave(topic, fleet)
      case 'reset':
        return this.reset(topic)
    }
  }

  private grow(topic: string): void {
    const { cluster, judge } = this.scene
    const there = cluster.partitionsOf([topic])
    // Before a topic was read once, nobody can tell which of its partitions were added.
    if (there.every((at) => judge.knownPosition(at) !== undefined)) cluster.grow(topic, there.length + 1)
  }

  private cut(topic: string): void {
    const { cluster, random } = this.scene
    const at = random.pick(cluster.partitionsOf([topic]))
    cluster.truncate({ ...at, offset: random.between(cluster.start(at), cluster.end(at)) })
  }

  private recreate(topic: string): void {
    const { cluster, random, world, partitions } = this.scene
    const many = Math.max(partitions, cluster.partitionsOf([topic]).length)
    const count = random.chance(0.4) ? random.between(1, many) : many
    this.left(topic)
    cluster.remove(topic)
    this.again.add(topic)
    world.servers.after(random.between(0, 8_000), () => cluster.topic(topic, count))
  }

  /** What was committed of a topic that is read no more counts all the same, where nothing of it stays behind. */
  private left(topic: string): void {
    const { cluster, judge, isSentOn } = this.scene
    if (!isSentOn) return void judge.accounts?.excuseTopic(cluster.idOf(topic) ?? '')
    for (const at of cluster.partitionsOf([topic]))
      judge.accounts?.excuse({ ...at, offset: judge.positionOf(at) }, cluster.end(at), cluster.idOf(topic))
  }

  private shorten(topic: string): void {
    const { cluster, judge, random } = this.scene
    const at = random.pick(cluster.partitionsOf([topic]))
    const [from, to] = [random.between(cluster.start(at), cluster.end(at)), cluster.end(at)]
    judge.accounts?.excuse({ ...at, offset: from }, to, cluster.idOf(topic))
    cluster.shorten({ ...at, offset: from })
  }

  private reset(topic: string): void {
    const { cluster, judge, random, isInGroup } = this.scene
    const at = random.pick(cluster.partitionsOf([topic]))
    const group = random.between(cluster.start(at), cluster.end(at))
    for (const one of cluster.allGroups()) if (one.committed(at) !== undefined) one.set({ ...at, offset: group })
    // Else the flow tells what follows.
    if (isInGroup(topic)) this.moved(at, { group, position: judge.positionOf(at) })
  }

  /** A flow goes on where its group says: what lies between comes again, or is left out. */
  private moved(at: { topic: string; partition: number }, { group, position }: Moved): void {
    const { cluster, judge } = this.scene
    this.setBack(at, { to: group })
    judge.accounts?.excuse({ ...at, offset: position }, group, cluster.idOf(at.topic))
  }

  private rename(topic: string): void {
    const { cluster, partitions } = this.scene
    this.left(topic)
    const to = `${topic}.new`
    cluster.topic(to, partitions)
    this.scene.rename(topic, to)
  }

  /** What it has brought may be in the results. */
  private drop(topic: string): void {
    const { cluster, judge, topics } = this.scene
    if (topics().length < 2) return
    judge.accounts?.excuseTopic(cluster.idOf(topic) ?? '')
    this.scene.drop(topic)
  }

  /** All of it counts, what came meanwhile too. What was sent on and not committed may be in a window when it comes again, late. */
  private leave(topic: string, fleet: Fleet): void {
    const { world, random, topics, away, cluster, judge } = this.scene
    if (topics().length < 2) return
    for (const at of cluster.partitionsOf([topic]))
      judge.accounts?.repeat({ ...at, offset: judge.positionOf(at) }, cluster.end(at), cluster.idOf(topic))
    away(topic, true)
    const back = () => {
      world.note('topics', `${topic} is back`)
      away(topic, false)
    }
    const wait = (ms: number) => world.servers.after(ms, () => fleet.between(back) || wait(100))
    wait(random.between(1_000, longestAway))
  }
}
