import { randomUUID } from 'node:crypto'
import {
  type AcquiredPartition,
  type EpochCommit,
  fencedError,
  type PartitionCommit,
  PartitionMap,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import { entryOf, logConfig, logPartition, logTopic, messagesOf, outgoing } from './checkpoint-log.js'
import { type Grant, LogTruncation } from './checkpoint-truncation.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { isFenced, kafkaError } from './errors.js'
import { LogReader } from './log-reader.js'
import { type Log, LogScan } from './log-scan.js'
import type { OutgoingMessage } from './producer.js'
import { TransactionalProducer } from './transactional-producer.js'

/** What writes entries that stand outside of every transaction. */
export interface Marking {
  write(messages: readonly OutgoingMessage[]): Promise<void>
}

/**
 * One task's way to its logs: a transactional producer, and the partitions that were acquired through it. The id of the
 * producer is this object's own, and stands in the logs, so whoever takes a partition over fences this producer off
 * before. What was acquired through a producer ends with it.
 */
export class CheckpointTask {
  private readonly id: string
  private readonly grants = new PartitionMap<Grant>()
  private readonly truncation: LogTruncation
  private current: TransactionalProducer | undefined
  private last: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly connection: KafkaConnection,
    private readonly task: string,
    private readonly markers: Marking,
  ) {
    this.id = `${task}.${randomUUID()}`
    this.truncation = new LogTruncation(connection, task)
  }

  /** Errors: WEIR_CHECKPOINT_UNREACHABLE. */
  acquire(partitions: readonly TopicPartition[]): Promise<readonly AcquiredPartition[]> {
    return this.inTurn(async () => {
      if (partitions.length === 0) return []
      await this.ensureLogs(partitions)
      await this.renew()
      return LogScan.with(this.connection, this.logsOf(partitions), (scan) => this.take(scan, partitions))
    }, `acquiring partitions for '${this.task}'`)
  }

  /** Tells the logs that this task writes nothing more of these partitions, so that nobody need fence it off. */
  release(partitions: readonly TopicPartition[]): Promise<void> {
    return this.inTurn(async () => {
      const released = partitions.flatMap((source) => {
        const grant = this.grants.get(source.topic, source.partition)
        this.grants.delete(source.topic, source.partition)
        if (grant === undefined) return []
        return [outgoing(logPartition(this.task, source), { kind: 'released', generation: grant.generation })]
      })
      await this.markers.write(released)
    }, `releasing partitions of '${this.task}'`)
  }

  /**
   * Acquisitions, commits and releases one after the other: who acquires a partition knows all that was committed before,
   * and what comes after is of another generation.
   */
  inTurn<T>(step: () => Promise<T>, doing: string): Promise<T> {
    const result = this.last.then(() => this.failing(doing, step))
    this.last = result.catch(() => undefined)
    return result
  }

  /** Hands the chunks that count to `take`, in the order of the log. */
  load(source: TopicPartition, take: (chunk: StoredChunk) => boolean): Promise<void> {
    const doing = `loading the state of '${this.task}', ${partitionName(source)}`
    return this.failing(doing, async () => {
      await this.ensureLogs([source])
      const head = await LogScan.with(this.connection, this.logsOf([source]), (scan) =>
        Promise.resolve(scan.head(source)),
      )
      if (head.committed !== undefined) await this.loadUntil(head.committedAt, head.committed.keptFrom, source, take)
    })
  }

  /** The producer of the transactions. Errors when there is none any more: partitions have to be acquired first. */
  producer(): TransactionalProducer {
    if (this.current !== undefined && this.current.failure === undefined) return this.current
    const failure = this.current?.failure
    if (failure !== undefined) throw this.fault(failure, `writing an epoch of '${this.task}'`)
    throw new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `writing an epoch of '${this.task}': nothing was acquired`)
  }

  /** Errors: WEIR_CHECKPOINT_FENCED when a partition of the epoch was acquired later, or never, or is released. */
  check({ partitions }: EpochCommit): void {
    for (const { topic, partition, generation } of partitions) {
      const grant = this.grants.get(topic, partition)
      if (grant?.generation === generation) continue
      throw fencedError(this.task, { topic, partition, generation: grant?.generation ?? null })
    }
  }

  /** Writes and ends the transaction that `producer` has open. */
  async commit({ partitions }: EpochCommit, producer: TransactionalProducer): Promise<void> {
    const doing = `committing an epoch of '${this.task}'`
    try {
      const changed = partitions.filter((commit) => this.isNews(commit))
      for (const commit of changed) this.send(commit, producer)
      await producer.commit()
      for (const commit of changed) this.grant(commit).commits++
      this.truncation.tidy(this.grants)
    } catch (error) {
      producer.failure ??= error as ClientError
      throw this.fault(error, doing, partitions[0])
    }
  }

  fault(error: unknown, doing: string, partition?: TopicPartition): WeirError {
    if (error instanceof WeirError) return error
    if (isFenced(error as ClientError)) return this.fenced((error as ClientError).message, partition)
    const { address } = this.connection
    return kafkaError('WEIR_CHECKPOINT_UNREACHABLE', doing, error as ClientError, { address })
  }

  async close(): Promise<void> {
    await this.last
    await Promise.all([this.discard(), this.truncation.close()])
  }

  private logsOf(sources: readonly TopicPartition[]): Log[] {
    return sources.map((source) => ({ ...logPartition(this.task, source), source }))
  }

  private async take(scan: LogScan, partitions: readonly TopicPartition[]): Promise<AcquiredPartition[]> {
    let open = partitions
    while (open.length > 0) {
      await this.fence(open.map((source) => scan.head(source).owner))
      const token = randomUUID()
      await this.markers.write(
        open.map((source) => {
          const { next: generation } = scan.head(source)
          return outgoing(logPartition(this.task, source), {
            kind: 'acquired',
            task: this.task,
            topic: source.topic,
            generation,
            owner: this.id,
            token,
          })
        }),
      )
      const asked = new Set(open.map(partitionName))
      await scan.until(({ source, tokens }) => !asked.has(partitionName(source)) || tokens.has(token))
      // Somebody else was first where it was not won, and has to be fenced off as well.
      open = open.filter((source) => scan.head(source).tokens.get(token) !== true)
    }
    return partitions.map((source) => this.granted(scan, source))
  }

  private granted(scan: LogScan, source: TopicPartition): AcquiredPartition {
    const head = scan.head(source)
    const acquired = head.asAcquired()
    const { generation, sequence } = acquired
    const keptFrom = head.committed?.keptFrom ?? 0
    const grant = { generation, sequence, keptFrom, commits: 0, started: 0, marks: [], told: '' }
    this.grants.set(source.topic, source.partition, grant)
    return acquired
  }

  /** Ends what others have open, and makes sure that they can't begin anything. */
  private async fence(owners: readonly (string | undefined)[]): Promise<void> {
    const others = new Set(owners.filter((owner) => owner !== undefined && owner !== this.id)) as Set<string>
    for (const owner of others) {
      const producer = new TransactionalProducer(await this.connection.settings(), owner)
      try {
        await producer.init()
      } finally {
        this.connection.closes(producer.close())
      }
    }
  }

  private async renew(): Promise<void> {
    if (this.current !== undefined && this.current.failure === undefined) return
    await this.discard()
    const producer = new TransactionalProducer(await this.connection.settings(), this.id)
    try {
      await producer.init()
    } catch (error) {
      this.connection.closes(producer.close())
      throw error
    }
    this.current = producer
  }

  private async discard(): Promise<void> {
    const { current } = this
    this.current = undefined
    this.grants.clear()
    await current?.close()
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

  private async loadUntil(
    end: number,
    keptFrom: number,
    source: TopicPartition,
    take: (chunk: StoredChunk) => boolean,
  ): Promise<void> {
    const log = logPartition(this.task, source)
    const grant = this.grants.get(source.topic, source.partition)
    const reader = new LogReader(await this.connection.settings())
    let parts: Buffer[] = []
    let isDone = false
    try {
      await reader.connect()
      const [first] = await this.connection.topics.offsets([log], 'earliest')
      reader.assign([{ ...log, offset: first?.offset ?? 0 }])
      await reader.read(
        (message) => {
          if (message.offset >= end) isDone = true
          if (isDone) return
          const entry = entryOf(message)
          if (entry.kind !== 'chunk') return
          if (grant !== undefined) this.truncation.read(grant, entry.sequence, message.offset)
          parts.push(message.value ?? Buffer.alloc(0))
          if (!entry.isLast) return
          const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
          parts = []
          if (entry.sequence >= keptFrom && !take({ sequence: entry.sequence, bytes })) isDone = true
        },
        () => isDone,
      )
    } finally {
      this.connection.closes(reader.close())
    }
  }

  private send(commit: PartitionCommit, producer: TransactionalProducer): void {
    const grant = this.grant(commit)
    grant.keptFrom = Math.max(grant.keptFrom, commit.truncateBefore ?? 0)
    grant.sequence = commit.sequence
    grant.started++
    const log = logPartition(this.task, commit)
    for (const message of messagesOf(log, commit, { task: this.task, owner: this.id, keptFrom: grant.keptFrom })) {
      producer.produce(message, (error) => {
        throw error as unknown as Error
      })
    }
  }

  /** Whether the log does not say so already. */
  private isNews(commit: PartitionCommit): boolean {
    const grant = this.grant(commit)
    const told = JSON.stringify([commit.progress, commit.sequence, commit.truncateBefore])
    const isNews = commit.chunks.length > 0 || told !== grant.told
    grant.told = told
    return isNews
  }

  private grant({ topic, partition }: TopicPartition): Grant {
    const grant = this.grants.get(topic, partition)
    if (grant === undefined) throw fencedError(this.task, { topic, partition, generation: null })
    return grant
  }

  private fenced(why: string, partition?: TopicPartition): WeirError {
    return new WeirError('WEIR_CHECKPOINT_FENCED', `committing an epoch of '${this.task}': ${why}`, {
      ...(partition === undefined ? {} : { partition: { topic: partition.topic, partition: partition.partition } }),
      hint: 'This task starts anew with the partitions that it still has.',
    })
  }

  private async failing<T>(doing: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      // Fenced while it acquires: somebody acquires at the same time, and trying again tells who has it.
      if (error instanceof WeirError) throw error
      const { address } = this.connection
      throw kafkaError('WEIR_CHECKPOINT_UNREACHABLE', doing, error as ClientError, { address })
    }
  }
}
