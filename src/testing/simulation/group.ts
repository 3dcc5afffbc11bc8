import { type Position, partitionName, type TopicPartition, WeirError } from '../../model/index.js'
import type { Link } from './link.js'
import type { Actor, World } from './world.js'

/** What the coordinator tells a member, each in an action of the member's process. */
export interface MemberEvents {
  assigned(partitions: readonly TopicPartition[]): void
  revoked(partitions: readonly TopicPartition[]): void
  /** It is no member any more: its session ended, or its place was taken. */
  expelled(): void
}

/** The part of the cluster that a group works with. */
interface Brokers {
  readonly world: World
  readonly link: Link
  partitionsOf(topics: readonly string[]): readonly TopicPartition[]
}

export interface GroupTimes {
  /** For how long a member may be silent, ms. */
  readonly sessionMs: number
  /** For how long it may hold on to what it has to give back, ms. */
  readonly rebalanceMs: number
}

export class Member {
  /** Since when the coordinator has not heard of it. */
  silentSince: number | undefined
  heardSince = 0
  isGone = false
  /** What it is still to be told, in order, and when the last of it gets there. */
  readonly mail: (() => void)[] = []
  toldAt = 0

  constructor(
    readonly id: number,
    /** What its topics are by then it need not find out later. */
    readonly joinedAt: number,
    readonly actor: Actor,
    readonly topics: readonly string[],
    readonly instance: string | undefined,
    readonly events: MemberEvents,
  ) {}

  get name(): string {
    return `${this.actor.name}#${this.id}`
  }
}

/** Who is to have a partition; 0 is nobody. */
interface Meant {
  readonly owner: number
  readonly partition: TopicPartition
}

interface Owned {
  readonly member: Member
  readonly partition: TopicPartition
  isRevoking: boolean
}

/**
 * A consumer group, cooperative: what stays where it is goes on, and a partition is given only when its last owner has
 * released it or is no member any more.
 */
export class Group {
  private readonly members = new Map<number, Member>()
  private readonly owners = new Map<string, Owned>()
  private target = new Map<string, Meant>()
  private readonly offsets = new Map<string, Position>()
  private joined = 0
  /** How many partitions each topic had when its members shared them out. */
  private readonly found = new Map<string, number>()

  constructor(
    readonly name: string,
    private readonly cluster: Brokers,
    private readonly times: GroupTimes,
  ) {}

  join(actor: Actor, topics: readonly string[], instance: string | undefined, events: MemberEvents): Member {
    const member = new Member(++this.joined, this.cluster.world.now, actor, topics, instance, events)
    const before = [...this.members.values()].find((other) => instance !== undefined && other.instance === instance)
    this.members.set(member.id, member)
    this.note(`${member.name} joins${instance === undefined ? '' : ` as ${instance}`}`)
    if (before?.actor === actor && before.topics !== topics) {
      this.cluster.world.breaks(`each source is a member of its own: two of ${actor.name} are '${instance}'`)
    }
    // Who comes back is given what it had, be it for other topics: nobody looks again what there is.
    if (before === undefined) this.retarget()
    else this.succeed(before, member)
    return member
  }

  /** A member without a lasting name leaves at once; one with it is awaited until its session ends, unless it says otherwise. */
  leave(member: Member, isForGood = false): void {
    if (member.isGone) return
    if (member.instance === undefined || isForGood) this.remove(member, 'leaves')
    else this.silence(member)
  }

  /** Its process stands still, has died, or can not be reached. */
  silence(member: Member): void {
    const since = this.cluster.world.now
    member.silentSince = since
    this.cluster.world.servers.after(this.times.sessionMs, () => {
      if (!member.isGone && member.silentSince === since) this.remove(member, 'is silent for too long')
    })
  }

  /** It can be heard again. */
  hear(member: Member): void {
    member.silentSince = undefined
    member.heardSince = this.cluster.world.now
    if (member.isGone) this.expel(member)
  }

  membersOf(actor: Actor): Member[] {
    return [...this.members.values()].filter((member) => member.actor === actor)
  }

