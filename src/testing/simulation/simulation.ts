import { z } from 'zod'
import { compile, Flow, type Topology } from '../../engine/index.js'
import { repartitionSink } from '../../engine/repartition/repartition-sink.js'
import { type SubTopology, sinksOf } from '../../engine/topology.js'
import {
  type ChannelKind,
  type ChannelWriter,
  type CheckpointStore,
  type Duration,
  defineConnection,
  durationMs,
  type Environment,
  type ErrorCode,
  type Sink,
  type SinkContext,
  type SinkTask,
  type Source,
  type SourceContext,
  type SourceTask,
  type TopicPartition,
} from '../../model/index.js'
import { MemoryCheckpoints } from '../../state/index.js'
import { withStandIns } from '../stand-ins.js'
import { type Accounting, Accounts } from './accounts.js'
import { simulatedChannel } from './channel.js'
import { CheckpointServer, SimulatedCheckpoints } from './checkpoints.js'
import { Cluster } from './cluster.js'
import type { SimulatedConnection } from './connection.js'
import { Fleet } from './fleet.js'
import { isMade, type PlacedInput, place, type SimulatedInput, topicsOf } from './inputs.js'
import { Judge, type LastTopics } from './judge.js'
import { LetterTopic, SimulatedLetters } from './letters.js'
import { Link } from './link.js'
import type { Model } from './models.js'
import { SimulatedProcess } from './process.js'
import { Random } from './random.js'
import { SimulatedReader } from './reader.js'
import { type Outlet, SimulatedSink } from './sink.js'
import { type Fault, faults, Storm } from './storm.js'
import { TimeSetting } from './time-setting.js'
import { TopicChanges, type TopicFault } from './topic-changes.js'
import { TransactionalCheckpoints } from './transactional.js'
import { TransactionServer } from './transactions.js'
import { type Actor, World } from './world.js'

export interface SimulateOptions<V = unknown> {
  /** A whole number. The same seed does the same, to the last line of the trace. */
  readonly seed: number
  /** What may go wrong. Default: everything. */
  readonly faults?: readonly Fault[]
  /**
   * What is written to the sources' topics, in this order, while things go wrong. Of a source that makes its records by itself it is
   * what has to be found, by `accounts`.
   */
  readonly input: (random: Random) => readonly SimulatedInput<V>[]
  /** What must come out. Without it only what holds for any flow is checked. */
  readonly model?: Model
  /** How records are found again: each has to be in the results or in the dead letters, and never in both. */
  readonly accounts?: Accounting
  /** Which values the sinks refuse, each for what it is; where it throws, a function of the sink has. */
  readonly refuses?: (value: unknown) => boolean
  /** A sink that is not one of values, one by one. It tells the judge what has become durable. */
  readonly sink?: (outlet: Outlet, context: SinkContext) => SinkTask
  /** How large a record may be that the sinks take, encoded, and a dead letter with all that is in it: bytes. */
  readonly limits?: { readonly record?: number; readonly letter?: number }
  /** What may become of the sources' topics. Default: nothing. The flow needs `accounts`, for no model knows what is lost. */
  readonly topics?: readonly TopicFault[]
  /** Event time is set back to `to`, ms, once all is read that is `before` that; only then the rest is written. */
  readonly setsTime?: { readonly to: number; before(value: V): boolean }
  /** How many partitions each topic has. Default 3. */
  readonly partitions?: number
  /** How many processes there are at the most. Default 3. */
  readonly members?: number
  /**
   * Whether records of a key meet by way of an internal topic where processes share a source. Default true, as it is with
   * Kafka; else a flow that needs all partitions in one place has one process at a time.
   */
  readonly repartition?: boolean
  /** How long an epoch lasts at the most. Default: from 20 ms to 1 s, as the seed has it. */
  readonly every?: Duration
  /** Once nothing else goes wrong, processes end this often, and are started again: what takes longer has to come about all the same. */
  readonly restartEvery?: Duration
  readonly environment?: Environment
}

