import { defer, EMPTY, of, Subject, type Subscription, tap, type VirtualTimeScheduler } from 'rxjs'
import { z } from 'zod'
import { compile, Engine, type Flow, type FlowStatus, memory } from '../engine/index.js'
import {
  Batch,
  type ChannelRequest,
  type ChannelWriter,
  type DeadLetter,
  type DeclaredConnection,
  defineConnection,
  type Environment,
  type Logger,
  type Sink,
  type SinkTask,
  type Source,
  StreamRecord,
  silentLogger,
  storeKeyOf,
  type WeirError,
} from '../model/index.js'
import { MemoryCheckpoints } from '../state/index.js'
import { LogSource } from './log-source.js'
import { RestoreCheck } from './restore-check.js'
import { asRead, triesAgain, withStandIns } from './stand-ins.js'
import { VirtualClock } from './virtual-clock.js'

export interface VirtualFlowOptions {
  readonly environment?: Environment
  /** Limits of an epoch. Default: one record an epoch, so that everything happens when its record comes. */
  readonly epoch?: { readonly maxRecords?: number; readonly everyMs?: number; readonly lingerMs?: number }
  /** How many records each epoch takes at the most: to cut epochs at random places. */
  readonly epochSize?: (epoch: number) => number
  /** Whether records of a key meet by way of an internal topic, as they do where processes share a source. */
  readonly repartition?: boolean
  /** Called before each write; what it throws is the sink's error. */
  readonly beforeWrite?: (written: Written) => void
  readonly log?: Logger
  /** The connections of its operators; sources and sinks are replaced, and need none. */
  readonly connections?: Readonly<Record<string, DeclaredConnection>>
}

/** A value that reached a sink. */
export interface Written {
  /** The name of the sink's stage. */
  readonly sink: string
  /** Behind `batch`: the array of the values in it. */
  readonly value: unknown
  readonly record: StreamRecord
  /** Virtual ms. */
  readonly at: number
}

/** Where a record is put into a source, besides its value. */
export interface Placed {
  readonly partition?: number
  readonly key?: string | Buffer | null
  /** The timestamp that it brings, ms. Without one it has none of its own, and that of its moment stands in. */
  readonly timestamp?: number
}

/**
 * A whole flow in virtual time: the real engine and the real operators between logs in place of its sources and lists
 * in place of its sinks. It can crash at any moment and be started again, as often as you like.
 */
export class VirtualFlow {
  /** All that reached a sink, in order; what a failed epoch wrote is here too. */
  readonly written: Written[] = []
  readonly deadLetters: DeadLetter[] = []
  /** Why an epoch failed last, whether or not its replay succeeded. */
  lastError: WeirError | undefined
  /** Its time. The wall part can be set, to see what becomes of a flow then. */
  readonly clock: VirtualClock
  readonly written$ = new Subject<Written>()
  readonly deadLetters$ = new Subject<DeadLetter>()
  private readonly sources: LogSource[] = []
  private readonly declaredSources: Source<unknown>[] = []
  private readonly internals = new Map<string, LogSource>()
  private readonly checkpoints = new MemoryCheckpoints()
  private readonly flow: Flow
  /** Whether there may be topics beside those of its sources. */
  private readonly hasTopics: boolean
  private readonly settled = new Set<Written>()
  private engine: Engine | undefined
  private running: Subscription | undefined
  /** What a restore would not bring back. */
  private lossy: string | undefined

  constructor(
    declared: Flow,
    private readonly scheduler: VirtualTimeScheduler,
    private readonly options: VirtualFlowOptions = {},
  ) {
    this.clock = new VirtualClock(scheduler)
    // So that no record of today claims to be of the future.
    this.clock.jump(Date.now())
    const { maxRecords = 1, everyMs = 10, lingerMs } = options.epoch ?? {}
    this.hasTopics = options.repartition === true || triesAgain(declared)
    this.flow = withStandIns(
      declared,
      { source: (source) => this.logOf(source), sink: (sink) => this.listOf(sink) },
      { epoch: { maxRecords, every: everyMs, ...(lingerMs === undefined ? {} : { linger: lingerMs }) } },
    )
  }

  /** What reached a sink in epochs that were committed, in order: what a transactional sink would hold. */
  get committed(): readonly Written[] {
    return this.written.filter((written) => this.settled.has(written))
  }

  /** Writes a value into the log of a source, at a virtual time. Objects become JSON where the source reads bytes. */
  append(at: number, value: unknown, { partition = 0, key = null, timestamp }: Placed = {}, source = 0): void {
    const log = this.sources[source] as LogSource
    const bytes = asRead(this.declaredSources[source] as Source<unknown>, value)
    const origin = {
      topic: log.topic,
      partition,
      offset: log.end(partition),
      key,
      value: bytes,
      timestamp,
      headers: [],
    }
    log.append(at, new StreamRecord(key, bytes, timestamp ?? at, [], origin))
  }

  /** Gives the topic of a source a partition that may stay empty. */
  reserve(partition: number, source = 0): void {
    this.sources[source]?.reserve(partition)
  }