  release(member: Member, partitions: readonly TopicPartition[]): void {
    if (member.isGone) return
    for (const partition of partitions) {
      if (this.owners.get(partitionName(partition))?.member === member) this.owners.delete(partitionName(partition))
    }
    this.reconcile()
  }

  /** As in Kafka, a member may commit what another has. Errors: fenced when it is no member. */
  commit(member: Member, positions: readonly Position[]): void {
    if (member.isGone) throw fenced(`'${member.name}' is no member of group '${this.name}'`)
    for (const position of positions) this.offsets.set(partitionName(position), position)
  }

  /** Somebody sets an offset who is no member. */
  set(position: Position): void {
    this.offsets.set(partitionName(position), position)
  }

  committed(partition: TopicPartition): Position | undefined {
    return this.offsets.get(partitionName(partition))
  }

  /** A topic is deleted: its offsets go with it. */
  forget(topic: string): void {
    for (const [name, position] of this.offsets) if (position.topic === topic) this.offsets.delete(name)
  }

  /** Whether somebody finds that a topic has changed since: who joined later knows no other. */
  notices(topic: string, since: number): boolean {
    return this.readersOf({ topic }).some(({ joinedAt, silentSince }) => joinedAt <= since && silentSince === undefined)
  }

  /** What all members together have; undefined while they are sharing it out. */
  given(): readonly TopicPartition[] | undefined {
    const owned = [...this.owners.values()]
    return owned.some(({ isRevoking }) => isRevoking) ? undefined : owned.map(({ partition }) => partition)
  }

  /** Moves partitions about, though no member came or went; some may have no owner until `retarget`. */
  shuffle(): void {
    const { random } = this.cluster.world
    this.note('rebalances')
    for (const partition of this.partitions()) {
      const readers = this.readersOf(partition)
      if (readers.length === 0 || random.chance(0.5)) continue
      const owner = random.chance(0.3) ? 0 : random.pick(readers).id
      this.target.set(partitionName(partition), { owner, partition })
    }
    this.reconcile()
  }

  /**
   * Gives every partition an owner, evenly, and as many as can be to the one that has it. Where topics have more partitions
   * than they had, or fewer, each member is told anew what it has, be it nothing more. What a topic that was made anew has no
   * longer may stay with who has it.
   */
  retarget(): void {
    const hasChanged = this.looks()
    const target = new Map<string, Meant>()
    const countOf = (id: number) => [...target.values()].filter(({ owner }) => owner === id).length
    const partitions = this.partitions()
    const shareOf = ({ topic }: TopicPartition) =>
      Math.ceil((this.found.get(topic) ?? 0) / this.readersOf({ topic }).length)
    for (const partition of partitions) {
      const name = partitionName(partition)
      const reader = this.readersOf(partition).find(({ id }) => id === this.target.get(name)?.owner)
      if (reader !== undefined && countOf(reader.id) < shareOf(partition))
        target.set(name, { owner: reader.id, partition })
    }
    for (const partition of partitions) {
      const name = partitionName(partition)
      if (target.has(name)) continue
      const [least] = this.readersOf(partition).sort((one, other) => countOf(one.id) - countOf(other.id))
      if (least !== undefined) target.set(name, { owner: least.id, partition })
    }
    const kept = [...this.target].filter(([name, meant]) => !target.has(name) && this.staysWith(name, meant))
    this.target = new Map([...target, ...kept])
    this.reconcile()
    if (hasChanged) for (const member of this.members.values()) this.assign(member, [])
  }

  /** Whether everybody has what is meant for them. */
  get isSettled(): boolean {
    return [...this.known().keys()].every((name) => this.owners.get(name)?.member.id === this.target.get(name)?.owner)
  }

  private staysWith(name: string, { owner, partition }: Meant): boolean {
    const { member } = this.owners.get(name) ?? {}
    const isThere = (this.found.get(partition.topic) ?? 0) > 0
    const isOwn = member?.id === owner && member.topics.includes(partition.topic)
    return isThere && isOwn && this.cluster.world.random.chance(0.5)
  }

  /** Whether a topic has another number of partitions than it had. */
  private looks(): boolean {
    let hasChanged = false
    for (const topic of this.topics()) {
      const many = this.cluster.partitionsOf([topic]).length
      hasChanged ||= (this.found.get(topic) ?? many) !== many
      this.found.set(topic, many)
    }
    return hasChanged
  }