/** What stands between the engine and the simulated world, for tests that break a promise on purpose. */
export interface Sabotage {
  source?(task: SourceTask): SourceTask
  sink?(task: SinkTask): SinkTask
  /** What writes internal topics. */
  writer?(writer: ChannelWriter): ChannelWriter
  /** What the process uses. */
  checkpoints?(store: CheckpointStore): CheckpointStore
  /** What the server keeps them in. */
  kept?(store: CheckpointStore): CheckpointStore
}

/** What was chosen of what may differ between two runs that hold the same promises. */
interface Plan {
  readonly members: number
  readonly isStatic: boolean
  readonly sessionMs: number
  readonly rebalanceMs: number
  readonly maxRecords: number
  readonly everyMs: number
  readonly stormMs: number
  readonly gapMs: number
}

/** How long it may take until all is done once nothing goes wrong any more, ms. */
const recoveryMs = 600_000
const stopMs = 60_000
/** After how many of its actions a process ends that has to, at the most. */
const longestLife = 80
/** After how long it is tried again to write what could not be written, ms. */
const writeAgainMs = 500
const usualSkewMs = 5_000
const slowestGroupMs = 8_000
/** The brokers abort what nobody has ended before. */
const longestTransactionMs = 70_000

/** One flow in a simulated world: built, run through a storm, and judged. */
export class Simulation {
  readonly world: World
  private readonly random: Random
  /** Chances of their own, so that a seed keeps what else it has in store. */
  private readonly odds: Random
  private readonly delays: Random
  private readonly faults: readonly Fault[]
  private readonly plan: Plan
  private readonly cluster: Cluster
  private readonly server: CheckpointServer
  private readonly transactions: TransactionServer
  private readonly sinks: Link
  private readonly letters: LetterTopic
  private readonly judge: Judge
  private flow: Flow
  private readonly changes: TopicChanges
  /** Which topics are read in the place of those that the flow names. */
  private readonly renamed = new Map<string, string>()
  /** Topics that the flow reads no longer. */
  private readonly dropped = new Set<string>()
  /** And those that it does not read for now. */
  private readonly absent = new Set<string>()
  /** Whether checkpoints are kept in Kafka, together with the results. */
  private readonly isTransactional: boolean
  private readonly fleet: Fleet
  /** Whether processes still end again and again. */
  private isRestarting = false
  /** The topics of the sources. */
  private topics: readonly string[]
  /** What is written once time was set back, and how much is still to be written before. */
  private readonly later: readonly PlacedInput[]
  private unwritten = 0
  /** The topics of which the positions are in their groups, and in no checkpoint. */
  private readonly inGroups = new Set<string>()
  /** Which part of the flow reads the topic of a source. */
  private readonly partOf = new Map<string, string>()

