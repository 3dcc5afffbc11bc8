import { concat, defer, EMPTY, ignoreElements, Observable, type Subscriber, tap, throwError } from 'rxjs'
import {
  type AssignmentChange,
  type Epoch,
  type ErrorCode,
  type Origin,
  type PartitionEnd,
  PartitionMap,
  type Position,
  partitionName,
  type SourceTask,
  StreamRecord,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import type { Cluster } from './cluster.js'
import type { Group, Member } from './group.js'
import { Holdings } from './holdings.js'
import type { Actor } from './world.js'

export interface ReaderOptions {
  readonly topics: readonly string[]
  readonly group: string
  readonly instance: string | undefined
  /** How many records an epoch takes at the most. */
  readonly limit: number
  /** How long the group takes to answer who joins it, ms. */
  readonly answersAfterMs: number
  /** The group has taken these positions. */
  readonly committed: (member: string, positions: readonly Position[]) => void
}

/** How many records it asks for before they are wanted. */
const ahead = 20
/** How long the client waits before it tries again by itself, ms. */
const retryMs = 250

/** Reads topics of the simulated cluster as a member of a group. */
export class SimulatedReader implements SourceTask {
  private session: Session | undefined
  private readonly holdings: Holdings

  constructor(
    private readonly cluster: Cluster,
    private readonly actor: Actor,
    private readonly options: ReaderOptions,
  ) {
    this.holdings = new Holdings(cluster.world, options.limit)
  }

  readonly assignments$ = new Observable<AssignmentChange>((subscriber) => {
    this.holdings.forget()
    const session = new Session(this.cluster, this.actor, this.options, subscriber, this.holdings)
    this.session = session
    return () => session.close()
  })

  read(epoch: Epoch): Observable<StreamRecord> {
    return new Observable((subscriber) => this.session?.read(epoch, subscriber))
  }

  positions(): readonly Position[] {
    return this.session?.positions() ?? []
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return defer(() => this.session?.rewind(positions) ?? EMPTY)
  }

  commit(positions: readonly Position[]): Observable<never> {
    return defer(() => this.session?.commit(positions) ?? EMPTY)
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return defer(() => this.session?.ends() ?? EMPTY)
  }

  failed(): void {
    this.holdings.forget()
  }

  /** The client fails, as it does when its connection can not be mended. */
  break(): void {
    this.session?.break()
  }
}

/** One partition as the client has it. */
interface Part {
  position: number
  /** Up to where it has been fetched. */
  fetched: number
}

type Change = () => void

/** From joining the group to leaving it. */
class Session {
  private member: Member | undefined
  private readonly group: Group
  private readonly parts = new PartitionMap<Part>()
  /** Given or kept, and not yet released. */
  private readonly held = new Set<string>()
  private reader: { readonly epoch: Epoch; readonly out: Subscriber<StreamRecord> } | undefined
  private arrived: Origin[] = []
  private isFetching = false
  private isEmitting = false
  private isClosed = false
  /** Answers to fetches of an earlier round are dropped. */
  private round = 0
  private readonly changes: Change[] = []
  /** Whether the engine has to answer a change before it is told the next one. */
  private isAwaited = false
  private readonly unlisten: () => void

  constructor(
    private readonly cluster: Cluster,
    private readonly actor: Actor,
    private readonly options: ReaderOptions,
    private readonly out: Subscriber<AssignmentChange>,
    private readonly holdings: Holdings,
  ) {
    this.group = cluster.group(options.group)
    this.unlisten = cluster.listen(() => this.fetch())
    this.actor.after(cluster.link.latency() + options.answersAfterMs, () => this.join())
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.round++
    this.unlisten()
    const { member } = this
    // A process that has died leaves nothing: its session ends.
    if (member !== undefined && this.actor.state !== 'dead') {
      this.send(() => this.group.leave(member))
    }
  }

  break(): void {
    if (this.isClosed) return
    this.actor.note('the client fails')
    this.out.error(this.error('WEIR_SOURCE_UNREACHABLE', 'the client has failed'))
  }

  read(epoch: Epoch, out: Subscriber<StreamRecord>): () => void {
    this.reader = { epoch, out }
    const cut = epoch.cut$.subscribe(() => {
      if (!this.isEmitting) out.complete()
    })
    this.deliver()
    this.fetch()
    return () => {
      cut.unsubscribe()
      this.reader = undefined
    }
  }

  positions(): Position[] {
    return [...this.parts.entries()].map(([partition, { position }]) => ({ ...partition, offset: position }))
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return concat(
      this.pause(),
      run(() => {
        this.holdings.forget()
        this.arrived = []
        this.round++
        this.isFetching = false
        for (const { topic, partition, offset } of positions) {
          const part = this.parts.get(topic, partition)
          if (part !== undefined) part.position = offset
        }
        for (const part of this.parts.values()) part.fetched = part.position
        this.actor.note(`rewinds to ${places(this.positions())}`)
        this.fetch()
      }),
    )
  }

  commit(positions: readonly Position[]): Observable<never> {
    const { member } = this
    const foreign = positions.find(({ topic }) => !this.options.topics.includes(topic))
    if (foreign !== undefined) this.cluster.world.breaks(`a group is told of its own topics only: ${places([foreign])}`)
    this.holdings.committed(positions)
    if (positions.length === 0) return EMPTY
    if (member === undefined) {
      return throwError(() => this.error('WEIR_CHECKPOINT_FENCED', 'committing positions: this is no member any more'))
    }
    return this.ask(`commit of ${places(positions)}`, 'WEIR_CHECKPOINT_UNREACHABLE', () => {
      this.group.commit(member, positions)
      this.options.committed(member.name, positions)
    }).pipe(ignoreElements())
  }

  ends(): Observable<readonly PartitionEnd[]> {
    if (this.parts.size === 0) return EMPTY
    const asked = this.positions()
    return new Observable<readonly PartitionEnd[]>((subscriber) => {
      const answer = () => {
        const ends = asked.map((position) => ({ ...position, end: this.cluster.end(position) }))
        subscriber.next(
          ends.flatMap((end) => {
            const part = this.parts.get(end.topic, end.partition)
            return part === undefined ? [] : [{ ...end, offset: part.position }]
          }),
        )
        subscriber.complete()
      }
      if (!this.cluster.link.reaches(this.actor)) subscriber.complete()
      else subscriber.add(this.actor.after(this.roundTrip(), answer))
    })
  }

  private join(): void {
    if (this.isClosed) return
    if (!this.cluster.link.reaches(this.actor)) {
      this.actor.after(retryMs, () => this.join())
      return
    }
    this.isAwaited = false
    this.changes.length = 0
    this.member = this.group.join(this.actor, this.options.topics, this.options.instance, {
      assigned: (partitions) => this.next(() => this.onAssigned(partitions)),
      revoked: (partitions) => this.next(() => this.onRevoked(partitions, false)),
      expelled: () => this.onExpelled(),
    })
  }

  /** One change after another, as the client has it. */
  private next(change: Change): void {
    this.changes.push(change)
    this.advance()
  }

  private advance(): void {
    if (this.isClosed || this.isAwaited) return
    const change = this.changes.shift()
    if (change === undefined) return
    this.isAwaited = true
    change()
  }

  private answered(): void {
    this.isAwaited = false
    this.advance()
  }

  private onAssigned(partitions: readonly TopicPartition[]): void {
    this.actor.note(`is given ${named(partitions)}`)
    const total = this.cluster.partitionsOf(this.options.topics).length
    this.out.next({ kind: 'assigned', partitions, total, start: (given) => this.start(partitions, given) })
  }

  private onRevoked(partitions: readonly TopicPartition[], lost: boolean): void {
    this.actor.note(`${lost ? 'loses' : 'has to give back'} ${named(partitions)}`)
    this.out.next({ kind: 'revoked', partitions, lost, release: () => this.release(partitions, lost) })
  }

  /** What the engine was told and has not answered is answered first; then all that is left is lost. */
  private onExpelled(): void {
    this.actor.note('is no member any more')
    this.member = undefined
    this.changes.length = 0
    this.next(() => {
      const left = [...this.parts.entries()].map(([partition]) => partition)
      if (left.length === 0) return this.join()
      this.onRevoked(left, true)
    })
  }

  private start(partitions: readonly TopicPartition[], given: readonly Position[]): Observable<never> {
    const known = given.filter((position) => partitions.some((partition) => isSame(partition, position)))
    const unknown = partitions.filter((partition) => !known.some((position) => isSame(partition, position)))
    const begin = (positions: readonly Position[]) => {
      if (this.isClosed) return
      this.actor.note(`reads from ${places(positions)}`)
      for (const { topic, partition, offset } of positions) {
        this.parts.set(topic, partition, { position: offset, fetched: offset })
      }
      this.answered()
      this.fetch()
    }
    if (unknown.length === 0) return run(() => begin(known))
    const found = () => unknown.map((at) => ({ ...at, offset: this.group.committed(at) ?? 0 }))
    return this.ask(`positions of ${named(unknown)}`, 'WEIR_SOURCE_UNREACHABLE', found).pipe(
      tap((positions) => begin([...known, ...positions])),
      ignoreElements(),
    )
  }

  private release(partitions: readonly TopicPartition[], lost: boolean): Observable<never> {
    return concat(
      this.pause(),
      run(() => {
        if (this.isClosed) return
        this.holdings.released(partitions, lost)
        this.actor.note(`releases ${named(partitions)}`)
        for (const { topic, partition } of partitions) this.parts.delete(topic, partition)
        this.arrived = this.arrived.filter(({ topic, partition }) => this.parts.get(topic, partition) !== undefined)
        const { member } = this
        if (lost) return this.join()
        if (member !== undefined) this.send(() => this.group.release(member, partitions))
        this.answered()
      }),
    )
  }

  /** Emits what has arrived, as far as the epoch has room. */
  private deliver(): void {
    if (this.isEmitting) return
    this.isEmitting = true
    try {
      while (this.reader !== undefined && this.reader.epoch.room() > 0 && this.arrived.length > 0) {
        this.emit(this.reader.epoch, this.reader.out)
      }
    } finally {
      this.isEmitting = false
    }
    if (this.reader !== undefined && this.reader.epoch.room() <= 0) this.reader.out.complete()
  }

  private emit(epoch: Epoch, out: Subscriber<StreamRecord>): void {
    const origin = this.arrived.shift() as Origin
    const part = this.parts.get(origin.topic, origin.partition)
    if (part === undefined) return
    part.position = origin.offset + 1
    this.holdings.emitted(origin)
    const { key = null, value, timestamp = 0, headers = [] } = origin
    out.next(new StreamRecord(key, value, timestamp, headers, origin))
    epoch.take(1, Buffer.isBuffer(value) ? value.length : 0)
  }

  private fetch(): void {
    if (this.isClosed || this.isFetching || this.arrived.length >= ahead) return
    if (!this.cluster.link.reaches(this.actor)) return
    const waiting = [...this.parts.entries()].filter(([at, { fetched }]) => fetched < this.cluster.end(at))
    if (waiting.length === 0) return
    this.isFetching = true
    const { round } = this
    const { random } = this.cluster.world
    this.actor.after(this.roundTrip(), () => {
      if (round !== this.round) return
      this.isFetching = false
      const [at, part] = random.pick(waiting)
      if (this.parts.get(at.topic, at.partition) === part) {
        this.skipGone(at, part)
        const records = this.cluster.read({ ...at, offset: part.fetched }, random.between(1, ahead))
        part.fetched += records.length
        this.arrived.push(...records)
        this.deliver()
      }
      this.fetch()
    })
  }

  /** What was truncated before it was read is skipped, as Kafka has it: whoever that happens to must be fenced off. */
  private skipGone(at: TopicPartition, part: Part): void {
    const start = this.cluster.start(at)
    if (part.fetched >= start) return
    this.actor.note(`finds ${partitionName(at)}@${part.fetched} gone, reads from ${start}`)
    part.fetched = start
  }

  private ask<T>(what: string, code: ErrorCode, execute: () => T): Observable<T> {
    const doing = `group ${this.options.group}: ${what}`
    return this.cluster.link.request(this.actor, {
      what: doing,
      execute,
      unanswered: (why) => this.error(code, `${doing}: ${why}`),
    })
  }

  /** The client says it again and again until the coordinator has heard it: in the end it gets there. */
  private send(say: () => void): void {
    this.cluster.world.servers.after(this.cluster.link.latency(), () => {
      if (this.actor.isIsolated) this.cluster.world.servers.after(retryMs, () => this.send(say))
      else say()
    })
  }

  private roundTrip(): number {
    return this.cluster.link.latency() + this.cluster.link.latency()
  }

  private pause(): Observable<never> {
    return new Observable((subscriber) => {
      subscriber.add(this.actor.after(this.cluster.link.latency(), () => subscriber.complete()))
    })
  }

  private error(code: ErrorCode, what: string): WeirError {
    return new WeirError(code, what)
  }
}

function run(effect: () => void): Observable<never> {
  return defer(() => {
    effect()
    return EMPTY
  })
}

function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition
}

const named = (partitions: readonly TopicPartition[]) => partitions.map(partitionName).join(', ')
const places = (positions: readonly Position[]) =>
  positions.map((position) => `${partitionName(position)}@${position.offset}`).join(', ')
