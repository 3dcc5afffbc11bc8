import { type Position, partitionName, type TopicPartition } from '../model/index.js'
import { factsText, type GroupPosition, groupPosition } from '../state/topic-protocol/index.js'
import {
  type ClientError,
  type ClientSettings,
  call,
  codes,
  disconnect,
  type KafkaConsumer,
  type Message,
  nativeClient,
} from './client.js'
import { coded, connectClient, onForeignCluster, onRefusal } from './connecting.js'

/** How long brokers may take to answer, ms. */
const answerMs = 5_000
const connectMs = 5_000
/** How often it is looked whether the group has let go of a member, ms. */
const leaveEveryMs = 100

export interface ConsumerEvents {
  assigned(partitions: readonly TopicPartition[]): void
  revoked(partitions: readonly TopicPartition[], lost: boolean): void
  /** The client's queue has something to consume. */
  wake(): void
  /** A quota has a broker wait with its answers for so long, ms. */
  throttled(ms: number): void
  error(error: ClientError): void
}

/** The client's consumer as a member of a group, with promises in place of callbacks. */
export class GroupConsumer {
  private readonly client: KafkaConsumer
  /** Whether the group knows this member by a name of its own. */
  private readonly isStatic: boolean
  /** What the client answers in a thread of its own. */
  private readonly underWay = new Set<Promise<unknown>>()
  private closed: Promise<void> | undefined
  /** The partitions that the client was told to read. */
  private readonly held = new Set<string>()
  private commits: { readonly of: readonly Position[]; readonly done: (error: ClientError | undefined) => void }[] = []

  constructor(
    private readonly settings: ClientSettings,
    private readonly events: ConsumerEvents,
  ) {
    this.isStatic = settings['group.instance.id'] !== undefined
    this.client = new (nativeClient().KafkaConsumer)({
      'enable.auto.commit': false,
      'enable.auto.offset.store': false,
      'isolation.level': 'read_committed',
      'partition.assignment.strategy': 'cooperative-sticky',
      // A position that is gone is for the reader to judge: it is told so, and where the telling gets lost it looks itself.
      'auto.offset.reset': 'error',
      // Partitions that were added are found within this time; the usual 5 minutes would be long for who closes windows.
      'topic.metadata.refresh.interval.ms': 5_000,
      // A tenth of a second of reading at full speed. The usual 64 MB is much memory for nothing, and the usual pause of 1 s
      // after the queue was full would starve a short one.
      'queued.max.messages.kbytes': 16_384,
      'fetch.queue.backoff.ms': 10,
      ...settings,
      rebalance_cb: (error: ClientError, partitions: TopicPartition[]) => this.rebalance(error, partitions),
      offset_commit_cb: (error: ClientError | undefined, offsets: readonly Position[]) =>
        this.committed(error, offsets),
      // Not in the documentation of the client, but what its own KafkaJS mode waits by; should it ever fall silent, the
      // ticks of the pump find what has arrived.
      queue_non_empty_cb: () => events.wake(),
    } as object)
    this.client.on('event.error', (error) => events.error(this.meant(error)))
    onForeignCluster(this.client, events.error)
    this.client.on('event.throttle', ({ throttleTime }: { throttleTime: number }) => events.throttled(throttleTime))
    this.client.on('error' as never, (() => undefined) as never)
  }

  /** Errors with what the client says when no broker answers in 5 s, or one refuses the login. */
  async connect(topics: readonly string[]): Promise<void> {
    await connectClient(this.client, this.settings, connectMs)
    onRefusal(this.client, (refusal) => this.events.error(refusal))
    this.client.subscribe([...topics])
  }

  /** The client says no more of a fatal error; a member with a name is thrown out by another of that name. */
  private meant(error: ClientError): ClientError {
    const isTwin = this.isStatic && (error.isFatal === true || error.code === codes.fatal)
    return isTwin ? { code: codes.fencedInstance, message: error.message } : coded(error)
  }

  /** Takes at most `count` messages that are there already. */
  consume(count: number, done: (error: ClientError | undefined, messages: readonly Message[]) => void): void {
    // What lies around it emits each message as an event, besides: 1.5 % of all that a record of `bench/windows` costs.
    const client = this.client.getClient() as NativeConsumer
    client.consume(0, count, false, (error, messages) => done(error ? this.meant(error) : undefined, messages))
  }

  /** Starts to read partitions, as the answer to `assigned`. */
  assign(positions: readonly Position[]): void {
    for (const position of positions) this.held.add(partitionName(position))
    this.cooperative.incrementalAssign(positions.map(placeOf))
  }

  /** Gives partitions back, as the answer to `revoked`; the client refuses to where one was never started to be read. */
  unassign(partitions: readonly TopicPartition[]): void {
    this.cooperative.incrementalUnassign(partitions.filter((one) => this.held.delete(partitionName(one))))
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.client.pause([...partitions])
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.client.resume([...partitions])
  }