  constructor(
    private readonly declared: Flow,
    private readonly options: SimulateOptions,
    private readonly sabotage: Sabotage = {},
  ) {
    const { topics = [], partitions = 3 } = options
    this.random = new Random(options.seed)
    this.odds = new Random(options.seed + 1)
    this.delays = new Random(options.seed + 3)
    this.faults = options.faults ?? (Object.keys(faults) as Fault[])
    this.world = new World(this.random)
    this.plan = planOf(this.random, options)
    this.world.note('plan', JSON.stringify(this.plan))
    this.cluster = new Cluster(this.world, this.plan, topics.length > 0)
    this.sinks = new Link(this.world, 'sink')
    this.flow = this.between(declared)
    const topology = this.compiled(this.connectionOf(this.world.servers))
    const parts = topology.flows.flatMap((flow) => flow.parts)
    this.isTransactional = topology.flows.some(({ joins }) =>
      joins.some(({ definition }) => definition.transactional === 'on-request'),
    )
    const inputs = place(
      options.input(this.random),
      { declared, topology, cluster: this.cluster, partitions },
      this.random,
    )
    this.topics = this.cluster.allTopics()
    // What a source reads that names no topics is nobody's to change.
    const made = declared.inputs.flatMap(({ source }, index) =>
      isNamed(source) ? [] : topicsOf(source, index, source.options),
    )
    this.judge = new Judge(
      this.world,
      options.model,
      inputs.map(({ logged }) => logged),
      this.lastTopics(parts, declared),
      (topic) => (made.includes(topic) ? undefined : this.cluster.idOf(topic)),
      options.accounts && new Accounts(this.world, options.accounts, inputs),
    )
    this.letters = new LetterTopic(this.judge, options.limits?.letter, new Random(options.seed + 4))
    const kept = sabotage.kept?.(new MemoryCheckpoints()) ?? new MemoryCheckpoints()
    this.server = new CheckpointServer(this.world, this.judge, kept)
    this.transactions = new TransactionServer(this.cluster, this.judge)
    const { world, cluster, judge } = this
    const chances = new Random(options.seed + 2)
    const rename = (topic: string, to: string) => this.rename(topic, to)
    const drop = (topic: string) => this.drop(topic)
    const away = (topic: string, isAway: boolean) => this.away(topic, isAway)
    const isInGroup = (topic: string) => this.inGroups.has(topic)
    const current = () => this.topics.filter((topic) => !made.includes(topic))
    const isSentOn = parts.length > 1
    const around = { world, cluster, judge, random: chances, partitions }
    this.changes = new TopicChanges({ ...around, topics: current, isSentOn, isInGroup, rename, drop, away }, topics)
    const isFirst = ({ logged }: PlacedInput) => options.setsTime?.before(logged.value) !== false
    const toWrite = inputs.filter(({ logged }) => this.cluster.has(logged.topic))
    this.write(toWrite.filter(isFirst))
    this.later = toWrite.filter((input) => !isFirst(input))
    const isSingle = parts.some(({ global }) => global)
    const size = isSingle ? 1 : this.plan.members
    this.fleet = new Fleet(this.world, size, isSingle, (name, slot, ended) => this.launch(name, slot, ended))
  }

  /** Runs it to the end. What broke, if anything did, is in `world.broken`. */
  run(): void {
    const { world, plan, fleet } = this
    // What goes by transactions goes to Kafka alone, but for dead letters.
    const letters = this.options.limits === undefined ? [] : [this.sinks]
    const links = this.isTransactional
      ? [this.cluster.link, ...letters]
      : [this.cluster.link, this.server.link, this.sinks]
    const scene = { world, fleet, cluster: this.cluster, links, sessionMs: plan.sessionMs }
    fleet.scale(this.random.between(1, fleet.size))
    const storm = new Storm(scene, this.faults, plan.gapMs)
    this.changes.deal(fleet, plan.stormMs)
    this.setTime()
    this.goOn(plan.stormMs, () => false)
    storm.end()
    fleet.scale(this.random.between(1, fleet.size))
    const { restartEvery } = this.options
    if (restartEvery !== undefined) this.keepRestarting(durationMs(restartEvery))
    this.goOn(recoveryMs, () => this.isDone())
    this.isRestarting = false
    if (!this.isDone()) return world.breaks(`everything is done in the end: ${this.left()}`)
    // What was late may still come.
    this.goOn(10_000, () => false)
    fleet.stop()
    this.goOn(stopMs, () => fleet.running.length === 0)
    if (fleet.running.length > 0) world.breaks('whoever is told to stop does so')
    if (this.isTransactional) this.readBack()
  }

  private setTime(): void {
    const { world, server, fleet, options } = this
    const { setsTime } = options
    if (setsTime === undefined) return
    const isRead = () => this.unwritten === 0 && this.isAllRead
    const mayRun = this.faults.length > 0
    const scene = { world, server, fleet, random: new Random(options.seed + 5), mayRun, isRead }
    new TimeSetting(scene, setsTime.to, () => this.write(this.later)).wait()
  }

  private keepRestarting(everyMs: number): void {
    this.isRestarting = true
    this.world.servers.after(everyMs, () => {
      if (!this.isRestarting) return
      for (const process of this.fleet.running) process.crashIn(this.random.between(1, longestLife))
      this.keepRestarting(everyMs)
    })
  }

