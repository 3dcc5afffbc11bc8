import { concatMap, defer, EMPTY, from, ignoreElements, map, type Observable, toArray } from 'rxjs'
import { changeProgress } from '../../engine/index.js'
import {
  type AcquiredPartition,
  type CheckpointStore,
  type EpochCommit,
  type EpochTransaction,
  type HeldPartition,
  type PartitionProgress,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import type { Judge } from './judge.js'
import { Link } from './link.js'
import type { Actor, World } from './world.js'

interface Owner {
  readonly name: string
  readonly generation: number
  position: number
  /** Tells the topic from others of its name. */
  topicId: string | undefined
}

/** The server that keeps checkpoints, and the rows that joined them. */
export class CheckpointServer {
  readonly link: Link
  private readonly owners = new Map<string, Owner>()

  constructor(
    private readonly world: World,
    private readonly judge: Judge,
    private readonly store: CheckpointStore,
  ) {
    this.link = new Link(world, 'checkpoints')
  }

  acquire(who: Actor, task: string, partitions: readonly TopicPartition[]): readonly AcquiredPartition[] {
    const [acquired = []] = now(this.store.acquire(task, partitions))
    for (const partition of acquired) {
      const { position = 0, facts } = partition.progress ?? {}
      const { generation } = partition
      this.owners.set(keyOf(task, partition), { name: who.name, generation, position, topicId: facts?.id })
    }
    return acquired
  }

  load(task: string, partition: TopicPartition): readonly StoredChunk[] {
    return now(this.store.load(task, partition))
  }

  list(app: string): readonly HeldPartition[] {
    return now(this.store.list(app)).flat()
  }

  /** The checkpoints of the partitions that a process has by now, at once. */
  ofOwner(who: Actor): Pick<CheckpointStore, 'list' | 'load'> {
    const isOwn = (held: HeldPartition) => this.owners.get(keyOf(held.task, held))?.name === who.name
    return {
      list: (app) => this.store.list(app).pipe(map((all) => all.filter(isOwn))),
      load: (task, partition) => this.store.load(task, partition),
    }
  }

  /** Somebody changes what is known of a partition, whoever has it. */
  change(held: HeldPartition, change: (progress: PartitionProgress | undefined) => PartitionProgress): void {
    now(changeProgress(this.store, held, change))
  }

  /** Commits positions, state and rows: all or none. */
  commit(who: Actor, commit: EpochCommit, rows: readonly unknown[]): void {
    now(this.store.begin().commit(commit))
    const { task, partitions } = commit
    for (const partition of partitions) this.checkOwner(who, task, partition)
    for (const row of rows) this.judge.effect(who.name, row, true)
    this.judge.committed(
      partitions.map(({ topic, partition, progress: { position, watermark, facts } }) => {
        return { topic, partition, offset: position, watermark, facts }
      }),
    )
  }

  /** What the store let through has to be by the one who acquired the partition last, and go forward. */
  private checkOwner(who: Actor, task: string, partition: EpochCommit['partitions'][number]): void {
    const owner = this.owners.get(keyOf(task, partition))
    const { progress } = partition
    const name = partitionName(partition)
    if (owner?.name !== who.name || owner.generation !== partition.generation) {
      this.world.breaks(`no effect counts after fencing: ${who.name} committed ${name}, ${owner?.name} has it`)
    } else if (this.goesBack(partition, owner)) {
      this.world.breaks(`positions do not go back: ${name} from ${owner.position} to ${progress.position}`)
    }
    if (owner !== undefined) Object.assign(owner, { position: progress.position, topicId: progress.facts?.id })
  }

  /** In another topic of that name it begins anew, and in one that has lost its end it may have been told to. */
  private goesBack({ progress, ...at }: EpochCommit['partitions'][number], owner: Owner): boolean {
    if (progress.position >= owner.position || progress.facts?.id !== owner.topicId) return false
    return !this.judge.mayGoBack(at)
  }
}

/** A transaction that sinks join. */
export interface Joined extends EpochTransaction {
  /** Writes values that nobody sees before the commit. */
  insert(values: readonly unknown[], stage: string): Observable<never>
}

/** The transaction of one epoch, at the process. */
export class SimulatedTransaction implements Joined {
  private readonly rows: unknown[] = []
  private isOver = false

  constructor(
    private readonly server: CheckpointServer,
    private readonly actor: Actor,
  ) {}

  insert(rows: readonly unknown[]): Observable<never> {
    return this.server.link
      .request(this.actor, {
        what: `insert of ${rows.length}`,
        execute: () => {
          if (!this.isOver) this.rows.push(...rows)
        },
        unanswered: (why) => new WeirError('WEIR_SINK_FAILED', `inserting rows: ${why}`),
      })
      .pipe(ignoreElements())
  }

  commit(commit: EpochCommit): Observable<never> {
    const { actor, server } = this
    return defer(() => {
      // A copy: what is carried out late must not see what became of the epoch's buffers.
      const sent = structuredClone(commit)
      return server.link.request(actor, {
        what: `commit of ${placesOf(commit)}`,
        execute: () => {
          this.isOver = true
          server.commit(actor, sent, this.rows)
        },
        unanswered: (why) => new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `committing: ${why}`),
      })
    }).pipe(ignoreElements())
  }

  /** The connection ends: rows that come later find no transaction. A commit that was sent may still be carried out. */
  rollback(): Observable<never> {
    return defer(() => {
      this.isOver = true
      return EMPTY
    })
  }
}

/** Checkpoints as one process reaches them. */
export class SimulatedCheckpoints implements CheckpointStore<SimulatedTransaction> {
  constructor(
    private readonly server: CheckpointServer,
    private readonly actor: Actor,
  ) {}

  open(): Observable<never> {
    return this.ask('open', () => undefined).pipe(ignoreElements())
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    const what = `acquire ${partitions.map(partitionName).join(', ')}`
    return this.ask(what, () => this.server.acquire(this.actor, task, partitions))
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    return this.ask(`load ${partitionName(partition)}`, () => this.server.load(task, partition)).pipe(
      concatMap((chunks) => from(chunks)),
    )
  }

  list(app: string): Observable<readonly HeldPartition[]> {
    return this.ask('list', () => this.server.list(app))
  }

  begin(): SimulatedTransaction {
    return new SimulatedTransaction(this.server, this.actor)
  }

  close(): Observable<never> {
    return EMPTY
  }

  private ask<T>(what: string, execute: () => T): Observable<T> {
    return this.server.link.request(this.actor, {
      what,
      execute,
      unanswered: (why) => new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `${what}: ${why}`),
    })
  }
}

/** What an observable emits that does everything at once. */
function now<T>(source$: Observable<T>): T[] {
  let result: T[] | undefined
  let failure: { readonly error: unknown } | undefined
  source$.pipe(toArray()).subscribe({ next: (all) => (result = all), error: (error: unknown) => (failure = { error }) })
  if (failure !== undefined) throw failure.error
  if (result === undefined) throw new TypeError('a simulated store answers at once')
  return result
}

function keyOf(task: string, partition: TopicPartition): string {
  return `${task} ${partitionName(partition)}`
}

function placesOf({ partitions }: EpochCommit): string {
  return partitions.map((partition) => `${partitionName(partition)}@${partition.progress.position}`).join(', ')
}
