import {
  concat,
  defer,
  EMPTY,
  from,
  ignoreElements,
  mergeMap,
  NEVER,
  Observable,
  of,
  type Subscriber,
  type Subscription,
  tap,
  timer,
  VirtualTimeScheduler,
} from 'rxjs'
import { z } from 'zod'
import { compile, Engine, Flow, type FlowStatus, type Observer, type WeirConfig } from '../../src/engine/index.js'
import {
  type AcquiredPartition,
  type AssignmentChange,
  type CheckpointStore,
  type DeadLetterSink,
  defineConnection,
  defineOperator,
  defineSink,
  defineSource,
  type Epoch,
  type EpochCommit,
  type EpochTransaction,
  type Logger,
  type PartitionEnd,
  type Position,
  type RejectionPolicy,
  type SinkTask,
  type SourceTask,
  StreamRecord,
  silentLogger,
  type TopicPartition,
} from '../../src/model/index.js'
import { MemoryCheckpoints } from '../../src/state/index.js'

/** What a test may have a part do in place of its usual answer: wait, fail, never answer. */
type Answer = () => Observable<never>

/** Tells what happened, and when: `'500 connect'`. */
export class Diary {
  readonly entries: string[] = []

  constructor(private readonly scheduler: VirtualTimeScheduler) {}

  note(what: string): void {
    this.entries.push(`${this.scheduler.now()} ${what}`)
  }

  /** The entries since the last call. */
  take(): string[] {
    return this.entries.splice(0)
  }
}

const topic = 't'
const named = (partitions: readonly number[]): TopicPartition[] => partitions.map((partition) => ({ topic, partition }))
const numbers = (partitions: readonly TopicPartition[]) => partitions.map(({ partition }) => partition).join(',')
const places = (positions: readonly Position[]) =>
  positions.map(({ partition, offset }) => `${partition}@${offset}`).join(',')

/** A source whose group and whose records the test moves. */
export class BenchSource implements SourceTask<string> {
  readonly logs = new Map<number, string[]>()
  /** The most records that one epoch was given. */
  largestEpoch = 0
  /** Records given and not yet committed. */
  given = 0
  connections = 0
  startWith: Answer = () => EMPTY
  commitWith: Answer = () => EMPTY
  lifetimeWith: Answer = () => NEVER
  private readonly next = new Map<number, number>()
  private group: Subscriber<AssignmentChange> | undefined
  private reader: { readonly epoch: Epoch; readonly out: Subscriber<StreamRecord<string>> } | undefined

  constructor(
    private readonly diary: Diary,
    /** How many bytes a record counts. */
    private readonly bytes: number,
  ) {}

  readonly lifetime$: Observable<never> = defer(() => {
    this.diary.note('lifetime')
    return this.lifetimeWith()
  })

  readonly assignments$ = new Observable<AssignmentChange>((subscriber) => {
    this.diary.note('connect')
    this.connections++
    this.group = subscriber
    this.next.clear()
    return () => {
      this.connections--
      this.diary.note('disconnect')
    }
  })

  assign(partitions: readonly number[], total = partitions.length): void {
    this.group?.next({
      kind: 'assigned',
      partitions: named(partitions),
      total,
      start: (positions) =>
        concat(
          defer(() => this.startWith()),
          defer(() => {
            const own = positions.filter(({ partition }) => partitions.includes(partition))
            this.diary.note(`start ${numbers(named(partitions))} at ${places(own)}`)
            for (const partition of partitions) this.next.set(partition, 0)
            for (const { partition, offset } of own) this.next.set(partition, offset)
            return EMPTY
          }),
        ),
    })
  }

  revoke(partitions: readonly number[], { lost = false } = {}): void {
    this.group?.next({
      kind: 'revoked',
      partitions: named(partitions),
      lost,
      release: () =>
        defer(() => {
          this.diary.note(`release ${partitions.join(',')}`)
          for (const partition of partitions) this.next.delete(partition)
          return EMPTY
        }),
    })
  }

  /** The group fails. */
  fail(error: unknown): void {
    this.group?.error(error)
  }

  /** Writes records into a partition. */
  feed(partition: number, ...values: string[]): void {
    this.logs.set(partition, [...(this.logs.get(partition) ?? []), ...values])
    this.deliver()
  }

