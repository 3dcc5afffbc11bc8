import {
  catchError,
  concatMap,
  defer,
  EMPTY,
  finalize,
  from,
  ignoreElements,
  map,
  type Observable,
  of,
  tap,
} from 'rxjs'
import {
  type AcquiredPartition,
  asWeirError,
  type CheckpointStore,
  type EpochCommit,
  fencedError,
  type HeldPartition,
  PartitionMap,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import type { Joined } from './checkpoints.js'
import type { Speaker, TransactionServer } from './transactions.js'
import type { Actor } from './world.js'

/** Checkpoints in Kafka as one process reaches them: each task has a transactional producer, under an id of its own. */
export class TransactionalCheckpoints implements CheckpointStore<TransactionalEpoch> {
  private readonly producers = new Map<string, TransactionalProducer>()

  constructor(
    private readonly server: TransactionServer,
    private readonly actor: Actor,
  ) {}

  open(): Observable<never> {
    return EMPTY
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return this.producer(task).acquire(partitions)
  }

  release(task: string, partitions: readonly TopicPartition[]): Observable<never> {
    return this.producer(task).release(partitions)
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    const what = `load ${partitionName(partition)}`
    return this.producer(task)
      .ask(what, () => this.server.load(task, partition))
      .pipe(concatMap((chunks) => from(chunks)))
  }

  list(): Observable<readonly HeldPartition[]> {
    return of([])
  }

  begin(task = ''): TransactionalEpoch {
    return new TransactionalEpoch(this.producer(task))
  }

  close(): Observable<never> {
    return EMPTY
  }

  private producer(task: string): TransactionalProducer {
    let producer = this.producers.get(task)
    if (producer === undefined)
      this.producers.set(task, (producer = new TransactionalProducer(this.server, this.actor, task)))
    return producer
  }
}

/**
 * After an error nobody knows what became of what was asked, so the producer is thrown away: the next `acquire` makes it
 * anew under its id, which aborts what is open and refuses what is still on its way. What was acquired ends with it.
 */
export class TransactionalProducer {
  private speaker: Speaker | undefined
  private failure: WeirError | undefined
  private begun = 0
  private sequence = 0
  private readonly grants = new PartitionMap<number>()
  private readonly id: string

  constructor(
    private readonly server: TransactionServer,
    private readonly actor: Actor,
    private readonly task: string,
  ) {
    this.id = `${actor.name}.${task}`
  }

  acquire(partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    const what = `acquire ${partitions.map(partitionName).join(', ')}`
    return this.renewed().pipe(
      concatMap((speaker) => this.ask(what, () => this.server.acquire(this.actor, speaker, this.task, partitions))),
      tap((acquired) => {
        for (const { topic, partition, generation } of acquired) this.grants.set(topic, partition, generation)
      }),
    )
  }

  release(partitions: readonly TopicPartition[]): Observable<never> {
    return defer(() => {
      const released = partitions.flatMap(({ topic, partition }) => {
        const generation = this.grants.get(topic, partition)
        this.grants.delete(topic, partition)
        return generation === undefined ? [] : [{ topic, partition, generation }]
      })
      return this.ask(`release ${released.map(partitionName).join(', ')}`, () =>
        this.server.release(this.task, released),
      )
    }).pipe(ignoreElements())
  }

  /** The number of the next transaction. */
  begin(): number {
    return ++this.begun
  }

  write(transaction: number, topic: string, values: readonly unknown[]): Observable<never> {
    return defer(() => {
      const speaker = this.speaking()
      const sequence = ++this.sequence
      const what = `write of ${values.length} in transaction ${transaction} of ${this.id}`
      return this.server.cluster.link.request(this.actor, {
        what,
        execute: () => this.server.write(speaker, { transaction, sequence, topic, values }),
        unanswered: (why) => new WeirError('WEIR_SINK_FAILED', `${what}: ${why}`),
        repeatable: true,
      })
    }).pipe(tap({ error: (error: unknown) => this.fail(error) }), ignoreElements())
  }

  commit(transaction: number, commit: EpochCommit): Observable<never> {
    return defer(() => {
      const speaker = this.speaking()
      // A copy: what is carried out late must not see what became of the epoch's buffers.
      const sent = structuredClone(commit)
      const places = commit.partitions.map((one) => `${partitionName(one)}@${one.progress.position}`).join(', ')
      const what = `commit of transaction ${transaction} of ${this.id}, ${places}`
      let isOpen = true
      return this.ask(what, () => this.server.commit(this.actor, speaker, transaction, sent)).pipe(
        tap({ complete: () => (isOpen = false) }),
        // Who stops waiting for it does not know either what became of it.
        finalize(() => {
          if (isOpen) this.fail(new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `${what}: nobody waited for the answer`))
        }),
      )
    }).pipe(tap({ error: (error: unknown) => this.fail(error) }), ignoreElements())
  }

  /** Never fails: a producer that can't abort is made anew, which aborts as well. */
  abort(transaction: number): Observable<never> {
    return defer(() => {
      const { speaker } = this
      if (speaker === undefined || this.failure !== undefined) return EMPTY
      return this.ask(`abort of transaction ${transaction} of ${this.id}`, () =>
        this.server.abort(speaker, transaction),
      )
    }).pipe(
      catchError((error: unknown) => {
        this.fail(error)
        return EMPTY
      }),
      ignoreElements(),
    )
  }

  /** Errors: fenced when a partition of the epoch was acquired later, or never, or is released. */
  check({ partitions }: EpochCommit): void {
    for (const { topic, partition, generation } of partitions) {
      const granted = this.grants.get(topic, partition)
      if (granted === generation) continue
      throw fencedError(this.task, { topic, partition, generation: granted ?? null })
    }
  }

  ask<T>(what: string, execute: () => T): Observable<T> {
    const unanswered = (why: string) => new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `${what}: ${why}`)
    return this.server.cluster.link.request(this.actor, { what, execute, unanswered })
  }

  private fail(error: unknown): void {
    this.failure ??= asWeirError(error)
  }

  private renewed(): Observable<Speaker> {
    return defer(() => {
      if (this.speaker !== undefined && this.failure === undefined) return of(this.speaker)
      this.grants.clear()
      return this.ask(`init of ${this.id}`, () => this.server.init(this.id)).pipe(
        map((epoch) => {
          this.speaker = { id: this.id, epoch }
          this.failure = undefined
          this.begun = 0
          this.sequence = 0
          return this.speaker
        }),
      )
    })
  }

  private speaking(): Speaker {
    if (this.failure !== undefined) throw this.failure
    if (this.speaker !== undefined) return this.speaker
    throw new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `writing as '${this.id}': nothing was acquired`)
  }
}

/** The transaction of one epoch, at the process. */
export class TransactionalEpoch implements Joined {
  /** Undefined before anything has joined. */
  private number: number | undefined
  private isOver = false

  constructor(private readonly producer: TransactionalProducer) {}

  insert(values: readonly unknown[], stage: string): Observable<never> {
    return defer(() => this.producer.write(this.open(), `results of ${stage}`, values))
  }

  commit(commit: EpochCommit): Observable<never> {
    return defer(() => {
      const number = this.open()
      this.producer.check(commit)
      this.isOver = true
      return this.producer.commit(number, commit)
    })
  }

  rollback(): Observable<never> {
    return defer(() => {
      const { number, isOver } = this
      this.isOver = true
      return isOver || number === undefined ? EMPTY : this.producer.abort(number)
    })
  }

  private open(): number {
    if (!this.isOver) return (this.number ??= this.producer.begin())
    throw new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'using the transaction of an epoch: it is over')
  }
}
