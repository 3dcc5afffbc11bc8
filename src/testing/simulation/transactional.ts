import {
  AsyncSubject,
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  endWith,
  expand,
  filter,
  from,
  ignoreElements,
  map,
  Observable,
  of,
  reduce,
  tap,
  throwError,
} from 'rxjs'
import {
  type AcquiredPartition,
  asWeirError,
  type CheckpointStore,
  type EpochCommit,
  type HeldPartition,
  partitionName,
  type StoredChunk,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import {
  type Bounded,
  CheckpointProtocol,
  type Command,
  type Event,
  LogSearch,
  type NewEntry,
  type Read,
  type Search,
} from '../../state/checkpoint-protocol/index.js'
import type { Joined } from './checkpoints.js'
import { type Access, LogReading } from './log-reading.js'
import { TransactionalProducer } from './producer.js'
import type { TransactionServer } from './transactions.js'
import type { Actor } from './world.js'

/** Checkpoints in Kafka as one process reaches them: each task has a transactional producer, under an id of its own. */
export class TransactionalCheckpoints implements CheckpointStore<TransactionalEpoch> {
  private readonly tasks = new Map<string, TransactionalTask>()

  constructor(
    private readonly server: TransactionServer,
    private readonly actor: Actor,
  ) {}

  open(): Observable<never> {
    return EMPTY
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return this.task(task).acquire(partitions)
  }

  release(task: string, partitions: readonly TopicPartition[]): Observable<never> {
    return this.task(task).release(partitions)
  }

  load(task: string, partition: TopicPartition): Observable<StoredChunk> {
    return this.task(task).load(partition)
  }

  /** Where topics stay as they are nobody looks: what a seed has in store for those stays the same. */
  list(app: string): Observable<readonly HeldPartition[]> {
    const { server } = this
    if (!server.cluster.isChanging) return of([])
    return this.task(app)
      .ask(`names of the logs of ${app}`, () => server.logged())
      .pipe(
        concatMap((logged) => {
          const tasks = [...new Set(logged.map(({ task }) => task))]
          const found = tasks.map((task) => this.task(task).find(logged.filter((one) => one.task === task)))
          return concat(...found)
        }),
        reduce((all: readonly HeldPartition[], some) => [...all, ...some], []),
      )
  }

  begin(task = ''): TransactionalEpoch {
    return new TransactionalEpoch(this.task(task))
  }

  close(): Observable<never> {
    return EMPTY
  }

  private task(name: string): TransactionalTask {
    let task = this.tasks.get(name)
    if (task === undefined) this.tasks.set(name, (task = new TransactionalTask(this.server, this.actor, name)))
    return task
  }
}

/** How likely a commit is followed by a truncation. */
const truncates = 0.3

type Commit = (entries: readonly NewEntry[]) => Observable<never>

/** Does what the protocol of checkpoints commands, as the real task does with real brokers. */
export class TransactionalTask implements Access {
  readonly protocol: CheckpointProtocol
  private current: TransactionalProducer | undefined
  private last: Observable<unknown> = EMPTY
  private asked = 0

  constructor(
    readonly server: TransactionServer,
    readonly actor: Actor,
    readonly name: string,
  ) {
    this.protocol = new CheckpointProtocol(name, `${actor.name}.${name}`)
  }

  acquire(partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return this.inTurn(() => {
      const token = `${this.protocol.id}.${++this.asked}`
      return this.request({ on: 'acquire', partitions, token })
    })
  }

  release(partitions: readonly TopicPartition[]): Observable<never> {
    return this.inTurn(() => this.request({ on: 'release', partitions })).pipe(ignoreElements())
  }

  load(source: TopicPartition): Observable<StoredChunk> {
    return defer(() => {
      const loading = this.protocol.loading(source)
      const chunks: StoredChunk[] = []
      const give = (given: readonly StoredChunk[]) => chunks.push(...given)
      return this.run(
        () => loading.start(),
        (event) => loading.handle(event),
        { give },
      ).pipe(concatMap(() => from(chunks)))
    })
  }

  /** What is held of these partitions, as their logs say. */
  find(sources: readonly TopicPartition[]): Observable<readonly HeldPartition[]> {
    return defer(() => {
      const search = new LogSearch(sources.map(({ topic, partition }) => ({ topic, partition })))
      const logs = new LogReading(this)
      return of(search.start()).pipe(
        expand((command) =>
          this.look(command, logs).pipe(
            map((event) => search.handle(event)),
            filter((next) => next !== undefined),
          ),
        ),
        ignoreElements(),
        endWith(search),
        map((done) => done.all().flatMap((head) => head.asHeld() ?? [])),
      )
    })
  }

  /** The producer of the transactions. Errors when there is none any more. */
  producer(): TransactionalProducer {
    this.notice()
    const { fault } = this.protocol
    if (fault !== undefined) throw fault
    return this.current as TransactionalProducer
  }

  commit(commit: EpochCommit, write: Commit): Observable<never> {
    // A copy: what is carried out late must not see what became of the epoch's buffers.
    const sent = structuredClone(commit)
    return concat(
      this.inTurn(() => this.request({ on: 'commit', commit: sent }, { commit: write })).pipe(ignoreElements()),
      defer(() => this.tidy()),
    )
  }

  ask<T>(what: string, execute: () => T, repeatable = false): Observable<T> {
    const unanswered = (why: string) => new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `${what}: ${why}`)
    return this.server.cluster.link.request(this.actor, { what, execute, unanswered, repeatable })
  }

  /** One request after the other, each to its end, whoever still waits for it. */
  private inTurn<T>(step: () => Observable<T>): Observable<T> {
    return defer(() => {
      const result = new AsyncSubject<T>()
      const before = this.last.pipe(
        ignoreElements(),
        catchError(() => EMPTY),
      )
      concat(before, defer(step)).subscribe(result as AsyncSubject<unknown>)
      this.last = result
      return result
    })
  }

  private request(event: Event, extras: Extras = {}): Observable<readonly AcquiredPartition[]> {
    this.notice()
    return this.run(
      () => this.protocol.handle(event),
      (next) => this.protocol.handle(next),
      extras,
    ).pipe(
      catchError((error: unknown) => {
        this.protocol.handle({ on: 'failed', error: asWeirError(error) })
        return throwError(() => error)
      }),
    )
  }

  private run(
    start: () => Command,
    handle: (event: Event) => Command,
    extras: Extras,
  ): Observable<readonly AcquiredPartition[]> {
    const logs = new LogReading(this)
    return defer(() => of(start())).pipe(
      expand((command) =>
        command.do === 'answer' ? EMPTY : this.perform(command, logs, extras).pipe(map((event) => handle(event))),
      ),
      filter((command) => command.do === 'answer'),
      map(({ acquired }) => acquired),
    )
  }

  private perform(
    command: Exclude<Command, { do: 'answer' }>,
    logs: LogReading,
    { commit, give }: Extras,
  ): Observable<Event> {
    const { server, name } = this
    switch (command.do) {
      case 'prepare':
        return after(
          this.ask('making logs', () => server.prepare(name, command.partitions)),
          { on: 'prepared' },
        )
      case 'renew':
        return this.ask(`init of ${this.protocol.id}`, () => server.init(this.protocol.id)).pipe(
          map((epoch): Event => {
            this.current = new TransactionalProducer(this, { id: this.protocol.id, epoch })
            return { on: 'renewed' }
          }),
        )
      case 'bound':
      case 'seek':
      case 'read':
        return this.look(command, logs)
      case 'fence': {
        const fencing = command.owners.map((owner) => this.ask(`fencing of ${owner}`, () => server.init(owner)))
        return after(concat(...fencing), { on: 'fenced' })
      }
      case 'write': {
        const said = command.entries.map(({ source, entry }) => `${entry.kind} ${partitionName(source)}`).join(', ')
        return after(
          this.ask(said, () => server.mark(this.actor, name, command.entries)),
          { on: 'written' },
        )
      }
      case 'commit':
        return after(commit?.(command.entries) ?? EMPTY, { on: 'committed' })
      case 'give':
        give?.(command.chunks)
        return of({ on: 'given', isWanted: true })
      case 'refuse':
        return throwError(() => command.error)
    }
  }

  private look(command: Search, logs: LogReading): Observable<Bounded | Read> {
    const { server, name } = this
    if (command.do === 'seek') return logs.seek(command.positions)
    if (command.do === 'read') return logs.read()
    const what = `bounds of ${command.partitions.map(partitionName).join(', ')}`
    const asked = this.ask(what, () => server.bounds(name, command.partitions))
    return asked.pipe(map((bounds) => ({ on: 'bounded', bounds })))
  }

  /** A producer fails at any time: the protocol is told when it matters. */
  private notice(): void {
    const failure = this.current?.failure
    if (failure !== undefined) this.protocol.handle({ on: 'lost', error: failure })
  }

  /** Nobody waits for it. */
  private tidy(): Observable<never> {
    const { server, name, protocol } = this
    if (!server.cluster.world.random.chance(truncates)) return EMPTY
    const { truncation } = protocol
    const command = truncation.handle({ on: 'tidy' })
    if (command.do !== 'ask') return EMPTY
    const over = () => void truncation.handle({ on: 'over' })
    this.ask('ends of logs', () => server.bounds(name, command.partitions))
      .pipe(
        concatMap((bounds) => {
          const ends = bounds.map(({ topic, partition, end }) => ({ topic, partition, offset: end }))
          const next = truncation.handle({ on: 'ends', ends })
          if (next.do !== 'delete') return EMPTY
          const places = next.before.map((at) => `${partitionName(at)}@${at.offset}`).join(', ')
          return this.ask(`truncation of logs up to ${places}`, () => server.truncate(name, next.before))
        }),
      )
      .subscribe({ error: over, complete: over })
    return EMPTY
  }
}

