import { concat, defer, EMPTY, from, ignoreElements, Observable, type Subscriber } from 'rxjs'
import {
  type AssignmentChange,
  type Epoch,
  type PartitionEnd,
  PartitionMap,
  type Position,
  partitionName,
  type SourceTask,
  type StreamRecord,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { endAfterMs, type SeenTopic } from '../state/topic-protocol/index.js'
import type { Chunk } from './chunk.js'
import { type ClientError, type ClientSettings, codes } from './client.js'
import { ClientLane } from './client-lane.js'
import type { KafkaConnection } from './connection.js'
import { GroupConsumer } from './consumer.js'
import { isHopeless, isStray, kafkaError } from './errors.js'
import { Brokers, Fetcher, laneSettings } from './fetch/index.js'
import { FetchLane } from './fetch-lane.js'
import { Groups } from './groups.js'
import type { KafkaValue } from './kafka-value.js'
import type { Lane } from './lane.js'
import { Membership } from './membership.js'
import { Outage } from './outage.js'
import type { ReaderOptions } from './reader-options.js'
import { ShareWatch } from './share-watch.js'
import { Reading, SilenceWatch } from './silence.js'
import { startingPoints } from './starting-points.js'
import { TopicArrival } from './topic-arrival.js'
import { TopicWatch } from './topic-watch.js'
import { wayOf } from './way.js'

const nothingKnown = { partitions: 0 }
/**
 * After this long of emitting others have their turn, ms: timers, requests, and the sinks, which take several turns for each
 * write. A database that waits for the records of the next batch is not written to meanwhile.
 */
const turnMs = 2
/** How many records are emitted between two looks at the clock. */
const atOnce = 100

/** A consumer group's member at work. Everything between two subscriptions of `assignments$` is forgotten. */
export class KafkaReader implements SourceTask<KafkaValue> {
  private session: Session | undefined
  /** What the topics were when they were last read. */
  readonly remembered = new Map<string, SeenTopic>()
  /** Whether there was something to read that only the client can: of brokers before 0.11, say. */
  needsClient = false
  /** How often it has joined its group anew because that went by what the topics were. */
  joinedAnew = 0
  /** Resolves when the group has forgotten it, where that is to be. */
  left: Promise<void> = Promise.resolve()

  constructor(
    private readonly connection: KafkaConnection,
    private readonly options: ReaderOptions,
  ) {}

  readonly assignments$ = new Observable<AssignmentChange>((subscriber) => {
    const session = new Session(this.connection, this.options, this, subscriber)
    this.session = session
    void session.open()
    return () => {
      const closed = session.close()
      if (session.leaves) this.left = closed.catch(() => undefined)
      this.connection.closes(closed)
    }
  })

  read(epoch: Epoch): Observable<StreamRecord<KafkaValue>> {
    // Beside other inputs an epoch may begin before this one has anything to read.
    return new Observable((subscriber) => {
      if (this.session !== undefined) return this.session.read(epoch, subscriber)
      return epoch.cut$.subscribe(() => subscriber.complete())
    })
  }

  positions(): readonly Position[] {
    return this.session?.positions() ?? []
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return settling(() => this.session?.rewind(positions))
  }

  commit(positions: readonly Position[]): Observable<never> {
    return settling(() => this.session?.commit(positions))
  }

  hold(at: Position): void {
    this.session?.hold(at)
  }

  goOn(partition: TopicPartition): void {
    this.session?.goOn(partition)
  }

  trouble(): WeirError | undefined {
    return this.session?.trouble
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return defer(() => (this.session === undefined ? EMPTY : from(this.session.ends())))
  }
}

/** Who reads one epoch. */
interface Reader {
  readonly epoch: Epoch
  readonly out: Subscriber<StreamRecord<KafkaValue>>
}

class Session {
  private readonly parts = new PartitionMap<Reading>()
  private readonly silence: SilenceWatch
  private readonly watch: TopicWatch
  private readonly arrival: TopicArrival
  private readonly membership: Membership
  private readonly groups: Groups
  private readonly share: ShareWatch | undefined
  /** Whether the group shall forget this member, so that it is given partitions anew. */
  leaves = false
  /** What comes, and can't be read. */
  private readonly damage: Outage
  private consumer: GroupConsumer | undefined
  private lane: Lane | undefined
  private reader: Reader | undefined
  private emitting = false
  private isToDeliver = false
  private closing = false
  /** Partitions that are held since what is emitted at the moment. */
  private readonly held: Reading[] = []
  /** What ends the session after the running epoch. */
  private over: WeirError | undefined
  private opened: Promise<void> = Promise.resolve()
  /** What the group waits for, in order, should the session end before it was done. */
  private owed: (() => void)[] = []
  /** Resolves when the engine has been told of all that the group has said. */
  private telling: Promise<void> | undefined
  private readonly totals = new Map<string, number>()
  private unreadSince = performance.now()
  private unreadMs = 0

  private readonly part = (topic: string, partition: number) => this.parts.get(topic, partition)

  constructor(
    private readonly connection: KafkaConnection,
    private readonly options: ReaderOptions,
    private readonly lasting: Pick<KafkaReader, 'remembered' | 'needsClient' | 'joinedAnew' | 'left'>,
    private readonly changes: Subscriber<AssignmentChange>,
  ) {
    this.silence = new SilenceWatch(options.stallAfterMs, {
      part: this.part,
      readingMs: () => this.readingMs(),
      settings: async () => ({ ...(await connection.memberSettings()), 'group.id': options.group }),
      stalled: (part) => this.stalled(part),
    })
    this.arrival = new TopicArrival(connection.topics, options)
    this.membership = new Membership(connection.topics, options)
    this.groups = new Groups(connection)
    this.share = this.shareWatch()
    this.damage = new Outage(options)
    this.watch = new TopicWatch(connection.topics, options, {
      parts: this.parts,
      readingMs: () => this.readingMs(),
      hold: (topic, isHeld) => this.lane?.hold(topic, isHeld),
      move: (part, to) => this.move(part, to),
      end: (error) => this.end(error),
    })
  }

  open(): Promise<void> {
    this.opened = this.connect().catch((error) => this.changes.error(this.asError(error)))
    return this.opened
  }

  /** Completes `out` when the epoch is full or cut. */
  read(epoch: Epoch, out: Subscriber<StreamRecord<KafkaValue>>): () => void {
    this.unreadMs += performance.now() - this.unreadSince
    this.reader = { epoch, out }
    if (this.over !== undefined) this.changes.error(this.over)
    this.lane?.pump.startReading()
    const cut = epoch.cut$.subscribe(() => {
      if (!this.emitting) out.complete()
    })
    this.deliver()
    return () => {
      cut.unsubscribe()
      this.reader = undefined
      this.unreadSince = performance.now()
      this.lane?.pump.stopReading()
    }
  }

  positions(): Position[] {
    return [...this.parts.values()].map(({ topic, partition, position, facts }) => ({
      topic,
      partition,
      offset: position,
      facts,
    }))
  }

  async rewind(positions: readonly Position[]): Promise<void> {
    const { lane } = this
    await lane?.pump
      .quietly(async () => {
        for (const { topic, partition, offset } of positions) {
          const part = this.parts.get(topic, partition)
          if (part !== undefined) part.position = offset
        }
        for (const part of this.parts.values()) part.isHeld = false
        this.touchAll()
        await lane.seek(this.positions())
      })
      .catch((error) => {
        throw this.asError(error)
      })
  }

  async commit(positions: readonly Position[]): Promise<void> {
    const { consumer, lane } = this
    if (consumer === undefined || lane === undefined) return
    // A group keeps positions of any topic that it is told of, whoever reads it.
    const own = positions.filter(({ topic, partition }) => this.parts.get(topic, partition) !== undefined)
    try {
      await lane.pump.hearing(consumer.commit(own))
    } catch (error) {
      const { doing, place } = this.options
      if ((error as ClientError).code === codes.fencedInstance) throw this.asError(error)
      const gone: readonly number[] = [codes.illegalGeneration, codes.unknownMember]
      const code = gone.includes((error as ClientError).code) ? 'WEIR_CHECKPOINT_FENCED' : 'WEIR_CHECKPOINT_UNREACHABLE'
      throw kafkaError(code, `${doing}: committing to group '${this.options.group}'`, error as ClientError, {
        ...place,
        address: this.connection.address,
      })
    }
  }

  async ends(): Promise<readonly PartitionEnd[]> {
    if (this.parts.size === 0) return []
    try {
      const ends = await this.connection.topics.offsets(this.assigned(), 'latest')
      if (this.reader !== undefined) this.connection.closes(this.silence.look(ends))
      return ends.flatMap(({ topic, partition, offset }) => {
        const part = this.parts.get(topic, partition)
        if (part === undefined) return []
        part.end = offset
        return [{ topic, partition, offset: part.position, end: offset }]
      })
    } catch (error) {
      this.options.log.debug({ err: error }, 'Kafka: asking for the ends of partitions failed')
      return []
    }
  }

  async close(): Promise<void> {
    this.closing = true
    this.arrival.giveUp()
    await this.opened
    await Promise.all([this.watch.stop(), this.membership.stop(), this.share?.stop()])
    await this.lane?.stop()
    this.settle()
    if (this.leaves) await this.consumer?.leave(() => this.isMember())
    await this.consumer?.close()
  }

  /** Who has no lasting name is new whenever it joins. */
  private shareWatch(): ShareWatch | undefined {
    const { connection, options, lasting } = this
    if (options.instance === undefined || connection.isEmbedded) return undefined
    return new ShareWatch(connection.topics, this.groups, options, lasting.joinedAnew, (error) => {
      if (error === undefined) lasting.joinedAnew = 0
      else this.changes.error(this.joinsAnew(error))
    })
  }

  private joinsAnew(error: WeirError): WeirError {
    this.leaves = this.options.instance !== undefined && !this.connection.isEmbedded
    this.lasting.joinedAnew++
    return error
  }

  private async isMember(): Promise<boolean> {
    const { group, instance } = this.options
    const [described] = await this.groups.describe([group]).catch(() => [])
    return described?.members.some((member) => member.instance === instance) !== false
  }

  private async connect(): Promise<void> {
    const { topics, group, instance, client } = this.options
    await this.lasting.left
    for (const [topic, count] of await this.arrival.count()) this.totals.set(topic, count)
    if (this.closing) return
    const settings: ClientSettings = { ...(await this.connection.memberSettings()), 'group.id': group, ...client }
    const member = instance === undefined ? {} : { 'group.instance.id': instance }
    this.consumer = new GroupConsumer(
      { ...settings, ...member },
      {
        assigned: (given) => this.onAssigned(given),
        revoked: (taken, lost) => this.onRevoked(taken, lost),
        wake: () => this.lane?.pump.wake(),
        throttled: (ms) => this.touchAll(ms),
        error: (error) => this.failed(error),
      },
    )
    this.lane = this.laneOf(this.consumer, settings)
    if (this.reader !== undefined) this.lane.pump.startReading()
    await this.consumer.connect(topics)
    this.membership.start()
    this.lane.pump.start()
    this.watch.start()
    this.share?.start()
  }

  /** Records come past the client wherever that can be. */
  private laneOf(consumer: GroupConsumer, settings: ClientSettings): Lane {
    const { options, connection, parts } = this
    const [arrived, failed] = [() => this.deliver(), (error: ClientError) => this.failed(error)]
    const { name, because, fault } = wayOf(options.reader, settings)
    if (fault !== undefined)
      throw new WeirError('WEIR_CONFIG_INVALID', `${options.doing}: it ${fault.message}`, {
        ...options.place,
        hint: fault.hint,
      })
    const isClient = name === 'client' || this.lasting.needsClient
    const why = name === 'fetch' && isClient ? 'there is what only the client can read' : because
    options.log[isClient ? 'info' : 'debug'](
      `Kafka: ${options.doing}: by the ${isClient ? 'client' : 'fetch lane'}, because ${why}`,
    )
    if (isClient) return new ClientLane(consumer, parts, { arrived, failed })
    const current = async () => ({ ...(await connection.settings()), ...options.client })
    const { rack, fetch } = laneSettings(settings)
    const events = { arrived, failed, throttled: (ms: number) => this.touchAll(ms) }
    return new FetchLane(consumer, new Fetcher(new Brokers(current), { rack, ...fetch }, events), failed)
  }

  get trouble(): WeirError | undefined {
    return this.arrival.missing ?? this.watch.trouble ?? this.membership.trouble ?? this.damage.error
  }

  private onAssigned(partitions: readonly TopicPartition[]): void {
    const consumer = this.consumer as GroupConsumer
    // A client that is closing takes any answer as "none of them".
    this.owed.push(() => consumer.assign([]))
    this.membership.joined()
    if (this.closing) return this.settle()
    this.tell(async () => {
      const total = await this.countPartitions(consumer)
      const start = (positions: readonly Position[]) => settling(() => this.start(consumer, partitions, positions))
      this.changes.next({ kind: 'assigned', partitions, total, start })
    })
  }

  private onRevoked(partitions: readonly TopicPartition[], lost: boolean): void {
    const consumer = this.consumer as GroupConsumer
    this.owed.push(() => consumer.unassign(partitions))
    if (lost) this.membership.joins()
    if (this.closing) return this.settle()
    const release = () => settling(() => this.release(partitions))
    const tell = () => this.changes.next({ kind: 'revoked', partitions, lost, release })
    if (this.telling === undefined) tell()
    else this.tell(tell)
  }

  /** A group may take back what it has just given, and has to be heard in that order. */
  private tell(tell: () => void | Promise<void>): void {
    const told = (this.telling ?? Promise.resolve()).then(tell).finally(() => {
      if (this.telling === told) this.telling = undefined
    })
    this.telling = told
  }

  private async start(
    consumer: GroupConsumer,
    partitions: readonly TopicPartition[],
    given: readonly Position[],
  ): Promise<void> {
    try {
      const { connection, options, lasting } = this
      const { remembered } = lasting
      const { positions, seen } = await startingPoints(
        { consumer, topics: connection.topics, options, remembered, noticed: this.watch.seen },
        partitions,
        given,
      )
      this.watch.know(seen)
      for (const [topic, now] of seen) remembered.set(topic, now)
      const lane = this.lane as Lane
      await lane.pump.quietly(() => {
        const moved = this.readingMs()
        for (const { topic, partition, offset, facts } of positions) {
          this.parts.set(topic, partition, new Reading(topic, partition, offset, moved, facts ?? nothingKnown))
        }
        this.owed.shift()
        lane.assign(positions)
      })
    } catch (error) {
      const { code } = error as WeirError
      throw code === 'WEIR_SOURCE_MISASSIGNED' ? this.joinsAnew(error as WeirError) : this.asError(error)
    }
  }

  /** What was fetched of it goes once the chunk is emitted that the record is in. */
  hold({ topic, partition, offset }: Position): void {
    const part = this.parts.get(topic, partition)
    if (part === undefined) return
    Object.assign(part, { position: offset, isHeld: true })
    this.held.push(part)
  }

  goOn({ topic, partition }: TopicPartition): void {
    const part = this.parts.get(topic, partition)
    if (part?.isHeld !== true) return
    this.connection.closes(this.move(part, part.position))
  }

  private async move(part: Reading, to: number): Promise<void> {
    const { lane } = this
    await lane?.pump.quietly(() => {
      if (this.closing || this.parts.get(part.topic, part.partition) !== part) return
      Object.assign(part, { position: to, moved: this.readingMs(), isHeld: false })
      lane.move(part)
    })
  }

  /** Once what was read is committed, or at once where nothing reads. */
  private end(error: WeirError): void {
    if (this.closing || this.over !== undefined) return
    this.over = error
    if (!this.emitting) this.reader?.out.complete()
    setTimeout(() => {
      if (!this.closing) this.changes.error(error)
    }, endAfterMs).unref()
  }

  private async release(partitions: readonly TopicPartition[]): Promise<void> {
    const lane = this.lane as Lane
    await lane.pump.quietly(() => {
      for (const { topic, partition } of partitions) this.parts.delete(topic, partition)
      lane.release(partitions)
      this.settle(1)
    })
  }

  /** Emits what has arrived, as far as the epoch has room, and has the client fetch the next chunk meanwhile. */
  private deliver(): void {
    if (this.emitting || this.isToDeliver) return
    this.emitting = true
    try {
      const until = performance.now() + turnMs
      while (this.reader !== undefined && this.reader.epoch.room() > 0) {
        const chunk = this.lane?.oldest()
        if (chunk === undefined) {
          if (this.lane?.hasAll === true) this.reader.epoch.caughtUp?.()
          break
        }
        this.emit(chunk, Math.min(atOnce, this.reader.epoch.room()), this.reader)
        if (performance.now() > until) {
          this.deliverLater()
          break
        }
      }
    } finally {
      this.emitting = false
    }
    if (this.reader !== undefined && this.reader.epoch.room() <= 0) this.reader.out.complete()
  }

  private deliverLater(): void {
    this.isToDeliver = true
    setImmediate(() => {
      this.isToDeliver = false
      this.deliver()
    })
  }

  private emit(chunk: Chunk, most: number, { epoch, out }: Reader): void {
    const { left } = chunk
    const bytes = chunk.emit(most, { out, moved: this.readingMs(), part: this.part })
    const taken = left - chunk.left
    if (taken > 0) this.damage.answered()
    if (chunk.left === 0) this.lane?.shift()
    const held = this.held.splice(0)
    if (held.length > 0) this.lane?.release(held)
    epoch.take(taken, bytes)
  }

  private stalled({ topic, partition, position }: Reading): void {
    const { doing, place, stallAfterMs } = this.options
    const where = { topic, partition }
    const text = `${doing}: ${partitionName(where)} has records from ${position} on, but none came for ${stallAfterMs / 1_000} s`
    this.changes.error(
      new WeirError('WEIR_SOURCE_STALLED', text, { ...place, partition: where, hint: 'The consumer is built anew.' }),
    )
  }

  private failed(error: ClientError): void {
    if (this.closing) return
    if (isHopeless(error)) this.changes.error(this.asError(error))
    else if (isStray(error)) void this.watch.stray()
    else if (error.code === codes.unknownTopic) void this.watch.look()
    else if (error.code === codes.badMessage) this.damage.failed(error)
    else if (error.code === codes.unreadable) this.goByClient(error)
    else this.options.log.debug({ code: error.code }, `Kafka: ${this.options.doing}: ${error.message}`)
  }

  private goByClient(error: ClientError): void {
    this.options.log.info(`Kafka: ${this.options.doing}: only the client can read this: ${error.message}`)
    this.lasting.needsClient = true
    this.changes.error(this.asError(error))
  }

  private async countPartitions(consumer: GroupConsumer): Promise<number> {
    for (const topic of this.totals.keys()) {
      const count = await consumer.partitionsOf(topic)
      if (count !== undefined && count > 0) this.totals.set(topic, count)
    }
    return [...this.totals.values()].reduce((sum, count) => sum + count, 0)
  }

  private assigned(): TopicPartition[] {
    return this.positions().map(({ topic, partition }) => ({ topic, partition }))
  }

  private settle(most = this.owed.length): void {
    for (const answer of this.owed.splice(0, most)) {
      try {
        answer()
      } catch (error) {
        // A rebalance that comes to light after the client has closed needs no answer any more.
        if (!this.closing) throw error
      }
    }
  }

  /** How long somebody has been reading, ms: the time of a slow sink is no stall. */
  private readingMs(): number {
    return (this.reader === undefined ? this.unreadSince : performance.now()) - this.unreadMs
  }

  /** Nothing is silent that has not been given the time, which begins so many ms from now. */
  private touchAll(inMs = 0): void {
    const moved = this.readingMs() + inMs
    for (const part of this.parts.values()) part.moved = Math.max(part.moved, moved)
  }

  private asError(error: unknown): WeirError {
    if (error instanceof WeirError) return error
    const { doing, place } = this.options
    // The other process would be thrown out in its turn, and so on for ever.
    const isTwin = (error as ClientError).code === codes.fencedInstance
    return kafkaError(isTwin ? 'WEIR_SOURCE_REFUSED' : 'WEIR_SOURCE_UNREACHABLE', doing, error as ClientError, {
      ...place,
      address: this.connection.address,
    })
  }
}

/** What a promise does, as an observable that only completes or fails. */
function settling(action: () => Promise<unknown> | undefined): Observable<never> {
  return concat(defer(() => action() ?? EMPTY)).pipe(ignoreElements())
}