  read(epoch: Epoch): Observable<StreamRecord<string>> {
    return new Observable((out) => {
      this.reader = { epoch, out }
      this.given = 0
      out.add(() => (this.reader = undefined))
      out.add(epoch.cut$.subscribe(() => out.complete()))
      this.deliver()
    })
  }

  positions(): readonly Position[] {
    return [...this.next].map(([partition, offset]) => ({ topic, partition, offset }))
  }

  rewind(positions: readonly Position[]): Observable<never> {
    return defer(() => {
      this.diary.note(`rewind to ${places(positions)}`)
      for (const { partition, offset } of positions) if (this.next.has(partition)) this.next.set(partition, offset)
      return EMPTY
    })
  }

  commit(positions: readonly Position[]): Observable<never> {
    return concat(
      defer(() => this.commitWith()),
      defer(() => {
        this.diary.note(`mirror ${places(positions)}`)
        return EMPTY
      }),
    )
  }

  ends(): Observable<readonly PartitionEnd[]> {
    return defer(() => of(this.positions().map((at) => ({ ...at, end: this.logs.get(at.partition)?.length ?? 0 }))))
  }

  private deliver(): void {
    for (let at = this.readable(); at !== undefined && this.reader !== undefined; at = this.readable()) {
      const { epoch, out } = this.reader
      if (epoch.room() <= 0) return
      const [partition, offset] = at
      this.next.set(partition, offset + 1)
      this.given++
      this.largestEpoch = Math.max(this.largestEpoch, this.given)
      const value = this.logs.get(partition)?.[offset] as string
      out.next(new StreamRecord(null, value, 0, [], { topic, partition, offset }))
      epoch.take(1, this.bytes)
    }
  }

  /** Where a record waits. */
  private readable(): [partition: number, offset: number] | undefined {
    return [...this.next].find(([partition, offset]) => offset < (this.logs.get(partition)?.length ?? 0))
  }
}

/** A sink that notes what it is given, and acknowledges when the test lets it. */
export class BenchSink implements SinkTask<string> {
  openWith: Answer = () => EMPTY
  acknowledgeWith: Answer = () => EMPTY
  closeWith: Answer = () => EMPTY
  committedWith: Answer = () => EMPTY
  writeWith: (value: string) => void = () => undefined
  /** Where it holds partitions back until they leave, and notes that they do. */
  holdsAt: number | undefined
  leaving: () => readonly TopicPartition[] = () => []

  constructor(private readonly diary: Diary) {}

  holds(): number | undefined {
    return this.holdsAt
  }

  open(): Observable<never> {
    return defer(() => {
      this.diary.note('open')
      return this.openWith()
    })
  }

  write(records$: Observable<StreamRecord<string>>): Observable<never> {
    return defer(() => {
      const values: string[] = []
      const acknowledged$ = defer(() => {
        if (values.length > 0) this.diary.note(`write ${values.join(',')}`)
        if (this.holdsAt !== undefined) this.endHolding()
        return this.acknowledgeWith()
      })
      const taken$ = records$.pipe(
        tap(({ value }) => {
          this.writeWith(value)
          values.push(value)
        }),
        ignoreElements(),
      )
      return concat(taken$, acknowledged$)
    })
  }

  private endHolding(): void {
    const leaving = this.leaving()
    if (leaving.length === 0) return
    this.diary.note(`leaving ${numbers(leaving)}`)
    this.holdsAt = undefined
  }

  committed(): Observable<never> {
    return defer(() => this.committedWith())
  }

  close(): Observable<never> {
    return defer(() => {
      this.diary.note('close')
      return this.closeWith()
    })
  }
}

/** Checkpoints in memory that note what is asked of them, and fail when the test says so. */
export class BenchCheckpoints implements CheckpointStore {
  readonly transactions: { commits: number; rollbacks: number }[] = []
  acquireWith: Answer = () => EMPTY
  /** Before the commit happens. */
  commitWith: Answer = () => EMPTY
  /** After it has happened, before that is known. */
  confirmWith: Answer = () => EMPTY
  private readonly memory = new MemoryCheckpoints()

  constructor(private readonly diary: Diary) {}

  open(): Observable<never> {
    return EMPTY
  }

  acquire(task: string, partitions: readonly TopicPartition[]): Observable<readonly AcquiredPartition[]> {
    return defer(() => {
      this.diary.note(`acquire ${numbers(partitions)}`)
      return concat(this.acquireWith(), this.memory.acquire(task, partitions))
    })
  }