  /** Reads what has come out as others do, once nothing is open any more. */
  private readBack(): void {
    this.goOn(longestTransactionMs, () => !this.transactions.hasOpen)
    this.goOn(100, () => false)
    if (this.transactions.hasOpen) this.world.breaks('every transaction is ended')
    this.judge.readBack(this.transactions.committed())
  }

  private goOn(ms: number, isEnough: () => boolean): void {
    const until = this.world.now + ms
    while (this.world.broken === undefined && !isEnough() && this.world.step(until));
  }

  private isDone(): boolean {
    if (!this.judge.isComplete || !this.cluster.allGroups().every(({ isSettled }) => isSettled)) return false
    // A topic that was deleted is created again.
    if (!this.topics.every((topic) => this.cluster.has(topic))) return false
    return this.isAllRead
  }

  private get isAllRead(): boolean {
    return this.read.every((partition) => this.judge.positionOf(partition) >= this.cluster.end(partition))
  }

  private get read(): readonly TopicPartition[] {
    return this.cluster.partitionsOf(this.topics)
  }

  private rename(topic: string, to: string): void {
    for (const [name, now] of this.renamed) if (now === topic) this.renamed.set(name, to)
    if (![...this.renamed.values()].includes(to)) this.renamed.set(topic, to)
    this.topics = this.topics.map((one) => (one === topic ? to : one))
    if (this.inGroups.has(topic)) this.inGroups.add(to)
    this.partOf.set(to, this.partOf.get(topic) ?? '')
    this.flow = this.between(this.declared)
  }

  private drop(topic: string): void {
    this.dropped.add(topic)
    this.topics = this.topics.filter((one) => one !== topic)
    this.flow = this.between(this.declared)
  }

  private away(topic: string, isAway: boolean): void {
    const { absent, topics } = this
    if (isAway) absent.add(topic)
    else absent.delete(topic)
    this.topics = isAway ? topics.filter((one) => one !== topic) : [...topics, topic]
    this.flow = this.between(this.declared)
  }

  private left(): string {
    const places = this.read
      .map((at) => ({ ...at, to: this.cluster.end(at), offset: this.judge.positionOf(at) }))
      .filter(({ offset, to }) => offset < to)
      .map(({ topic, partition, offset, to }) => `${topic}-${partition} is committed to ${offset} of ${to}`)
    return [...places, ...this.judge.missing().map((id) => `${id} is missing`)].slice(0, 5).join('; ')
  }

  private launch(name: string, slot: number, over: () => void): SimulatedProcess {
    const connection = this.connectionOf(this.world.actor(name))
    // The clocks of two machines differ before any of them jumps.
    if (this.faults.includes('clock')) connection.actor.skewMs = this.odds.between(-usualSkewMs, usualSkewMs)
    const instance = this.plan.isStatic ? `instance-${slot}` : undefined
    const { readers } = connection
    const stopped = (code: ErrorCode) => this.changes.stopped(code)
    const kept = this.server.ofOwner(connection.actor)
    const ended = (part: string) => {
      const ofPart = readers.filter(({ topics }) => topics.every((topic) => this.partOf.get(topic) === part))
      if (this.cluster.isChanging) this.changes.ended(ofPart.flatMap((reader) => reader.positions()))
    }
    const making = { topology: this.compiled(connection), instance, readers, stopped, kept, ended }
    return new SimulatedProcess(connection.actor, this.cluster, making, over)
  }

  private connectionOf(actor: Actor): SimulatedConnection {
    return { address: 'simulated', close: () => Promise.resolve(), actor, readers: [] }
  }

  private compiled(connection: SimulatedConnection): Topology {
    const simulated = defineConnection({
      kind: 'simulated',
      summary: 'What a simulated process has in place of servers.',
      options: z.strictObject({}),
      open: () => connection,
      checkpoints: () => {
        const store = this.isTransactional
          ? new TransactionalCheckpoints(this.transactions, connection.actor)
          : new SimulatedCheckpoints(this.server, connection.actor)
        return this.sabotage.checkpoints?.(store) ?? store
      },
      channel: this.channel(),
      deadLetters: () => {
        const { sinks: link, judge, letters: topic } = this
        return new SimulatedLetters({ link, actor: connection.actor, judge, topic })
      },
    })
    const config = {
      app: 'app',
      connections: { simulated: simulated({}) },
      checkpoints: 'simulated',
      deadLetters: 'simulated',
      flows: { flow: this.flow },
    }
    return compile(config, { environment: this.options.environment ?? {} })
  }