  /** Starts the flow, or starts it again from its last commit after a crash. */
  start(): void {
    const topology = compile(
      {
        app: 'test',
        connections: { ...this.options.connections, test: this.deadLetterConnection({}) },
        checkpoints: memory(),
        deadLetters: 'test',
        flows: { flow: this.flow },
      },
      { environment: this.options.environment ?? {} },
    )
    this.engine = new Engine(topology, {
      clock: this.clock,
      log: this.options.log ?? silentLogger,
      http: { serve: () => EMPTY },
      production: false,
      dataDirectory: '.',
      checkpoints: this.checkpoints,
      observer: {
        epoch: ({ part }) => {
          this.lossy ??= check.committed(part)
        },
        state: ({ error }) => {
          this.lastError = error ?? this.lastError
        },
      },
    })
    const check = new RestoreCheck(this.engine, this.checkpoints, 'test')
    this.running = this.engine.run().subscribe()
  }

  /**
   * Ends the process at this very moment: nothing is drained, nothing committed.
   * Errors: what a restore would bring otherwise than it was in memory after one of its commits.
   */
  crash(): void {
    this.running?.unsubscribe()
    this.refuseLossy()
  }

  /** Drains, commits and ends. */
  stop(): void {
    this.engine?.stop()
  }

  /** What is lost at a restart looks right until then, so the kit fails a test for it. */
  private refuseLossy(): void {
    if (this.lossy !== undefined) throw new Error(this.lossy)
  }

  status(): FlowStatus | undefined {
    return this.engine?.status()[0]
  }

  private logOf(source: Source<unknown>): Source<unknown> {
    const { definition } = source
    const log = new LogSource(`${definition.name}-${this.sources.length}`, this.scheduler, this.options.epochSize)
    this.sources.push(log)
    this.declaredSources.push(source)
    const { connection: _, reads: __, ...unconnected } = definition
    const build = () => log
    if (!this.hasTopics) return { ...source, definition: { ...unconnected, build } }
    const reads = () => ({ topics: [log.topic], partitions: log.partitions, create: true })
    return { ...source, definition: { ...unconnected, connection: 'test', reads, build } }
  }

  /** The internal topic of that name; what is in it survives a crash. */
  private internal({ topic, like }: ChannelRequest): LogSource {
    const known = this.internals.get(topic)
    if (known !== undefined) return known
    const log = new LogSource(topic, this.scheduler, undefined)
    const counts = like === 'single' ? [1] : like.map(({ partitions }) => partitions)
    log.reserve(Math.max(...counts) - 1)
    this.internals.set(topic, log)
    return log
  }

  private channelWriter(request: ChannelRequest): ChannelWriter {
    const log = this.internal(request)
    return {
      open: () => of(log.partitions),
      write: ({
        key,
        value,
        partition = key === null ? 0 : hashOf(String(storeKeyOf(key))) % log.partitions,
        headers = [],
      }) => {
        const at = this.scheduler.now()
        const origin = {
          topic: log.topic,
          partition,
          offset: log.end(partition),
          key,
          value,
          timestamp: at,
          headers,
        }
        log.append(at, new StreamRecord(key, value, at, headers, origin))
      },
      flush: () => EMPTY,
      ends: () =>
        of(
          Array.from({ length: log.partitions }, (_, partition) => {
            return { topic: log.topic, partition, offset: log.end(partition) }
          }),
        ),
      close: () => EMPTY,
    }
  }

  private listOf(sink: Sink<never>): Sink<never> {
    const { connection: _, ...unconnected } = sink.definition
    return {
      ...sink,
      definition: { ...unconnected, build: (_options, { stage }) => this.sinkTask(stage) },
    }
  }

  /** Each sink holds what it wrote until its own epoch is committed: another part of the flow has commits of its own. */
  private sinkTask(sink: string): SinkTask {
    let uncommitted: Written[] = []
    return {
      write: (records$) =>
        defer(() => {
          uncommitted = []
          return records$
        }).pipe(
          tap((record) => {
            const value = record.value instanceof Batch ? record.value.values : record.value
            const written = { sink, value, record, at: this.scheduler.now() }
            this.options.beforeWrite?.(written)
            this.written.push(written)
            uncommitted.push(written)
            this.written$.next(written)
          }),
        ),
      committed: () => {
        for (const written of uncommitted) this.settled.add(written)
        uncommitted = []
        return EMPTY
      },
    }
  }

  private readonly deadLetterConnection = defineConnection({
    kind: 'test',
    summary: 'Keeps dead letters in a list.',
    options: z.strictObject({}),
    open: () => ({ address: 'test', close: () => Promise.resolve() }),
    channel: {
      writer: (_connection, request) => this.channelWriter(request),
      source: (_connection, request) => this.internal(request),
    },
    deadLetters: () => ({
      address: 'test',
      open: () => EMPTY,
      write: (letter) => {
        this.deadLetters.push(letter)
        this.deadLetters$.next(letter)
      },
      flush: () => EMPTY,
      close: () => EMPTY,
    }),
  })
}

/** Spreads keys over partitions; any function of the key does. */
function hashOf(key: string): number {
  return [...key].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) >>> 0, 7)
}
