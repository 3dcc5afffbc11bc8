import { concat, defer, EMPTY, ignoreElements, Observable, type Subscriber, tap } from 'rxjs'
import {
  type AssignmentChange,
  asWeirError,
  type ChannelKind,
  type ChannelMessage,
  type ChannelRequest,
  type ChannelWriter,
  type Epoch,
  type PartitionEnd,
  type Position,
  partitionName,
  type SourceTask,
  type StreamRecord,
  storeKeyOf,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import { type Cluster, hash, type Message } from './cluster.js'
import type { SimulatedConnection } from './connection.js'
import { SimulatedReader } from './reader.js'
import type { Actor } from './world.js'

/** What internal topics are made of, and who may judge what becomes of them. */
interface Surroundings {
  readonly cluster: Cluster
  /** How many records an epoch takes at the most. */
  readonly limit: number
  /** Up to where a partition is committed. */
  positionOf(partition: TopicPartition): number
}

/** How likely a commit is followed by a truncation. */
const truncates = 0.3

/** Internal topics in the simulated cluster. */
export function simulatedChannel(around: Surroundings): ChannelKind<SimulatedConnection> {
  return {
    writer: ({ actor }, request) => new SimulatedChannelWriter(around, actor, request),
    source({ actor, readers }, request) {
      const reader = new SimulatedChannelReader(around, actor, request)
      readers.push(reader.reader)
      return reader
    },
  }
}

/** Writes an internal topic. After an error it is of no more use until it is opened again. */
class SimulatedChannelWriter implements ChannelWriter {
  private producer: Producer | undefined
  private partitions = 0

  constructor(
    private readonly around: Surroundings,
    private readonly actor: Actor,
    private readonly request: ChannelRequest,
  ) {}

  open(): Observable<number> {
    return made(this.around.cluster, this.actor, this.request).pipe(
      tap((partitions) => {
        this.partitions = partitions
        this.producer?.close()
        this.producer = new Producer(this.around.cluster, this.actor, this.request.topic)
      }),
    )
  }

  write({ key, value, partition, headers = [] }: ChannelMessage): void {
    const at = partition ?? (key === null ? 0 : hash(String(storeKeyOf(key))) % this.partitions)
    const timestamp = this.actor.clock.now()
    if (this.producer === undefined) throw new Error('a writer was used before it was open')
    this.producer.write(at, { key, value, timestamp, headers })
  }

  flush(): Observable<never> {
    return defer(() => this.producer?.flush() ?? EMPTY)
  }

  ends(): Observable<readonly Position[]> {
    const { cluster } = this.around
    const { topic } = this.request
    return cluster.link.request(this.actor, {
      what: `ends of ${topic}`,
      execute: () => cluster.partitionsOf([topic]).map((at) => ({ ...at, offset: cluster.end(at) })),
      unanswered: (why) => new WeirError('WEIR_SINK_UNREACHABLE', `asking for the ends of '${topic}': ${why}`),
    })
  }

  close(): Observable<never> {
    return defer(() => {
      this.producer?.close()
      return EMPTY
    })
  }
}

interface Lane {
  readonly waiting: Message[]
  isBusy: boolean
}

/**
 * One producer: a request at a time for each partition, in the order of `write`. Where one is not acknowledged nothing more
 * is sent, so that a partition has no gaps; what was sent may still arrive, or twice.
 */
class Producer {
  private failure: WeirError | undefined
  private readonly lanes = new Map<number, Lane>()
  private readonly flushing = new Set<Subscriber<never>>()

  constructor(
    private readonly cluster: Cluster,
    private readonly actor: Actor,
    private readonly topic: string,
  ) {}

  write(partition: number, message: Message): void {
    if (this.failure !== undefined) throw this.failure
    let lane = this.lanes.get(partition)
    if (lane === undefined) this.lanes.set(partition, (lane = { waiting: [], isBusy: false }))
    lane.waiting.push(message)
    if (lane.isBusy) return
    lane.isBusy = true
    this.actor.after(0, () => this.send(partition, lane))
  }

  flush(): Observable<never> {
    return new Observable((subscriber) => {
      this.flushing.add(subscriber)
      this.settle()
      return () => this.flushing.delete(subscriber)
    })
  }

  /** Gives up what was not sent; what was may still be written. */
  close(): void {
    this.failure ??= new WeirError('WEIR_SINK_FAILED', `writing topic '${this.topic}': the producer was closed`)
  }

  private send(partition: number, lane: Lane): void {
    if (lane.waiting.length === 0 || this.failure !== undefined) {
      lane.isBusy = false
      return this.settle()
    }
    const { random } = this.cluster.world
    const messages = lane.waiting.splice(0, random.between(1, lane.waiting.length))
    const what = `write of ${messages.length} to ${partitionName({ topic: this.topic, partition })}`
    this.cluster.link
      .request(this.actor, {
        what,
        execute: () => {
          for (const message of messages) this.cluster.append(this.topic, partition, message)
        },
        unanswered: (why) => new WeirError('WEIR_SINK_FAILED', `${what}: ${why}`),
        repeatable: true,
      })
      .subscribe({
        complete: () => this.send(partition, lane),
        error: (error: unknown) => {
          this.failure ??= asWeirError(error)
          this.settle()
        },
      })
  }

  private settle(): void {
    if (this.failure === undefined && [...this.lanes.values()].some(({ isBusy }) => isBusy)) return
    // Who hears of it may write and ask again at once: that is another question.
    for (const subscriber of [...this.flushing]) {
      if (this.failure === undefined) subscriber.complete()
      else subscriber.error(this.failure)
    }
  }
}

/** Reads an internal topic, and truncates it behind what is committed. */
class SimulatedChannelReader implements SourceTask {
  readonly reader: SimulatedReader
  readonly assignments$: Observable<AssignmentChange>

  constructor(
    private readonly around: Surroundings,
    private readonly actor: Actor,
    private readonly request: ChannelRequest,
  ) {
    const { cluster, limit } = around
    const { topic, group, instance } = request
    const committed = () => undefined
    const stop = { onRecreated: 'fail', onTruncated: 'fail', onGrown: 'fail' } as const
    this.reader = new SimulatedReader(cluster, actor, {
      topics: [topic],
      group,
      from: 'earliest',
      isInternal: true,
      keeps: 'state by key',
      onGap: 'warn',
      ...stop,
      doing: `reading internal topic '${topic}'`,
      place: request.place,
      instance,
      limit,
      committed,
      told: () => undefined,
      strayed: () => undefined,
      answersAfterMs: 0,
    })
    this.assignments$ = concat(made(cluster, actor, request).pipe(ignoreElements()), this.reader.assignments$)
  }

  read(epoch: Epoch): Observable<StreamRecord> {
    return this.reader.read(epoch)
  }

  positions(): readonly Position[] {
    return this.reader.positions()
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return this.reader.rewind(positions)
  }

  commit(positions: readonly Position[]): Observable<never> {
    return concat(
      this.reader.commit(positions),
      defer(() => {
        if (this.around.cluster.world.random.chance(truncates)) this.truncate(positions)
        return EMPTY
      }),
    )
  }

  hold(at: Position): void {
    this.reader.hold(at)
  }

  goOn(partition: TopicPartition): void {
    this.reader.goOn(partition)
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return this.reader.ends()
  }

  failed(): void {
    this.reader.failed()
  }

  /** Nobody waits for it. */
  private truncate(positions: readonly Position[]): void {
    const { cluster, positionOf } = this.around
    const what = `truncation of ${positions.map((at) => `${partitionName(at)}@${at.offset}`).join(', ')}`
    const execute = () => {
      for (const position of positions) {
        if (position.topic !== this.request.topic)
          cluster.world.breaks(`only internal topics are truncated: ${partitionName(position)}`)
        if (position.offset > positionOf(position))
          cluster.world.breaks(`nothing is truncated that is not committed: ${partitionName(position)}`)
        cluster.truncate(position)
      }
    }
    const unanswered = (why: string) => new WeirError('WEIR_SOURCE_UNREACHABLE', `${what}: ${why}`)
    cluster.link.request(this.actor, { what, execute, unanswered }).subscribe({ error: () => undefined })
  }
}

/** How many partitions the topic has; it is made where it is missing. */
function made(cluster: Cluster, actor: Actor, { topic, like }: ChannelRequest): Observable<number> {
  const counts = () => (like === 'single' ? [1] : like.flatMap(({ topics }) => topics).map(countOf))
  const countOf = (one: string) => {
    if (!cluster.has(one))
      throw new WeirError('WEIR_SINK_UNREACHABLE', `making topic '${topic}': '${one}' is not there`)
    return cluster.partitionsOf([one]).length
  }
  return cluster.link.request(actor, {
    what: `making topic ${topic}`,
    execute: () => cluster.topic(topic, Math.max(...counts())),
    unanswered: (why) => new WeirError('WEIR_SINK_UNREACHABLE', `making topic '${topic}': ${why}`),
  })
}