  load(task: string, partition: TopicPartition) {
    return defer(() => {
      this.diary.note(`load ${partition.partition}`)
      return this.memory.load(task, partition)
    })
  }

  list(app: string) {
    return this.memory.list(app)
  }

  begin(): EpochTransaction {
    const counts = { commits: 0, rollbacks: 0 }
    this.transactions.push(counts)
    const transaction = this.memory.begin()
    const note = (commit: EpochCommit) =>
      defer(() => {
        const positions = commit.partitions.map((part) => ({ ...part, offset: part.progress.position }))
        this.diary.note(`commit ${places(positions)}`)
        return EMPTY
      })
    return {
      commit: (commit) =>
        defer(() => {
          counts.commits++
          return concat(this.commitWith(), transaction.commit(commit), note(commit), this.confirmWith())
        }),
      rollback: () =>
        defer(() => {
          counts.rollbacks++
          return transaction.rollback()
        }),
    }
  }

  close(): Observable<never> {
    return EMPTY
  }

  /** Another process takes partitions over. */
  steal(partitions: readonly number[]): void {
    this.memory.acquire('app.flow', named(partitions)).subscribe()
  }
}

class BenchDeadLetters implements DeadLetterSink {
  readonly address = 'bench'
  flushWith: Answer = () => EMPTY

  constructor(private readonly diary: Diary) {}

  open = () => EMPTY
  close = () => EMPTY

  write({ record, error, attempts }: Parameters<DeadLetterSink['write']>[0]): void {
    this.diary.note(`dead letter ${String(record.value)} ${error.code} (attempt ${attempts})`)
  }

  flush(): Observable<never> {
    return defer(() => {
      this.diary.note('flush')
      return this.flushWith()
    })
  }
}

export interface BenchOptions {
  /** Keeps a count by value in a store, so that the flow has checkpoints. Default true. */
  readonly stateful?: boolean
  /** Whether it needs all partitions. */
  readonly global?: boolean
  /** Rejects these values. */
  readonly rejects?: readonly string[]
  /** Tells this at the end of each epoch, whatever came. */
  readonly tells?: string
  /** Counts epochs in its store, in partition 0. */
  readonly countsEpochs?: boolean
  /** Takes the offset of a record for its time, ms. */
  readonly timed?: boolean
  readonly onError?: RejectionPolicy
  readonly epoch?: { readonly maxRecords?: number; readonly maxBytes?: number; readonly every?: number }
  readonly attempts?: number
  readonly bytes?: number
  /** Further flows beside the one on the bench. */
  readonly beside?: Record<string, Flow>
  readonly observer?: Observer
  readonly log?: Logger
}

/** One flow, `source → keep → sink`, run by the real engine in virtual time, all of whose surroundings a test moves. */
export class EngineBench {
  readonly scheduler = new VirtualTimeScheduler(undefined, 0)
  readonly diary = new Diary(this.scheduler)
  readonly source: BenchSource
  readonly sink = new BenchSink(this.diary)
  readonly checkpoints = new BenchCheckpoints(this.diary)
  readonly deadLetters = new BenchDeadLetters(this.diary)
  readonly states: string[] = []
  /** The flow, for another bench to run it beside its own. */
  readonly declared: Flow
  readonly engine: Engine
  /** What the store held of each partition after the last record. */
  counts: Record<string, number> = {}
  /** How far each record was behind its partition's time, where they have one, ms. */
  readonly behind: number[] = []
  /** The partitions of which a stage sees state, and those of which it sees the time. */
  kept = () => ({ stores: [] as number[], times: [] as number[] })
  ended: 'no' | 'completed' | 'failed' = 'no'
  private running: Subscription | undefined

  constructor(private readonly options: BenchOptions = {}) {
    this.source = new BenchSource(this.diary, options.bytes ?? 0)
    const { epoch = {}, attempts, beside = {}, observer = {}, log = silentLogger } = options
    this.declared = new Flow([{ source: this.declaredSource(), stages: [] }], [this.keep()], this.declaredSink(), {
      epoch: { every: 100, ...epoch },
      ...(attempts === undefined ? {} : { attempts }),
    })
    const config: WeirConfig = {
      app: 'app',
      connections: { bench: this.connection({}) },
      checkpoints: 'bench',
      flows: { flow: this.declared, ...beside },
    }
    this.engine = new Engine(compile(config, { environment: {} }), {
      clock: { now: () => this.scheduler.now(), scheduler: this.scheduler },
      log,
      http: { serve: () => NEVER },
      production: false,
      dataDirectory: '.',
      checkpoints: this.checkpoints,
      observer: {
        ...observer,
        state: (status) => {
          if (status.flow === 'flow') this.states.push(`${this.scheduler.now()} ${status.state}`)
          observer.state?.(status)
        },
      },
    })
  }

