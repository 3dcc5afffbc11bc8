import { defer, EMPTY, from, ignoreElements, Observable } from 'rxjs'
import type { AcquiredPartition, CheckpointStore, HeldPartition, StoredChunk, TopicPartition } from '../model/index.js'
import { asWeirError, WeirError } from '../model/index.js'
import { LogSearch, type Search } from '../state/checkpoint-protocol/index.js'
import { isLogTopic } from './checkpoint-log.js'
import { CheckpointTask } from './checkpoint-task.js'
import { KafkaTransaction } from './checkpoint-transaction.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { LogScan } from './log-scan.js'
import { KafkaProducer, type OutgoingMessage } from './producer.js'

const deliveryTimeoutMs = 30_000

/** Positions and chunks in a topic for each task and source topic; Kafka sinks of the same cluster may join. */
export class KafkaCheckpoints implements CheckpointStore<KafkaTransaction> {
  private readonly tasks = new Map<string, CheckpointTask>()
  private marker: Promise<KafkaProducer<never>> | undefined
  private marking: Promise<unknown> = Promise.resolve()

  constructor(private readonly connection: KafkaConnection) {
    connection.owns(() => this.end())
  }

  /** Topics are made when their partitions are acquired: what they are called is known only then. */
  open(): Observable<never> {
    return EMPTY
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return defer(() => this.task(task).acquire(partitions))
  }

  release(task: string, partitions: readonly TopicPartition[]): Observable<never> {
    return defer(() => from(this.task(task).release(partitions))).pipe(ignoreElements())
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    return new Observable((chunks) => {
      const take = (chunk: StoredChunk) => {
        chunks.next(chunk)
        return !chunks.closed
      }
      this.task(task)
        .load(partition, take)
        .then(
          () => chunks.complete(),
          (error: unknown) => chunks.error(asWeirError(error, 'WEIR_CHECKPOINT_UNREACHABLE')),
        )
    })
  }

  list(app: string): Observable<readonly HeldPartition[]> {
    return defer(() => this.find(app))
  }

  begin(task?: string): KafkaTransaction {
    return new KafkaTransaction((name) => this.task(name), task)
  }

  /** The connection is closed by whoever opened it, and what this holds with it. */
  close(): Observable<never> {
    return EMPTY
  }

  private async find(app: string): Promise<readonly HeldPartition[]> {
    const scan = new LogScan(this.connection, (log) => log)
    try {
      const topics = (await this.connection.topics.all()).filter(({ topic }) => isLogTopic(app, topic))
      const logs = topics.flatMap(({ topic, partitions }) =>
        Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
      )
      if (logs.length === 0) return []
      const search = new LogSearch(logs)
      let command: Search | undefined = search.start()
      while (command !== undefined) command = search.handle(await scan.perform(command))
      return search.all().flatMap((head) => head.asHeld() ?? [])
    } catch (error) {
      if (error instanceof WeirError) throw error
      const { address } = this.connection
      const doing = `listing what tasks of '${app}' have`
      throw kafkaError('WEIR_CHECKPOINT_UNREACHABLE', doing, error as ClientError, { address })
    } finally {
      scan.close()
    }
  }

  private task(name: string): CheckpointTask {
    const known = this.tasks.get(name)
    if (known !== undefined) return known
    const task = new CheckpointTask(this.connection, name, { write: (messages) => this.mark(messages) })
    this.tasks.set(name, task)
    return task
  }

  private mark(messages: readonly OutgoingMessage[]): Promise<void> {
    const written = this.marking.then(() => this.writeMarks(messages))
    this.marking = written.catch(() => undefined)
    return written
  }

  private async writeMarks(messages: readonly OutgoingMessage[]): Promise<void> {
    // It lives long: what it failed with since it was used last is no news of these.
    if ((await this.marker?.catch(() => undefined))?.failure !== undefined) await this.dropMarker()
    this.marker ??= this.connectMarker()
    try {
      const producer = await this.marker
      for (const message of messages) producer.produce(message, undefined as never)
      await producer.flush()
    } catch (error) {
      await this.dropMarker()
      throw error
    }
  }

  private async connectMarker(): Promise<KafkaProducer<never>> {
    const options = { deliveryTimeoutMs, compression: 'none', lingerMs: 0, singly: false } as const
    const producer = new KafkaProducer<never>(await this.connection.settings(), options, {
      refused: (_, error) => {
        throw error as unknown as Error
      },
    })
    await producer.connect()
    return producer
  }

  private async dropMarker(): Promise<void> {
    const producer = await this.marker?.catch(() => undefined)
    this.marker = undefined
    await producer?.close()
  }

  private async end(): Promise<void> {
    await Promise.all([...this.tasks.values()].map((task) => task.close()))
    await this.marking
    await this.dropMarker()
  }
}
