import { defer, EMPTY, from, ignoreElements, type Observable } from 'rxjs'
import { type EpochCommit, type EpochTransaction, type StreamRecord, WeirError } from '../model/index.js'
import type { CheckpointTask } from './checkpoint-task.js'
import { type ClientError, codes } from './client.js'
import type { OutgoingMessage } from './producer.js'
import type { TransactionSearch } from './search.js'
import type { Refused, TransactionalProducer } from './transactional-producer.js'

/**
 *   idle ──► open ──► over
 *     └────────────────▲
 *
 * `idle` holds nothing; what joins first begins the transaction of the task's producer; commit, rollback and an error end
 * it.
 */
type State = 'idle' | 'open' | 'over'

const writing = 'writing in the transaction of an epoch'

/** The transaction of an epoch. Sinks that write to the same cluster join it. */
export class KafkaTransaction implements EpochTransaction {
  private state: State = 'idle'
  private producer: TransactionalProducer | undefined
  private search: TransactionSearch | undefined
  /** The client takes no more messages: a broker has refused one. */
  private broken: ClientError | undefined
  private opening: Promise<void> | undefined

  constructor(
    private readonly taskOf: (name: string) => CheckpointTask,
    private readonly name: string | undefined,
  ) {}

  /** Completes when messages can be written. Errors: WEIR_CHECKPOINT_FENCED, WEIR_CHECKPOINT_UNREACHABLE. */
  readonly join$: Observable<never> = defer(() => from(this.join(this.task(this.name)))).pipe(ignoreElements())

  /**
   * Completes when the brokers have all messages; readers see them after the commit.
   * Errors: WEIR_CHECKPOINT_FENCED, WEIR_CHECKPOINT_UNREACHABLE.
   */
  readonly flush$: Observable<never> = defer(() => from(this.flush())).pipe(ignoreElements())

  /** Queues a message. `refused` is told when it can't be written for what it is. */
  write(message: OutgoingMessage, record: StreamRecord, refused: (error: ClientError) => void): void {
    const { producer, search } = this
    if (producer === undefined) throw overError()
    if (producer.failure !== undefined) throw this.fault(producer.failure)
    // The rest can't come through, and `flush` tells why.
    if (this.broken !== undefined) return
    try {
      if (search?.singly === true) this.writeKnowing(message, refused, producer, search, search.idOf(message, record))
      else producer.produce(message, refused)
    } catch (error) {
      if ((error as ClientError).code === codes.wrongState) {
        this.broken = error as ClientError
        return
      }
      // What `refused` throws ends the epoch; what the client throws, the producer too.
      if (!(error instanceof WeirError)) producer.failure ??= error as ClientError
      throw this.fault(error)
    }
  }

  /** Leaves out what was refused before, and learns what is refused now. */
  private writeKnowing(
    message: OutgoingMessage,
    refused: (error: ClientError) => void,
    producer: TransactionalProducer,
    search: TransactionSearch,
    id: string,
  ): void {
    const known = search.refusalOf(id)
    if (known !== undefined) return refused(known)
    const learn: Refused = (error, isSent) => (isSent ? search.remember(id, error) : refused(error))
    producer.produce(message, learn)
  }

  /** Where it errs without knowing what became of the epoch, acquiring the partitions again tells. */
  commit(commit: EpochCommit): Observable<never> {
    return defer(() => from(this.finish(commit))).pipe(ignoreElements())
  }

  rollback(): Observable<never> {
    return defer(() => {
      const wasOpen = this.state === 'open'
      this.state = 'over'
      return wasOpen ? from(this.abort()).pipe(ignoreElements()) : EMPTY
    })
  }

  private join(task: CheckpointTask): Promise<void> {
    if (this.state === 'over') throw overError()
    this.state = 'open'
    this.opening ??= this.begin(task)
    return this.opening
  }

  private async begin(task: CheckpointTask): Promise<void> {
    const producer = await task.producer()
    try {
      await producer.begin()
    } catch (error) {
      throw task.fault(error, 'beginning the transaction of an epoch')
    }
    this.producer = producer
    this.search = task.search
  }

  private async flush(): Promise<void> {
    try {
      if (this.broken !== undefined) await this.producer?.throwReason(this.broken)
      await this.producer?.flush()
    } catch (error) {
      throw await this.task(this.name).explainedFault(error, writing)
    }
  }

  private async finish(commit: EpochCommit): Promise<void> {
    if (this.state === 'over') throw overError()
    const task = this.task(commit.task)
    const open = async () => {
      await this.join(task)
      return this.producer as TransactionalProducer
    }
    try {
      await task.commit(commit, open)
      this.state = 'over'
    } catch (error) {
      this.state = 'over'
      await this.abort()
      throw error
    }
  }

  /** A producer that can't even abort is made anew, which aborts as well. */
  private async abort(): Promise<void> {
    await this.opening?.catch(() => undefined)
    if (this.producer === undefined || this.producer.failure !== undefined) return
    await this.producer.abort().catch(() => undefined)
  }

  private task(name: string | undefined): CheckpointTask {
    if (name === undefined) throw new Error('a transaction was joined that nobody said whose it is')
    return this.taskOf(name)
  }

  private fault(error: unknown): WeirError {
    return this.task(this.name).fault(error, writing)
  }
}

function overError(): WeirError {
  return new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'using the transaction of an epoch: it is over', {
    hint: 'An earlier error ended it; the epoch is tried again.',
  })
}