  private channel(): ChannelKind<SimulatedConnection> {
    const { cluster, sabotage } = this
    const channel = simulatedChannel({
      cluster,
      limit: this.plan.maxRecords,
      positionOf: (partition) => this.judge.positionOf(partition),
    })
    return {
      writer(connection, request) {
        const writer = channel.writer(connection, request)
        return sabotage.writer?.(writer) ?? writer
      },
      source(connection, request) {
        const source = channel.source(connection, request)
        return sabotage.source?.(source) ?? source
      },
    }
  }

  private between(declared: Flow): Flow {
    const { maxRecords, everyMs } = this.plan
    const { guarantee, epoch: { linger } = {} } = declared.options
    const limits = { maxRecords, every: everyMs, ...(linger === undefined ? {} : { linger }) }
    const isRead = (topic: string) => !this.dropped.has(topic) && !this.absent.has(topic)
    const inputs = declared.inputs.filter(({ source }, index) =>
      this.topicsOf(source, index, source.options).some(isRead),
    )
    return withStandIns(
      new Flow(inputs, declared.stages, declared.end, declared.options),
      { source: (source, index) => this.reading(source, index), sink: (sink) => this.writing(sink) },
      { epoch: limits, ...(guarantee === undefined ? {} : { guarantee }) },
    )
  }

  private reading(source: Source<unknown>, index: number): Source<unknown> {
    if (isMade(source)) return this.asItIs(source)
    const build = (options: unknown, context: SourceContext): SourceTask => {
      const connection = context.connection<SimulatedConnection>('simulated')
      const { group = `${context.app}.${context.flow}`, instance = context.instance, from } = options as Readings
      const topics = this.topicsOf(source, index, options)
      const reader = new SimulatedReader(this.cluster, connection.actor, {
        topics,
        namesNone: !isNamed(source),
        group,
        from: from === 'latest' ? from : 'earliest',
        keeps: context.keeps,
        ...this.changes.rules,
        doing: `reading ${topics.join(', ')}`,
        place: { flow: context.flow, stage: context.stage },
        told: (findings) => this.changes.told(findings, context.keeps),
        began: (position) => this.changes.began(position),
        strayed: (origin) => this.judge.accounts?.repeat(origin, origin.offset + 1, this.cluster.idOf(origin.topic)),
        instance,
        limit: this.plan.maxRecords,
        holdsBack: this.options.sink !== undefined,
        answersAfterMs: this.answersAfterMs(),
        committed: (_, positions) => {
          if (topics.every((topic) => this.inGroups.has(topic))) this.judge.committed(positions)
        },
      })
      connection.readers.push(reader)
      return this.sabotage.source?.(reader) ?? reader
    }
    const { reads, ...definition } = source.definition
    const partitioned = this.options.repartition === false || reads === undefined ? {} : { reads }
    const stand = { ...source, definition: { ...definition, ...partitioned, connection: 'simulated', build } }
    if (this.renamed.size === 0) return stand
    return { ...stand, options: { ...(source.options as object), topic: this.topicsOf(source, index, source.options) } }
  }

  /** A source that makes its records by itself is the real one. */
  private asItIs(source: Source<unknown>): Source<unknown> {
    const { definition } = source
    const build = (options: unknown, context: SourceContext) => {
      const task = definition.build(options, context)
      return this.sabotage.source?.(task) ?? task
    }
    return { ...source, definition: { ...definition, build } }
  }

  /** The topics that a source reads, under the names that they have now. */
  private topicsOf(source: Source<unknown>, index: number, options: unknown): string[] {
    return topicsOf(source, index, options).map((topic) => this.renamed.get(topic) ?? topic)
  }

