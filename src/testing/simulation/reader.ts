import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  ignoreElements,
  map,
  Observable,
  of,
  type Subscriber,
  throwError,
} from 'rxjs'
import {
  type AssignmentChange,
  type Epoch,
  type ErrorCode,
  isSamePartition,
  type Origin,
  type PartitionEnd,
  PartitionMap,
  type Position,
  partitionName,
  type SourceTask,
  StreamRecord,
  type TopicFacts,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import {
  type BeginningCommand,
  type BeginningEvent,
  endAfterMs,
  type Finding,
  isNotIn,
  lookEveryMs,
  type SeenTopic,
  Sharing,
  TopicBeginning,
  type TopicRules,
} from '../../state/topic-protocol/index.js'
import type { Cluster } from './cluster.js'
import type { Group, Member } from './group.js'
import { Holdings } from './holdings.js'
import { SimulatedWatch } from './topic-watch.js'
import type { Actor } from './world.js'

export interface ReaderOptions extends TopicRules {
  /** It says with no position what its topics were, as sources do that name none. */
  readonly namesNone?: boolean
  readonly instance: string | undefined
  /** How many records an epoch takes at the most. */
  readonly limit: number
  /** Whether a sink holds positions back beyond an epoch. */
  readonly holdsBack?: boolean
  /** How long the group takes to answer who joins it, ms. */
  readonly answersAfterMs: number
  /** The group has taken these positions. */
  readonly committed: (member: string, positions: readonly Position[]) => void
  /** What was found of topics. */
  readonly told: (findings: readonly Finding[]) => void
  /** A partition without a position begins there, as the rules say. */
  readonly began?: (position: Position) => void
  /** A record was read of a topic that took the place of the one that the position is of, before that was noticed. */
  readonly strayed: (origin: Origin) => void
}

/** How many records it asks for before they are wanted. */
const ahead = 20
/** How long the client waits before it tries again by itself, ms. */
const retryMs = 250

/** Reads topics of the simulated cluster as a member of a group. */
export class SimulatedReader implements SourceTask {
  private session: Session | undefined
  private readonly holdings: Holdings
  /** What the topics were when they were last read. */
  private readonly remembered = new Map<string, SeenTopic>()
  private readonly rejoining: Rejoining = { isLeaving: false, tries: 0 }

  constructor(
    private readonly cluster: Cluster,
    private readonly actor: Actor,
    private readonly options: ReaderOptions,
  ) {
    this.holdings = new Holdings(cluster.world, options.holdsBack ? undefined : options.limit)
  }

  readonly assignments$ = new Observable<AssignmentChange>((subscriber) => {
    this.holdings.forget()
    this.holdings.inVain.clear()
    const { cluster, actor, options, remembered, holdings, rejoining } = this
    const session = new Session(cluster, actor, options, remembered, subscriber, holdings, rejoining)
    this.session = session
    return () => session.close()
  })

  get topics(): readonly string[] {
    return this.options.topics
  }

  read(epoch: Epoch): Observable<StreamRecord> {
    return new Observable((subscriber) => {
      if (this.session !== undefined) return this.session.read(epoch, subscriber)
      return epoch.cut$.subscribe(() => subscriber.complete())
    })
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

  hold(at: Position): void {
    this.session?.hold(at)
  }

  goOn(partition: TopicPartition): void {
    this.session?.goOn(partition)
  }

  failed(): void {
    this.holdings.forget()
    this.holdings.inVain.failed(this.actor.scheduler.now())
  }

  /** Since when what was read has failed, a time of the process; undefined when all of it has come through. */
  get failingSince(): number | undefined {
    return this.holdings.inVain.since
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
  /** What its topic was. */
  readonly facts: TopicFacts | undefined
  /** When the position last moved, in ms of reading. */
  moved: number
  /** The client has given up on the position: there is no such place. */
  isStray: boolean
  /** Nothing is read of it, because its next record has to wait. */
  isHeld: boolean
}

type Change = () => void

/** What a reader knows of its membership beyond a session. */
interface Rejoining {
  /** Whether the group has still to be told that it leaves for good. */
  isLeaving: boolean
  /** How often it did, because the group goes by what topics were. */
  tries: number
}

/** From joining the group to leaving it. */
class Session {
  private member: Member | undefined
  private readonly group: Group
  private readonly totals = new Map<string, number>()
  private readonly parts = new PartitionMap<Part>()
  /** Where it may be about to begin: nothing is written to a log that was cut as long as that lies beyond its end. */
  private readonly beginning = new PartitionMap<number>()
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
  private readonly watch: SimulatedWatch
  /** What ends the session after the running epoch. */
  private over: WeirError | undefined
  private leaves = false
  private unreadSince = 0
  private unreadMs = 0

  constructor(
    private readonly cluster: Cluster,
    private readonly actor: Actor,
    private readonly options: ReaderOptions,
    private readonly remembered: Map<string, SeenTopic>,
    private readonly out: Subscriber<AssignmentChange>,
    private readonly holdings: Holdings,
    private readonly rejoining: Rejoining,
  ) {
    this.unreadSince = cluster.world.now
    this.watch = new SimulatedWatch(options, cluster, actor, {
      readings: () => this.readings(),
      positionOf: ({ topic, partition }) => this.parts.get(topic, partition)?.position,
      tell: (findings) => options.told(findings),
      move: (to) => this.move(to),
      end: (error) => this.end(error),
      ask: (what, execute) => this.ask(what, 'WEIR_SOURCE_UNREACHABLE', execute),
    })
    this.group = cluster.group(options.group)
    const unlisten = cluster.listen(() => this.fetch())
    const unread = cluster.reads(({ topic, partition }) => {
      return this.parts.get(topic, partition)?.fetched ?? this.beginning.get(topic, partition)
    })
    this.unlisten = () => {
      unlisten()
      unread()
    }
    this.actor.after(cluster.link.latency() + options.answersAfterMs, () => this.join())
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.round++
    this.unlisten()
    this.watch.stop()
    const { member } = this
    // A process that has died leaves nothing: its session ends.
    if (member !== undefined && this.actor.state !== 'dead') {
      this.rejoining.isLeaving = this.leaves
      this.send(() => {
        this.group.leave(member, this.leaves)
        this.rejoining.isLeaving = false
      })
    }
  }

  break(): void {
    if (this.isClosed) return
    this.actor.note('the client fails')
    this.out.error(this.error('WEIR_SOURCE_UNREACHABLE', 'the client has failed'))
  }

  read(epoch: Epoch, out: Subscriber<StreamRecord>): () => void {
    this.unreadMs += this.cluster.world.now - this.unreadSince
    this.reader = { epoch, out }
    if (this.over !== undefined) this.out.error(this.over)
    const cut = epoch.cut$.subscribe(() => {
      if (!this.isEmitting) out.complete()
    })
    this.deliver()
    this.fetch()
    return () => {
      cut.unsubscribe()
      this.reader = undefined
      this.unreadSince = this.cluster.world.now
    }
  }

  positions(): Position[] {
    return [...this.parts.entries()].map(([at, { position, facts }]) => ({ ...at, offset: position, facts }))
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return concat(
      this.pause(),
      run(() => {
        this.holdings.forget()
        this.holdings.inVain.rewound(this.positions(), positions)
        this.arrived = []
        this.round++
        this.isFetching = false
        for (const { topic, partition, offset } of positions) {
          const part = this.parts.get(topic, partition)
          if (part !== undefined) part.position = offset
        }
        for (const part of this.parts.values()) {
          Object.assign(part, { fetched: part.position, moved: this.readingMs(), isStray: false, isHeld: false })
        }
        this.actor.note(`rewinds to ${places(this.positions())}`)
        this.fetch()
      }),
    )
  }

  hold(at: Position): void {
    const part = this.parts.get(at.topic, at.partition)
    if (part === undefined) return
    Object.assign(part, { position: at.offset, isHeld: true })
    this.arrived = this.arrived.filter((one) => !isSamePartition(one, at))
    this.holdings.heldBack(at)
    this.actor.note(`holds ${partitionName(at)}@${at.offset}`)
  }

  goOn(partition: TopicPartition): void {
    const part = this.parts.get(partition.topic, partition.partition)
    if (part?.isHeld === true) this.move({ ...partition, offset: part.position })
  }

  commit(positions: readonly Position[]): Observable<never> {
    const { member } = this
    const foreign = positions.find(({ topic }) => !this.options.topics.includes(topic))
    if (foreign !== undefined) this.cluster.world.breaks(`a group is told of its own topics only: ${places([foreign])}`)
    this.holdings.committed(positions, this.positions())
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
        const there = asked.filter((position) => this.cluster.hasPartition(position))
        const ends = there.map(({ facts: _, ...position }) => ({ ...position, end: this.cluster.end(position) }))
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
    const isThere = this.options.topics.every((topic) => this.cluster.has(topic))
    if (!isThere || this.rejoining.isLeaving || !this.cluster.link.reaches(this.actor)) {
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
    if (this.cluster.isChanging && this.options.instance !== undefined)
      this.watchShares(new Sharing(this.options, this.rejoining.tries))
  }

  /** Whether the group has shared out all that there is, until it has. */
  private watchShares(machine: Sharing): void {
    const { actor, cluster, group, options, rejoining } = this
    actor.after(lookEveryMs, () => {
      if (this.isClosed) return
      const look = () => machine.look(cluster.describe(options.topics), group.given(), actor.scheduler.now())
      this.ask('what the group has shared out', 'WEIR_SOURCE_UNREACHABLE', look)
        .pipe(catchError(() => of(false)))
        .subscribe((found) => {
          if (this.isClosed) return
          if (found === false) return this.watchShares(machine)
          if (found === true) rejoining.tries = 0
          else this.out.error(this.joinsAnew(found))
        })
    })
  }

  private joinsAnew(error: WeirError): WeirError {
    if (error.code !== 'WEIR_SOURCE_MISASSIGNED') return error
    this.leaves = true
    this.rejoining.tries++
    return error
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
    const total = this.countPartitions()
    this.out.next({ kind: 'assigned', partitions, total, start: (given) => this.start(partitions, given) })
  }

  /** Of a topic that is gone for now, as many as it had. */
  private countPartitions(): number {
    const { topics } = this.options
    for (const topic of topics) {
      const many = this.cluster.partitionsOf([topic]).length
      if (many > 0) this.totals.set(topic, many)
    }
    return topics.reduce((sum, topic) => sum + (this.totals.get(topic) ?? 0), 0)
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

  /** Finds out where to begin, and does. */
  private start(partitions: readonly TopicPartition[], given: readonly Position[]): Observable<never> {
    return defer(() => {
      const { remembered, options } = this
      const own = given.filter((position) => partitions.some((partition) => isSamePartition(partition, position)))
      const machine = new TopicBeginning(options, { partitions, given: own, remembered, noticed: this.watch.seen })
      let foreign: readonly Position[] = []
      const next = (command: BeginningCommand): Observable<never> => {
        if (command.do === 'begin') this.checkResets(own, foreign, command.findings)
        if (command.do === 'begin' || command.do === 'refuse') {
          options.told(command.findings)
          if (command.do === 'refuse') return throwError(() => this.joinsAnew(command.error))
          return run(() => this.begin(command, own))
        }
        return this.carryOut(command, partitions.filter(isNotIn(own))).pipe(
          concatMap((event) => {
            if (event.on === 'committed') {
              foreign = event.positions.filter(({ isForeign }) => isForeign)
              this.expect(partitions, [...event.positions, ...own])
            }
            return next(machine.handle(event))
          }),
        )
      }
      return next(machine.start())
    })
  }

  private expect(partitions: readonly TopicPartition[], known: readonly Position[]): void {
    for (const { topic, partition, offset } of known)
      if (partitions.some((at) => isSamePartition(at, { topic, partition })))
        this.beginning.set(topic, partition, offset)
  }

  /** What somebody has set is honoured, or said. */
  private checkResets(given: readonly Position[], foreign: readonly Position[], findings: readonly Finding[]): void {
    for (const { facts, ...own } of given) {
      const set = foreign.find((position) => isSamePartition(position, own))
      if (set === undefined || set.offset === own.offset || facts === undefined || this.options.isInternal) continue
      const isTold = findings.some(
        ({ change, about }) => change.change === 'reset' && about?.partition === own.partition,
      )
      if (!isTold) this.cluster.world.breaks(`it is told that a group was set: ${places([set])} is not`)
    }
  }

  private begin({ positions, seen }: Extract<BeginningCommand, { do: 'begin' }>, given: readonly Position[]): void {
    if (this.isClosed) return
    const { cluster, watch, remembered, options } = this
    const tells = cluster.isChanging && options.namesNone !== true
    if (tells) {
      watch.know(seen)
      for (const [topic, now] of seen) remembered.set(topic, now)
    }
    for (const position of positions.filter(isNotIn(given))) options.began?.(position)
    for (const { topic, partition } of positions) this.beginning.delete(topic, partition)
    this.actor.note(`reads from ${places(positions)}`)
    for (const { topic, partition, offset, facts } of positions) {
      const known = tells ? facts : undefined
      this.parts.set(topic, partition, this.partAt(offset, known))
    }
    this.answered()
    this.fetch()
  }

  /** Where topics stay as they are, nothing is asked but for positions that the group alone has. */
  private carryOut(
    command: Exclude<BeginningCommand, { do: 'begin' | 'refuse' }>,
    fresh: readonly TopicPartition[],
  ): Observable<BeginningEvent> {
    const { cluster, group } = this
    const ask = <T>(what: string, execute: () => T) =>
      cluster.isChanging ? this.ask(what, 'WEIR_SOURCE_UNREACHABLE', execute) : of(null).pipe(map(execute))
    switch (command.do) {
      case 'describe':
        return ask(`description of ${command.topics.join(', ')}`, () => cluster.describe(command.topics)).pipe(
          map((seen) => ({ on: 'described', seen })),
        )
      case 'ask the group': {
        const asked = cluster.isChanging ? command.partitions : fresh
        const found = () => asked.flatMap((at) => group.committed(at) ?? [])
        const known$ =
          asked.length === 0 ? of([]) : this.ask(`positions of ${named(asked)}`, 'WEIR_SOURCE_UNREACHABLE', found)
        return known$.pipe(
          map((positions) => {
            const isForeign = (at: Position) => cluster.isChanging && at.facts === undefined
            return { on: 'committed', positions: positions.map((at) => ({ ...at, isForeign: isForeign(at) })) }
          }),
        )
      }
      case 'bound': {
        const ends = () => {
          const there = command.partitions.filter((at) => cluster.hasPartition(at))
          const [starts, ends] = [cluster.start, cluster.end].map((offsetOf) =>
            there.map((at) => ({ ...at, offset: offsetOf.call(cluster, at) })),
          )
          return { on: 'bounded', starts: starts ?? [], ends: ends ?? [] } as const
        }
        const asked$ = ask(`ends of ${named(command.partitions)}`, ends)
        return command.afterMs === 0 ? asked$ : concat(this.pause(command.afterMs), asked$)
      }
      case 'find':
        throw new RangeError('a simulated source does not begin at a time')
    }
  }

  private release(partitions: readonly TopicPartition[], lost: boolean): Observable<never> {
    return concat(
      this.pause(),
      run(() => {
        if (this.isClosed) return
        this.holdings.released(partitions, lost)
        this.actor.note(`releases ${named(partitions)}`)
        for (const { topic, partition } of partitions) {
          this.parts.delete(topic, partition)
          this.beginning.delete(topic, partition)
        }
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
      if (this.arrived.length === 0 && ![...this.parts.entries()].some(([at, part]) => this.canFetch(at, part)))
        this.reader?.epoch.caughtUp?.()
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
    part.moved = this.readingMs()
    if (part.facts?.id !== undefined && part.facts.id !== this.cluster.idOf(origin.topic)) this.options.strayed(origin)
    this.holdings.emitted(origin)
    const { key = null, value, timestamp = 0, headers = [] } = origin
    out.next(new StreamRecord(key, value, timestamp, headers, origin))
    epoch.take(1, Buffer.isBuffer(value) ? value.length : 0)
  }

  private fetch(): void {
    if (this.isClosed || this.over !== undefined || this.isFetching || this.arrived.length >= ahead) return
    if (!this.cluster.link.reaches(this.actor)) return
    const waiting = [...this.parts.entries()].filter(([at, part]) => this.canFetch(at, part))
    if (waiting.length === 0) return
    this.isFetching = true
    const { round } = this
    const { random } = this.cluster.world
    this.actor.after(this.roundTrip(), () => {
      if (round !== this.round) return
      this.isFetching = false
      const [at, part] = random.pick(waiting)
      if (this.parts.get(at.topic, at.partition) === part && this.canFetch(at, part) && !this.isOut(at, part)) {
        this.skipGone(at, part)
        const records = this.cluster.read({ ...at, offset: part.fetched }, random.between(1, ahead))
        part.fetched += records.length
        this.arrived.push(...records)
        this.deliver()
      }
      this.fetch()
    })
  }

  private canFetch(at: TopicPartition, { fetched, isStray, isHeld }: Part): boolean {
    const { cluster } = this
    if (isStray || isHeld || this.watch.isHeld(at.topic) || !cluster.hasPartition(at)) return false
    return fetched < cluster.end(at) || (cluster.isChanging && fetched > cluster.end(at))
  }

  /** Where there is no such place, the client gives up, and says only that there was one. */
  private isOut(at: TopicPartition, part: Part): boolean {
    const { cluster } = this
    if (!cluster.isChanging || (part.fetched >= cluster.start(at) && part.fetched <= cluster.end(at))) return false
    this.actor.note(`finds no ${partitionName(at)}@${part.fetched}`)
    part.isStray = true
    this.watch.stray()
    return true
  }

  private partAt(offset: number, facts: TopicFacts | undefined): Part {
    return { position: offset, fetched: offset, facts, moved: this.readingMs(), isStray: false, isHeld: false }
  }

  private move(to: Position): void {
    const { topic, partition, offset } = to
    const part = this.parts.get(topic, partition)
    if (this.isClosed || part === undefined) return
    this.actor.note(`goes on at ${partitionName(to)}@${offset}`)
    this.parts.set(topic, partition, this.partAt(offset, part.facts))
    this.arrived = this.arrived.filter((one) => !isSamePartition(one, to))
    this.fetch()
  }

  /** Once what was read is committed, or at once where nothing reads. */
  private end(error: WeirError): void {
    if (this.isClosed || this.over !== undefined) return
    this.over = error
    if (!this.isEmitting) this.reader?.out.complete()
    this.actor.after(endAfterMs, () => {
      if (!this.isClosed) this.out.error(error)
    })
  }

  private readings() {
    const now = this.readingMs()
    return [...this.parts.entries()].map(([at, { position, moved, facts, isHeld }]) => {
      return { ...at, offset: position, silentMs: isHeld ? 0 : now - moved, id: facts?.id }
    })
  }

  /** How long somebody has been reading, ms. */
  private readingMs(): number {
    const { now } = this.cluster.world
    return (this.reader === undefined ? this.unreadSince : now) - this.unreadMs
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

  private pause(ms?: number): Observable<never> {
    return new Observable((subscriber) => {
      subscriber.add(this.actor.after(ms ?? this.cluster.link.latency(), () => subscriber.complete()))
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

const named = (partitions: readonly TopicPartition[]) => partitions.map(partitionName).join(', ')
const places = (positions: readonly Position[]) =>
  positions.map((position) => `${partitionName(position)}@${position.offset}`).join(', ')
