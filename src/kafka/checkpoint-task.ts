import { randomUUID } from 'node:crypto'
import {
  type AcquiredPartition,
  type EpochCommit,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { CheckpointProtocol, type Command, type Event, type NewEntry } from '../state/checkpoint-protocol/index.js'
import { logConfig, logPartition, logTopic, outgoing } from './checkpoint-log.js'
import { Truncating } from './checkpoint-truncation.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { isFenced, kafkaError, searchError } from './errors.js'
import { isRefusedRequest } from './faults.js'
import { LogScan } from './log-scan.js'
import type { OutgoingMessage } from './producer.js'
import { TransactionSearch } from './search.js'
import { explained } from './stuck.js'
import { TransactionalProducer } from './transactional-producer.js'

/** What writes entries that stand outside of every transaction. */
export interface Marking {
  write(messages: readonly OutgoingMessage[]): Promise<void>
}

/** What carries a command out that not every request has. */
interface Extras {
  commit?(entries: readonly NewEntry[]): Promise<void>
  /** Whether more is wanted. */
  give?(chunks: readonly StoredChunk[]): boolean
}

/**
 * One task's way to its logs: does what the protocol commands, with a transactional producer. The id of the producer is
 * this object's own, and stands in the logs, so whoever takes a partition over fences this producer off before. What was
 * acquired through a producer ends with it.
 */
export class CheckpointTask {
  private readonly protocol: CheckpointProtocol
  private readonly truncating: Truncating
  /** For messages that brokers refuse, and the transaction with them. */
  readonly search = new TransactionSearch()
  /** Whether the producer is that of a search that is over. */
  private isSlow = false
  private current: TransactionalProducer | undefined
  private last: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly connection: KafkaConnection,
    private readonly task: string,
    private readonly markers: Marking,
  ) {
    this.protocol = new CheckpointProtocol(task, `${task}.${randomUUID()}`)
    this.truncating = new Truncating(connection, task, this.protocol.truncation)
  }

  /** Errors: WEIR_CHECKPOINT_UNREACHABLE. */
  acquire(partitions: readonly TopicPartition[]): Promise<readonly AcquiredPartition[]> {
    const doing = `acquiring partitions for '${this.task}'`
    return this.inTurn(() => this.request({ on: 'acquire', partitions, token: randomUUID() }, doing))
  }

  /** Tells the logs that this task writes nothing more of these partitions, so that nobody need fence it off. */
  async release(partitions: readonly TopicPartition[]): Promise<void> {
    const doing = `releasing partitions of '${this.task}'`
    await this.inTurn(() => this.request({ on: 'release', partitions }, doing))
  }

  /** Hands the chunks that count to `take`, in the order of the log, for as long as it wants more. */
  async load(source: TopicPartition, take: (chunk: StoredChunk) => boolean): Promise<void> {
    const doing = `loading the state of '${this.task}', ${partitionName(source)}`
    const loading = this.protocol.loading(source)
    try {
      await this.run(loading.start(), (event) => loading.handle(event), { give: (chunks) => chunks.every(take) })
    } catch (error) {
      throw this.unreachable(error, doing)
    }
  }

  /** The producer of the next transaction. Errors when there is none any more: partitions have to be acquired first. */
  async producer(): Promise<TransactionalProducer> {
    if (this.isSlow) await this.quicken()
    this.notice()
    const { fault } = this.protocol
    if (fault !== undefined) throw fault
    this.search.restart()
    return this.current as TransactionalProducer
  }

  /**
   * Commits an epoch, in the transaction that `open` gives the producer of.
   * Errors: WEIR_CHECKPOINT_FENCED, WEIR_CHECKPOINT_UNREACHABLE.
   */
  async commit(commit: EpochCommit, open: () => Promise<TransactionalProducer>): Promise<void> {
    const doing = `committing an epoch of '${this.task}'`
    const write = async (entries: readonly NewEntry[]) => {
      const producer = await open()
      try {
        for (const entry of entries) producer.produce(outgoing(this.task, entry), refuse)
        await producer.commit()
        this.isSlow = this.search.end()
      } catch (error) {
        producer.failure ??= error as ClientError
        throw error
      }
    }
    await this.inTurn(() => this.request({ on: 'commit', commit }, doing, { commit: write }))
    this.truncating.tidy()
  }

  /** As `fault`, once the brokers have been asked why nothing is acknowledged. */
  async explainedFault(error: unknown, doing: string): Promise<WeirError> {
    return this.fault(await explained(error, this.connection.topics), doing)
  }

  fault(error: unknown, doing: string, at?: TopicPartition): WeirError {
    if (error instanceof WeirError) return error
    const isRefusal = isRefusedRequest(error as ClientError, true)
    if (isRefusal && this.search.begin(error as ClientError)) return searchError(doing, error as ClientError, {})
    if (!isFenced(error as ClientError)) return this.unreachable(error, doing)
    const isTooLong = this.current?.isOverdue === true
    return new WeirError('WEIR_CHECKPOINT_FENCED', `${doing}: ${(error as ClientError).message}`, {
      ...(at === undefined ? {} : { partition: { topic: at.topic, partition: at.partition } }),
      isTooLong,
      hint: isTooLong
        ? 'The brokers end a transaction that takes so long: epochs have fewer records from now on. See to quotas and the network.'
        : 'This task starts anew with the partitions that it still has.',
    })
  }

  async close(): Promise<void> {
    await this.last
    await Promise.all([this.discard(), this.truncating.close()])
  }

  private unreachable(error: unknown, doing: string): WeirError {
    if (error instanceof WeirError) return error
    const { address } = this.connection
    return kafkaError('WEIR_CHECKPOINT_UNREACHABLE', doing, error as ClientError, { address })
  }

  /**
   * Acquisitions, commits and releases one after the other: who acquires a partition knows all that was committed before,
   * and what comes after is of another generation.
   */
  private inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.last.then(step)
    this.last = result.catch(() => undefined)
    return result
  }

  private async request(event: Event, doing: string, extras: Extras = {}): Promise<readonly AcquiredPartition[]> {
    this.notice()
    try {
      return await this.run(this.protocol.handle(event), (next) => this.protocol.handle(next), extras)
    } catch (cause) {
      const error = await explained(cause, this.connection.topics)
      // Fenced while it acquires: somebody acquires at the same time, and trying again tells who has it.
      const isCommit = event.on === 'commit'
      const fault = isCommit ? this.fault(error, doing, event.commit.partitions[0]) : this.unreachable(error, doing)
      this.protocol.handle({ on: 'failed', error: fault })
      throw fault
    }
  }

  private async run(
    first: Command,
    handle: (event: Event) => Command,
    extras: Extras,
  ): Promise<readonly AcquiredPartition[]> {
    const scan = new LogScan(this.connection, (source) => logPartition(this.task, source))
    try {
      let command = first
      while (command.do !== 'answer') command = handle(await this.perform(command, scan, extras))
      return command.acquired
    } finally {
      scan.close()
    }
  }

  private async perform(command: Exclude<Command, { do: 'answer' }>, scan: LogScan, extras: Extras): Promise<Event> {
    switch (command.do) {
      case 'prepare':
        await this.ensureLogs(command.partitions)
        return { on: 'prepared' }
      case 'renew':
        await this.renew()
        return { on: 'renewed' }
      case 'bound':
      case 'seek':
      case 'read':
        return scan.perform(command)
      case 'fence':
        for (const owner of command.owners) await this.fence(owner)
        return { on: 'fenced' }
      case 'write':
        await this.markers.write(command.entries.map((entry) => outgoing(this.task, entry)))
        return { on: 'written' }
      case 'commit':
        await extras.commit?.(command.entries)
        return { on: 'committed' }
      case 'give':
        return { on: 'given', isWanted: extras.give?.(command.chunks) ?? false }
      case 'refuse':
        throw command.error
    }
  }

  /** Ends what the owner has open, and makes sure that it can't begin anything. */
  private async fence(owner: string): Promise<void> {
    const producer = new TransactionalProducer(await this.connection.settings(), owner)
    try {
      await producer.init()
    } finally {
      this.connection.closes(producer.close())
    }
  }

  private async renew(): Promise<void> {
    await this.discard()
    this.isSlow = false
    const producer = new TransactionalProducer(await this.connection.settings(), this.protocol.id, this.search)
    try {
      await producer.init()
    } catch (error) {
      this.connection.closes(producer.close())
      throw error
    }
    this.current = producer
  }

  /** After a search: a producer that sends messages together again. Nothing is open, so what was acquired holds under it. */
  private async quicken(): Promise<void> {
    try {
      await this.renew()
    } catch (error) {
      const fault = this.unreachable(error, `writing an epoch of '${this.task}'`)
      this.protocol.handle({ on: 'lost', error: fault })
      throw fault
    }
  }

  private async discard(): Promise<void> {
    const { current } = this
    this.current = undefined
    await current?.close()
  }

  /** A producer fails at any time: the protocol is told when it matters. */
  private notice(): void {
    const failure = this.current?.failure
    if (failure === undefined) return
    this.protocol.handle({ on: 'lost', error: this.fault(failure, `writing an epoch of '${this.task}'`) })
  }

  private async ensureLogs(sources: readonly TopicPartition[]): Promise<void> {
    const { topics } = this.connection
    for (const topic of new Set(sources.map((source) => source.topic))) {
      const numbers = sources.filter((source) => source.topic === topic).map(({ partition }) => partition + 1)
      await topics.ensureAtLeast({
        topic: logTopic(this.task, topic),
        partitions: Math.max(await topics.partitionsOf(topic), ...numbers),
        create: true,
        internal: true,
        doing: `opening the checkpoints of '${this.task}'`,
        unreachable: 'WEIR_CHECKPOINT_UNREACHABLE',
        place: {},
        config: logConfig,
      })
    }
  }
}

function refuse(error: ClientError): never {
  throw error as unknown as Error
}
