import { defer, first, type Observable, repeat, tap, timer } from 'rxjs'
import {
  type ErrorCode,
  type ErrorPlace,
  type LogEnds,
  type Position,
  partitionName,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { offsetIn, type SeenTopic, type Spot } from '../state/topic-protocol/index.js'
import {
  type ClientError,
  type ClientSettings,
  call,
  codes,
  disconnect,
  nativeClient,
  type Producer,
} from './client.js'
import { connectClient, onForeignCluster, onRefusal } from './connecting.js'
import { kafkaError } from './errors.js'

/** How long brokers may take to answer, ms. */
const answerMs = 5_000

/** How often a missing topic is looked for, ms. */
const missingEveryMs = 1_000
/** How long brokers are not asked again for what they did not answer, ms. */
const idsAgainMs = 60_000
/** An operation, as Kafka numbers them. */
const toWrite = 4
/** The id where there is none. */
const noId = 'AAAAAAAAAAAAAAAAAAAAAA'

export interface TopicRequest {
  readonly topic: string
  /** How many partitions it gets when it has to be made. */
  readonly partitions: number
  /** Whether it may be made. */
  readonly create: boolean
  /** What it is wanted for, for error texts: `reading topic 'orders' of flow 'billing'`. */
  readonly doing: string
  /** The code when no broker answers. */
  readonly unreachable: ErrorCode
  readonly place: ErrorPlace
  /** Whether it is written to, so that the right to do that is asked for as well. */
  readonly writes?: boolean
  /** Whether it is Weir's own: only of such a topic records are ever deleted. */
  readonly internal?: boolean
  /** Settings of the topic when it has to be made, as Kafka names them. */
  readonly config?: Readonly<Record<string, string>>
}

/** A connected client, and its other face that takes admin requests. */
interface Clients {
  readonly client: Producer
  readonly admin: Admin
}

interface Metadata {
  readonly brokers: readonly unknown[]
  readonly topics: readonly { name: string; partitions: readonly PartitionMetadata[] }[]
}

interface PartitionMetadata {
  readonly id: number
  readonly leader: number
  readonly replicas: readonly number[]
  readonly isrs: readonly number[]
}

/** A topic as the brokers list it. */
export interface ListedTopic {
  readonly topic: string
  readonly partitions: number
  /** How many copies each partition should have. */
  readonly replicas: number
  /** Of how many partitions a copy is behind. */
  readonly lagging: number
}

/** How many brokers have all that is in a partition, and how many should. */
export interface Replicas extends TopicPartition {
  /** The id of the broker that is asked for it; -1 where there is none. */
  readonly leader: number
  readonly inSync: number
  readonly all: number
}

/** Looks topics up and makes them. It connects when first asked, and keeps the connection. */
export class TopicAdmin {
  private clients: Promise<Clients> | undefined
  private idsAgainAt = Number.NEGATIVE_INFINITY
  /** The topics that are Weir's own. */
  private readonly internal = new Set<string>()
  /** Set for good when another cluster has answered than the first one that did. */
  private foreign: Error | undefined
  /** Admin requests to which no answer has come yet. */
  private readonly underWay = new Set<Promise<unknown>>()
  private discarded: Promise<unknown> = Promise.resolve()
  private isClosed = false

  constructor(
    private readonly settings: () => Promise<ClientSettings>,
    private readonly address: string,
    /** Whether brokers tell topics of one name apart; the embedded one does not. */
    private readonly tellsIds = true,
  ) {}

  /** Emits how many partitions the topic has, and makes it first where it is missing and may be made. */
  ensure$(request: TopicRequest): Observable<number> {
    return defer(() => this.ensure(request))
  }

  /** As `ensure$`; a topic that is missing and may not be made is waited for, and `missing` told of that, once. */
  await$(request: TopicRequest, missing: (error: WeirError) => void): Observable<number> {
    const looks$ = defer(() => this.find(request)).pipe(repeat({ delay: () => timer(missingEveryMs) }))
    let isTold = false
    return looks$.pipe(
      tap((count) => {
        if (count === 0 && !isTold) missing(missingError(request, 'WEIR_SOURCE_MISSING', 'it is waited for'))
        isTold = true
      }),
      first((count) => count > 0),
    )
  }

  async ensure(request: TopicRequest): Promise<number> {
    const count = await this.find(request)
    if (count > 0) return count
    throw missingError(request, 'WEIR_CONFIG_INVALID', 'it may not be created')
  }

  /** 0 where the topic is missing and may not be made. */
  private async find(request: TopicRequest): Promise<number> {
    if (request.internal === true) this.internal.add(request.topic)
    try {
      const clients = await this.connected()
      const count = await this.count(clients, request.topic)
      if (count === 0 || request.writes === true) await this.checkRights(clients, request)
      return count > 0 || !request.create ? count : await this.make(clients, request)
    } catch (error) {
      if (error instanceof WeirError) throw error
      throw kafkaError(request.unreachable, request.doing, error as ClientError, {
        ...request.place,
        address: this.address,
      })
    }
  }

  /** As `ensure`; a topic that has fewer partitions gets more. */
  async ensureAtLeast(request: TopicRequest): Promise<void> {
    const count = await this.ensure(request)
    if (count >= request.partitions) return
    const clients = await this.connected()
    try {
      await this.ask((done) =>
        clients.admin.createPartitions(request.topic, request.partitions, answerMs, (error) => done(error, undefined)),
      )
    } catch (error) {
      // Another member was faster.
      if ((await this.count(clients, request.topic)) < request.partitions)
        throw kafkaError(request.unreachable, request.doing, error as ClientError, request.place)
    }
  }

  /** How many partitions the topic has; 0 when there is none of that name. */
  async partitionsOf(topic: string): Promise<number> {
    return this.count(await this.connected(), topic)
  }

  /** Errors when the cluster is another than it was, or when no broker answers. */
  async isSame(): Promise<void> {
    const { client } = await this.connected()
    await this.answered((done) => client.getMetadata({ allTopics: false, timeout: answerMs }, done as never) as unknown)
  }

  /** What each of these topics is; undefined where there is none of that name. */
  async describe(topics: readonly string[]): Promise<ReadonlyMap<string, SeenTopic | undefined>> {
    const clients = await this.connected()
    const ids = await this.idsOf(clients, topics)
    const seen = new Map<string, SeenTopic | undefined>()
    for (const topic of topics) {
      const known = ids.get(topic)
      const partitions = known?.partitions ?? (await this.count(clients, topic))
      seen.set(topic, partitions === 0 ? undefined : { id: known?.id, partitions })
    }
    return seen
  }

  /** Of each partition of a topic. Errors with what the client says when no broker tells. */
  async replicas(topic: string): Promise<readonly Replicas[]> {
    const { topics } = await this.metadata(await this.connected(), topic)
    return topics.flatMap(({ name, partitions }) =>
      partitions.map(({ id, leader, replicas, isrs }) => {
        return { topic: name, partition: id, leader, inSync: isrs.length, all: replicas.length }
      }),
    )
  }

  /** Every topic that there is. */
  async all(): Promise<readonly ListedTopic[]> {
    const { client } = await this.connected()
    const { topics } = await this.answered<Metadata>(
      (done) => client.getMetadata({ allTopics: true, timeout: answerMs }, done as never) as unknown,
    )
    return topics.map(({ name, partitions }) => ({
      topic: name,
      partitions: partitions.length,
      replicas: Math.max(0, ...partitions.map(({ replicas }) => replicas.length)),
      lagging: partitions.filter(({ replicas, isrs }) => isrs.length < replicas.length).length,
    }))
  }

  /** What an admin client of these settings answers. Errors with what the client says. */
  async request<A, T>(start: (admin: A, done: (error: ClientError | null, answer: T) => void) => void): Promise<T> {
    const { admin } = await this.connected()
    return this.ask((done) => start(admin as unknown as A, done))
  }

  /**
   * Deletes the records before each position.
   * Errors: WEIR_TASK_UNEXPECTED when one is of a topic that is not Weir's own; nothing is deleted then.
   */
  async deleteBefore(positions: readonly Position[]): Promise<void> {
    const foreign = positions.find(({ topic }) => !this.internal.has(topic))
    if (foreign !== undefined) throw foreignError(foreign)
    const { admin } = await this.connected()
    await this.ask((done) => admin.deleteRecords([...positions], { timeout: answerMs }, done))
  }

  /**
   * The offsets at the spot, as of now, of those partitions that could be asked. (A consumer asks here because its own
   * connections answer nothing while a fetch waits for records, half a second at a time.)
   */
  async offsets(
    partitions: readonly TopicPartition[],
    at: Spot,
    /** Whether the latest is where an open transaction begins, where there is one. */
    { isCommitted = false } = {},
  ): Promise<readonly Position[]> {
    const { OffsetSpec } = native()
    const spec = at === 'earliest' ? OffsetSpec.EARLIEST : at === 'latest' ? OffsetSpec.LATEST : new OffsetSpec(at)
    return (await this.listed(partitions, spec, isCommitted)).filter(({ offset }) => offset >= 0)
  }

  /** The time of the newest record of each partition, ms, of those that have one and could be asked. */
  async newest(partitions: readonly TopicPartition[]): Promise<readonly (TopicPartition & { timestamp: number })[]> {
    const listed = await this.listed(partitions, native().OffsetSpec.MAX_TIMESTAMP)
    return listed.filter(({ timestamp }) => timestamp >= 0)
  }

  private async listed(
    partitions: readonly TopicPartition[],
    offset: object,
    isCommitted = false,
  ): Promise<readonly ListedOffset[]> {
    if (partitions.length === 0) return []
    const asked = partitions.map(({ topic, partition }) => ({ topic, partition, offset }))
    const clients = await this.connected()
    const options = { timeout: answerMs, isolationLevel: isCommitted ? 1 : 0 }
    const list = () => this.ask<ListedOffset[]>((done) => clients.admin.listOffsets(asked, options, done))
    let listed = await list()
    const moved = listed.filter(({ error }) => error)
    // The client asks by the leaders that it knew when it last looked, and a restarted broker refuses that for ever.
    for (const topic of new Set(moved.map(({ topic }) => topic))) await this.metadata(clients, topic)
    if (moved.length > 0) listed = await list()
    return listed.filter(({ error }) => !error)
  }

  /** Where these partitions begin and end, of those that there are. Errors: WEIR_SOURCE_UNREACHABLE. */
  async logEnds(partitions: readonly TopicPartition[]): Promise<readonly LogEnds[]> {
    const doing = `asking where ${partitions.map(partitionName).join(', ')} begin and end`
    try {
      const seen = await this.describe([...new Set(partitions.map(({ topic }) => topic))])
      const there = partitions.filter(({ topic, partition }) => partition < (seen.get(topic)?.partitions ?? 0))
      const [starts, ends] = await Promise.all([this.offsets(there, 'earliest'), this.offsets(there, 'latest')])
      return there.map((one) => {
        const [start, end] = [offsetIn(starts, one), offsetIn(ends, one)]
        if (start !== undefined && end !== undefined) return { ...one, start, end }
        throw new WeirError('WEIR_SOURCE_UNREACHABLE', `${doing}: no broker told that of ${partitionName(one)}`)
      })
    } catch (error) {
      if (error instanceof WeirError) throw error
      throw kafkaError('WEIR_SOURCE_UNREACHABLE', doing, error as ClientError, { address: this.address })
    }
  }

  async close(): Promise<void> {
    this.isClosed = true
    const clients = await this.clients?.catch(() => undefined)
    await Promise.all([clients && this.disconnected(clients), this.discarded])
  }

  /** What the broker says of them beyond their metadata; nothing where it can't be asked. */
  private async idsOf(clients: Clients, topics: readonly string[]): Promise<ReadonlyMap<string, SeenTopic>> {
    const described = await this.described(clients, topics)
    return new Map(
      described
        .filter(({ error }) => error === undefined || error === null || error.code === codes.unknownTopic)
        .map(({ name, topicId, partitions }) => [
          name,
          { id: topicId?.base64 === noId ? undefined : topicId?.base64, partitions: partitions.length },
        ]),
    )
  }

  /**
   * A topic that this user may not know of looks like one that is missing, and what can't be written to like any other.
   * Errors with the refusal of the brokers.
   */
  private async checkRights(clients: Clients, { topic, writes = false }: TopicRequest): Promise<void> {
    const [described] = await this.described(clients, [topic], writes)
    const { error, authorizedOperations } = described ?? {}
    if (error?.code === codes.topicRefused) throw error as unknown as Error
    if (authorizedOperations?.includes(toWrite) === false)
      throw Object.assign(new Error('Broker: Topic authorization failed'), { code: codes.topicRefused })
  }

  private async described({ admin }: Clients, topics: readonly string[], rights = false): Promise<DescribedTopic[]> {
    if (!this.tellsIds || performance.now() < this.idsAgainAt) return []
    const options = { timeout: answerMs, includeAuthorizedOperations: rights }
    try {
      return await this.ask<DescribedTopic[]>((done) => admin.describeTopics([...topics], options, done))
    } catch {
      // A broker that does not know the question lets it time out. Without ids a topic made anew shows by its ends only.
      this.idsAgainAt = performance.now() + idsAgainMs
      return []
    }
  }

  private async make(clients: Clients, request: TopicRequest): Promise<number> {
    const { topic, doing, place } = request
    const { brokers } = await this.metadata(clients, topic)
    await this.create(clients, request, Math.min(3, brokers.length))
    for (let tries = 0; tries < 50; tries++) {
      const count = await this.count(clients, topic)
      if (count > 0) return count
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new WeirError(request.unreachable, `${doing}: the topic was created, but no broker shows it`, place)
  }

  private async create({ admin }: Clients, request: TopicRequest, replicas: number): Promise<void> {
    const { topic, partitions } = request
    // With three copies a write counts when two have it, so that one broker may go away and nothing is lost.
    const config = { ...(replicas === 3 ? { 'min.insync.replicas': '2' } : {}), ...request.config }
    const asked = { topic, num_partitions: partitions, replication_factor: replicas, config }
    try {
      await this.ask((done) => admin.createTopic(asked, answerMs, (error) => done(error, undefined)))
    } catch (error) {
      if ((error as ClientError).code !== codes.topicExists) throw error
    }
  }

  private async count(clients: Clients, topic: string): Promise<number> {
    const { topics } = await this.metadata(clients, topic)
    return topics.find(({ name }) => name === topic)?.partitions.length ?? 0
  }

  private metadata({ client }: Clients, topic: string): Promise<Metadata> {
    return this.answered(
      (done) => client.getMetadata({ topic, allTopics: false, timeout: answerMs }, done as never) as unknown,
    )
  }

  private ask<T>(start: Parameters<typeof call<T>>[0]): Promise<T> {
    const answer = this.answered(start)
    this.underWay.add(answer)
    void answer.catch(() => undefined).finally(() => this.underWay.delete(answer))
    return answer
  }

  /** What brokers answer, unless they are of another cluster than before: the client tells that before their first answer. */
  private async answered<T>(start: Parameters<typeof call<T>>[0]): Promise<T> {
    const answer = await call(start)
    // By another handle of the event loop, which may come a turn later.
    await new Promise((resolve) => setImmediate(resolve))
    if (this.foreign !== undefined) throw this.foreign
    return answer
  }

  private connected(): Promise<Clients> {
    this.clients ??= this.connect().catch((error) => {
      this.clients = undefined
      throw error
    })
    return this.clients
  }

  private async connect(): Promise<Clients> {
    const settings = await this.settings()
    const client = new (nativeClient().Producer)(settings)
    client.on('error' as never, (() => undefined) as never)
    onForeignCluster(client, (error) => {
      this.foreign = error
    })
    await connectClient(client, settings, answerMs)
    // Now, while the client does nothing else: an admin client gets a copy of its lock, and a copy that was made while
    // a call held the lock stays locked for ever, and with it one of the four threads that all calls share.
    const clients = { client, admin: native().AdminClient.createFrom(client) }
    onRefusal(client, () => this.discard(clients))
    return clients
  }

  /** Who is refused goes on with what it was made with: whoever asks next makes another, and is told why where that fails. */
  private discard(clients: Clients): void {
    if (this.isClosed) return
    this.clients = undefined
    this.discarded = Promise.all([this.discarded, this.disconnected(clients)])
  }

  /** The client must not go away under a request: nothing in it would guard that. */
  private async disconnected({ client }: Clients): Promise<void> {
    await Promise.allSettled(this.underWay)
    await disconnect(client)
  }
}

function missingError({ doing, place }: TopicRequest, code: ErrorCode, what: string): WeirError {
  return new WeirError(code, `${doing}: there is no such topic, and ${what}`, {
    ...place,
    hint: "Create it, or set the stage's option create to true.",
  })
}

interface ListedOffset extends Position {
  readonly timestamp: number
  readonly error?: unknown
}

interface DescribedTopic {
  readonly name: string
  readonly topicId?: { readonly base64: string }
  readonly partitions: readonly unknown[]
  readonly error?: ClientError | null
  /** What this user may do there, where that was asked. */
  readonly authorizedOperations?: readonly number[] | undefined
}

interface Admin {
  describeTopics(
    topics: string[],
    options: object,
    done: (error: ClientError | null, topics: DescribedTopic[]) => void,
  ): void
  createTopic(topic: object, timeout: number, done: (error?: ClientError) => void): void
  createPartitions(topic: string, total: number, timeout: number, done: (error?: ClientError) => void): void
  deleteRecords(before: Position[], options: object, done: (error: ClientError | null, deleted: unknown) => void): void
  listOffsets(
    asked: object[],
    options: object,
    done: (error: ClientError | null, offsets: ListedOffset[]) => void,
  ): void
}

interface AdminModule {
  readonly AdminClient: { createFrom(client: Producer): Admin }
  readonly OffsetSpec: {
    new (time: number): object
    readonly EARLIEST: object
    readonly LATEST: object
    readonly MAX_TIMESTAMP: object
  }
}

const native = () => nativeClient() as unknown as AdminModule

function foreignError({ topic }: TopicPartition): WeirError {
  return new WeirError('WEIR_TASK_UNEXPECTED', `deleting records of topic '${topic}': it is not Weir's own`, {
    remedy: 'stop',
  })
}