  async seek(positions: readonly Position[]): Promise<void> {
    await Promise.all(
      positions.map((to) =>
        this.asked((done) => this.client.seek(placeOf(to), answerMs, (error) => done(error, undefined))),
      ),
    )
  }

  /** The group's positions, of those partitions that it has one of. */
  async committedPositions(partitions: readonly TopicPartition[]): Promise<readonly GroupPosition[]> {
    if (partitions.length === 0) return []
    const asked = partitions.map(({ topic, partition }) => ({ topic, partition }))
    const found = await this.asked<readonly CommittedOffset[]>((done) => this.client.committed(asked, answerMs, done))
    return found
      .filter(({ offset }) => offset !== undefined && offset >= 0)
      .map((position) => groupPosition(position, position.metadata))
  }

  /** Resolves when the broker has acknowledged them. The answer is heard by consuming only. */
  commit(positions: readonly Position[]): Promise<void> {
    if (positions.length === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.commits.push({ of: positions, done: (error) => (error ? reject(error) : resolve()) })
      this.client.commit(positions.map((position) => ({ ...placeOf(position), metadata: factsText(position.facts) })))
    })
  }

  /** How many partitions the topic has; undefined when no broker answers. */
  async partitionsOf(topic: string): Promise<number | undefined> {
    try {
      const metadata = await this.asked<{ topics: { name: string; partitions: unknown[] }[] }>(
        (done) => this.client.getMetadata({ topic, allTopics: false, timeout: answerMs }, done as never) as unknown,
      )
      return metadata.topics.find(({ name }) => name === topic)?.partitions.length
    } catch {
      return undefined
    }
  }

  /** Leaves the group, be the membership static. Resolves when that is so, or after a while. */
  async leave(isIn: () => Promise<boolean>): Promise<void> {
    const until = performance.now() + answerMs
    this.client.unsubscribe()
    do {
      // What is taken back is heard by consuming only.
      await new Promise<void>((resolve) => this.consume(1, () => resolve()))
      await new Promise((resolve) => setTimeout(resolve, leaveEveryMs))
    } while (performance.now() < until && (await isIn()))
  }

  /** Leaves the group, unless the membership is static. */
  close(): Promise<void> {
    this.closed ??= this.closing()
    return this.closed
  }

  /** The client must not go away under a question: nothing in it would guard that. */
  private async closing(): Promise<void> {
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay)
    await disconnect(this.client)
  }

  private asked<T>(start: Parameters<typeof call<T>>[0]): Promise<T> {
    if (this.closed !== undefined)
      return Promise.reject(Object.assign(new Error('the consumer is closed'), { code: codes.wrongState }))
    const answer = call<T>(start)
    const forget = () => void this.underWay.delete(answer)
    this.underWay.add(answer)
    answer.then(forget, forget)
    return answer
  }

  private rebalance(error: ClientError, partitions: readonly TopicPartition[]): void {
    if (this.closed !== undefined) return this.giveUp()
    const named = partitions.map(({ topic, partition }) => ({ topic, partition }))
    if (error.code === codes.assignPartitions) this.events.assigned(named)
    else if (error.code === codes.revokePartitions) this.events.revoked(named, this.cooperative.assignmentLost())
    else this.events.error(error)
  }

  /**
   * A client that leaves its group waits, for ever, for the answer to what it has told, and then it is this one, whatever it
   * was: the client refuses to be given partitions, and is not safe to ask how it lost them.
   */
  private giveUp(): void {
    try {
      this.client.unassign()
    } catch {
      // It has come to light after the client has closed.
    }
  }

  private committed(error: ClientError | undefined, offsets: readonly Position[]): void {
    const index = this.commits.findIndex(({ of }) => sameOffsets(of, offsets))
    const [commit] = index < 0 ? [] : this.commits.splice(index, 1)
    commit?.done(error)
  }

  private get cooperative(): Cooperative {
    return this.client as unknown as Cooperative
  }
}

interface CommittedOffset extends Position {
  readonly metadata?: string | null
}

interface NativeConsumer {
  consume(
    timeoutMs: number,
    count: number,
    isTimeoutOnlyForFirst: boolean,
    done: (error: ClientError | null, messages: readonly Message[]) => void,
  ): void
}

interface Cooperative {
  incrementalAssign(positions: readonly Position[]): void
  incrementalUnassign(partitions: readonly TopicPartition[]): void
  assignmentLost(): boolean
}

/** As the client takes it. */
function placeOf({ topic, partition, offset }: Position): { topic: string; partition: number; offset: number } {
  return { topic, partition, offset }
}

function sameOffsets(some: readonly Position[], others: readonly Position[]): boolean {
  return (
    some.length === others.length &&
    some.every((one) =>
      others.some(
        (other) => other.topic === one.topic && other.partition === one.partition && other.offset === one.offset,
      ),
    )
  )
}