  private readersOf({ topic }: { readonly topic: string }): Member[] {
    return [...this.members.values()].filter(({ topics }) => topics.includes(topic))
  }

  private succeed(before: Member, member: Member): void {
    this.members.delete(before.id)
    before.isGone = true
    if (before.silentSince === undefined) this.expel(before)
    for (const [name, { member: owner }] of this.owners) if (owner === before) this.owners.delete(name)
    for (const [name, meant] of this.target)
      if (meant.owner === before.id) this.target.set(name, { ...meant, owner: member.id })
    this.reconcile()
  }

  private remove(member: Member, why: string): void {
    this.note(`${member.name} ${why}`)
    this.members.delete(member.id)
    member.isGone = true
    for (const [name, { member: owner }] of this.owners) if (owner === member) this.owners.delete(name)
    if (member.silentSince === undefined && why !== 'leaves') this.expel(member)
    this.retarget()
  }

  private expel(member: Member): void {
    this.tell(member, () => member.events.expelled(), true)
  }

  private reconcile(): void {
    for (const member of this.members.values()) {
      const taken: TopicPartition[] = []
      const given: TopicPartition[] = []
      for (const [name, partition] of this.known()) {
        const owned = this.owners.get(name)
        const isMeant = this.target.get(name)?.owner === member.id
        if (owned?.member === member && !isMeant && !owned.isRevoking) {
          owned.isRevoking = true
          taken.push(partition)
        } else if (owned === undefined && isMeant) {
          this.owners.set(name, { member, partition, isRevoking: false })
          given.push(partition)
        }
      }
      if (taken.length > 0) this.revoke(member, taken)
      if (given.length > 0) this.assign(member, given)
    }
  }

  private assign(member: Member, partitions: readonly TopicPartition[]): void {
    this.note(`gives ${partitions.map(partitionName).join(', ') || 'nothing more'} to ${member.name}`)
    this.tell(member, () => member.events.assigned(partitions))
  }

  private revoke(member: Member, partitions: readonly TopicPartition[]): void {
    this.note(`takes ${partitions.map(partitionName).join(', ')} from ${member.name}`)
    this.tell(member, () => member.events.revoked(partitions))
    const since = this.cluster.world.now
    this.cluster.world.servers.after(this.times.rebalanceMs, () => {
      const holds = partitions.some((partition) => {
        const owned = this.owners.get(partitionName(partition))
        return owned?.member === member && owned.isRevoking
      })
      if (!holds || member.isGone) return
      if (member.silentSince === undefined && member.heardSince <= since) {
        this.cluster.world.breaks(`what is revoked is given back: ${member.name} holds on to it`)
      }
      this.remove(member, 'does not give back what it has to')
    })
  }

  private tell(member: Member, tell: () => void, evenGone = false): void {
    const { now } = this.cluster.world
    member.toldAt = Math.max(member.toldAt, now + this.cluster.link.latency())
    const { mail, actor } = member
    mail.push(() => {
      if (!member.isGone || evenGone) tell()
    })
    const deliver = () => {
      if (actor.isIsolated) actor.after(100, deliver)
      else mail.shift()?.()
    }
    actor.after(member.toldAt - now, deliver)
  }

  /** Those that were found, and those that somebody has or is to have all the same. */
  private known(): ReadonlyMap<string, TopicPartition> {
    const there = this.partitions().map((partition) => [partitionName(partition), partition] as const)
    const others = [...this.target, ...this.owners].map(([name, { partition }]) => [name, partition] as const)
    return new Map([...there, ...others])
  }

  private partitions(): readonly TopicPartition[] {
    return [...this.topics()].flatMap((topic) =>
      Array.from({ length: this.found.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })),
    )
  }

  private topics(): ReadonlySet<string> {
    return new Set([...this.members.values()].flatMap((member) => member.topics))
  }

  private note(what: string): void {
    this.cluster.world.note(`group ${this.name}`, what)
  }
}

function fenced(why: string): WeirError {
  return new WeirError('WEIR_CHECKPOINT_FENCED', `committing positions: ${why}`)
}