  /** A group may take long to answer, and those of several inputs answer at different times. */
  private answersAfterMs(): number {
    const { odds, delays, flow } = this
    if (flow.inputs.length > 1) return odds.chance(0.4) ? odds.between(0, slowestGroupMs) : 0
    return delays.chance(0.2) ? delays.between(0, slowestGroupMs) : 0
  }

  private writing(sink: Sink<never>): Sink<never> {
    return {
      ...sink,
      definition: {
        ...sink.definition,
        connection: 'simulated',
        build: (_options, context) => {
          const connection = context.connection<SimulatedConnection>('simulated')
          const { refuses, limits } = this.options
          const mostBytes = limits?.record ?? Number.POSITIVE_INFINITY
          const outlet = { link: this.sinks, actor: connection.actor, judge: this.judge, refuses, mostBytes }
          const task = this.options.sink?.(outlet, context) ?? new SimulatedSink(outlet, context, connection)
          return this.sabotage.sink?.(task) ?? task
        },
      },
    }
  }

  /** The topics behind which nothing is internal; and which of all have their positions in their groups only. */
  private lastTopics(parts: readonly SubTopology[], declared: Flow): LastTopics {
    const topics: string[] = []
    for (const part of parts) {
      const read = part.inputs.flatMap(({ source }) => {
        const index = declared.inputs.findIndex((input) => input.source.declaredAt === source.declaredAt)
        return topicsOf(source, index, source.options)
      })
      for (const topic of read) this.partOf.set(topic, part.name)
      if (!part.checkpointed) for (const topic of read) this.inGroups.add(topic)
      if (![...sinksOf(part)].some(({ definition }) => definition.name === repartitionSink.name)) topics.push(...read)
    }
    return {
      topics,
      partitions: () => (topics.every((topic) => this.cluster.has(topic)) ? this.cluster.partitionsOf(topics) : []),
    }
  }

  private write(inputs: readonly PlacedInput[]): void {
    this.unwritten += inputs.length
    const times = inputs.map(() => this.random.between(0, this.plan.stormMs)).sort((a, b) => a - b)
    for (const [index, input] of inputs.entries()) {
      this.world.servers.after(input.at ?? (times[index] as number), () => this.append(input))
    }
  }

  private append(input: PlacedInput): void {
    const { cluster, changes, world } = this
    const { logged, bytes } = input
    const { key, timestamp } = logged
    const topic = this.renamed.get(logged.topic) ?? logged.topic
    const partition = cluster.isChanging && key !== null ? cluster.partitionFor(topic, key) : logged.partition
    if (cluster.isChanging && !changes.isOpen(topic, partition))
      return void world.servers.after(writeAgainMs, () => this.append(input))
    this.unwritten--
    const origin = cluster.append(topic, partition, { key, value: bytes, timestamp, headers: [] })
    this.judge.accounts?.wrote(input, origin, cluster.idOf(topic))
    if (this.dropped.has(topic)) this.judge.accounts?.excuseTopic(cluster.idOf(topic) ?? '')
    world.note('input', `${topic}-${partition}@${origin.offset}`)
  }
}

/** Whether a source says which topics it reads, and what they were with its positions. */
const isNamed = ({ definition }: Source<unknown>) => definition.reads !== undefined

interface Readings {
  readonly group?: string
  readonly instance?: string
  readonly from?: unknown
}

function planOf(random: Random, { members = 3, every }: SimulateOptions): Plan {
  const plan = {
    members: random.between(1, members),
    isStatic: random.chance(0.4),
    sessionMs: random.between(2_000, 8_000),
    rebalanceMs: random.between(40_000, 60_000),
    maxRecords: random.pick([1, 2, 3, 5, 10, 30]),
    everyMs: random.pick([20, 100, 300, 1_000]),
    stormMs: random.between(5_000, 25_000),
    gapMs: random.between(200, 4_000),
  }
  return every === undefined ? plan : { ...plan, everyMs: durationMs(every) }
}