/** What carries a command out that not every request has. */
interface Extras {
  readonly commit?: Commit
  readonly give?: (chunks: readonly StoredChunk[]) => void
}

function after(work$: Observable<unknown>, event: Event): Observable<Event> {
  return concat(work$.pipe(ignoreElements()), of(event))
}

/** The transaction of one epoch, at the process. */
export class TransactionalEpoch implements Joined {
  /** Undefined before anything has joined. */
  private open: { readonly producer: TransactionalProducer; readonly number: number } | undefined
  private isOver = false

  constructor(private readonly task: TransactionalTask) {}

  insert(values: readonly unknown[], stage: string): Observable<never> {
    return defer(() => {
      if (this.isOver) throw over()
      const { producer, number } = this.begun()
      return producer.write(number, `${values.length}`, { results: { topic: `results of ${stage}`, values } })
    })
  }

  commit(commit: EpochCommit): Observable<never> {
    return defer(() => {
      if (this.isOver) throw over()
      return this.task.commit(commit, (entries) => {
        const { producer, number } = this.begun()
        const written = producer.write(number, `${entries.length} entries`, { entries })
        return concat(
          entries.length === 0 ? EMPTY : written,
          defer(() => producer.commit(number, commit)),
        )
      })
    }).pipe(tap({ complete: () => (this.isOver = true) }))
  }

  rollback(): Observable<never> {
    return defer(() => {
      const { open, isOver } = this
      this.isOver = true
      return isOver || open === undefined ? EMPTY : open.producer.abort(open.number)
    })
  }

  private begun() {
    if (this.open === undefined) {
      const producer = this.task.producer()
      this.open = { producer, number: producer.begin() }
    }
    return this.open
  }
}

function over(): WeirError {
  return new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'using the transaction of an epoch: it is over')
}
