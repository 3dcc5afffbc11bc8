import { concat, concatMap, defer, NEVER, type Observable } from 'rxjs'
import {
  asWeirError,
  type Clock,
  type Epoch,
  type Position,
  type SourceContext,
  type SourceTask,
  type StoredChunk,
  type StreamRecord,
  silentLogger,
  type TopicPartition,
  type WeirError,
} from '../../src/model/index.js'
import { TaskStores } from '../../src/state/index.js'

/** An epoch that ends after so many records, or when it is cut. */
export function epochOf(records: number, cut$: Observable<unknown> = NEVER): Epoch {
  let left = records
  return { number: 1, room: () => left, take: (taken) => void (left -= taken), cut$ }
}

/** The stores and positions of a source that keeps them in the checkpoint store, and what is committed of them. */
export class SourceBench {
  readonly rejections: WeirError[] = []
  private stores = new TaskStores()
  private committed: number | undefined
  private sequence = 0
  private readonly log: StoredChunk[] = []

  constructor(
    private readonly partition: TopicPartition,
    private readonly clock: Clock,
  ) {}

  /** The source of a process that has just begun, with what was committed. */
  open<T extends SourceTask>(build: (context: SourceContext) => T): T {
    this.stores = new TaskStores()
    const task = build(this.context)
    this.restore()
    return task
  }

  get context(): SourceContext {
    const { stores, clock } = this
    return {
      app: 'test',
      flow: 'flow',
      stage: this.partition.topic.replace(/^.*:/, ''),
      clock,
      log: silentLogger,
      instance: undefined,
      keeps: 'nothing',
      noticed: () => undefined,
      http: { serve: () => NEVER },
      connection: () => {
        throw new Error('this source needs no connection')
      },
      store: (name, codec) => stores.declare(name, codec),
      reject: (_record, error) => void this.rejections.push(asWeirError(error)),
    }
  }

  /** What is committed, as the engine hands it to a source that starts or goes back. */
  get positions(): readonly Position[] {
    return this.committed === undefined ? [] : [{ ...this.partition, offset: this.committed }]
  }

  /** Commits all that the source has emitted. */
  commit(task: SourceTask): Observable<never> {
    const [position] = task.positions() as [Position]
    const { chunks, sequence } = this.stores.commit(position, {})
    this.log.push(...chunks.map((bytes) => ({ sequence, bytes })))
    this.sequence = sequence
    this.committed = position.offset
    return task.commit([position])
  }

  /** The stores fall back to the last commit, and the source with them. */
  rewind(task: SourceTask): Observable<never> {
    this.restore()
    const positions = this.positions.length === 0 ? [{ ...this.partition, offset: 0 }] : this.positions
    return task.rewind(positions, new Error('made'))
  }

  /** Starts the source as the engine does, and reads epoch after epoch, each committed at its end. */
  read<V>(task: SourceTask<V>, epochs: readonly Epoch[]): Observable<StreamRecord<V>> {
    return task.assignments$.pipe(
      concatMap((change) => {
        if (change.kind !== 'assigned') return NEVER
        const committed = epochs.map((epoch) =>
          concat(
            task.read(epoch),
            defer(() => this.commit(task)),
          ),
        )
        return concat(change.start(this.positions), ...committed, NEVER)
      }),
    )
  }

  private restore(): void {
    this.stores.assign({ ...this.partition, generation: 1, sequence: this.sequence, progress: undefined })
    for (const chunk of this.log) this.stores.restore(this.partition, chunk)
  }
}