  start(): this {
    this.running = this.engine.run().subscribe({
      complete: () => (this.ended = 'completed'),
      error: () => (this.ended = 'failed'),
    })
    return this.until(0)
  }

  /** Starts with these partitions, all there are, and forgets the diary of it. */
  startWith(partitions: readonly number[]): this {
    this.start().source.assign(partitions)
    this.diary.take()
    return this
  }

  /** Lets virtual time pass up to this moment, ms. */
  until(ms: number): this {
    this.scheduler.maxFrames = ms
    this.scheduler.flush()
    this.scheduler.frame = ms
    return this
  }

  crash(): void {
    this.running?.unsubscribe()
  }

  get status(): FlowStatus {
    return this.engine.status()[0] as FlowStatus
  }

  /** An answer that comes after a while. */
  after(ms: number): Observable<never> {
    return timer(ms, this.scheduler).pipe(ignoreElements())
  }

  private declaredSource() {
    return defineSource({
      name: 'source',
      summary: 'The source on the bench.',
      replayable: true,
      options: z.strictObject({}),
      build: () => this.source,
    }).declare({})
  }

  private declaredSink() {
    return defineSink({
      name: 'sink',
      summary: 'The sink on the bench.',
      options: z.strictObject({}),
      guarantee: () => 'at-least-once',
      build: (_, { leaving }) => {
        if (leaving !== undefined) this.sink.leaving = leaving
        return this.sink
      },
    }).declare({})
  }

  private keep() {
    const {
      stateful = true,
      global = false,
      rejects = [],
      onError = 'dead-letter',
      tells,
      countsEpochs,
      timed,
    } = this.options
    const told = tells === undefined ? [] : [new StreamRecord(null, tells, 0, [], { topic, partition: -1, offset: -1 })]
    return defineOperator({
      name: 'keep',
      summary: 'Counts values in a store, and rejects some.',
      options: z.strictObject({}),
      onError,
      global,
      ...(stateful ? { stores: () => ['counts'] } : {}),
      build: (_options, context) => {
        const codec = { version: 1, save: (value: number) => value, load: (saved: unknown) => saved as number }
        const store = stateful ? context.store('counts', codec) : undefined
        this.kept = () => ({
          stores: [...(store?.partitions() ?? [])].map((part) => part.partition.partition),
          times: context.time.told().map(({ partition }) => partition),
        })
        const take = mergeMap((record: StreamRecord) => {
          const value = String(record.value)
          const { partition, offset } = record.origin
          if (timed === true) this.behind.push(context.time.observe(topic, partition, offset))
          if (rejects.includes(value)) {
            context.reject(record, new Error(`'${value}' is not welcome`))
            return EMPTY
          }
          const part = store?.of(topic, partition)
          const entry = part?.get(0, value) ?? part?.add(0, value, 0)
          if (entry !== undefined) {
            part?.touch(entry)
            this.counts[value] = ++entry.value
          }
          return of(record)
        }, 1)
        const end$ = defer(() => {
          const part = countsEpochs === true ? store?.of(topic, 0) : undefined
          const entry = part?.get(0, 'epochs') ?? part?.add(0, 'epochs', 0)
          if (entry !== undefined) {
            entry.value++
            part?.touch(entry)
          }
          return from(told)
        })
        return (records$) => concat(take(records$), end$)
      },
    }).declare({}) as never
  }

  private readonly connection = defineConnection({
    kind: 'bench',
    summary: 'What the bench has in place of servers.',
    options: z.strictObject({}),
    open: () => ({ address: 'bench', close: () => Promise.resolve() }),
    checkpoints: () => this.checkpoints,
    deadLetters: () => this.deadLetters,
  })
}

/** Emits nothing and never ends, until `release` emits. */
export function held(release: Observable<unknown>): Observable<never> {
  return new Observable((subscriber) => release.subscribe(() => subscriber.complete()))
}
