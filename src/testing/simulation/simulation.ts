import { z } from 'zod'
import { compile, type Flow, type Topology } from '../../engine/index.js'
import {
  type CheckpointStore,
  type Connection,
  defineConnection,
  type Environment,
  type Sink,
  type SinkTask,
  type Source,
  type SourceContext,
  type SourceTask,
  type TopicPartition,
} from '../../model/index.js'
import { MemoryCheckpoints } from '../../state/index.js'
import { asRead, withStandIns } from '../stand-ins.js'
import { CheckpointServer, SimulatedCheckpoints } from './checkpoints.js'
import { Cluster } from './cluster.js'
import { Fleet } from './fleet.js'
import { Judge } from './judge.js'
import { Link } from './link.js'
import type { LoggedInput, Model } from './models.js'
import { SimulatedProcess } from './process.js'
import { Random } from './random.js'
import { SimulatedReader } from './reader.js'
import { SimulatedSink, simulatedDeadLetters } from './sink.js'
import { type Fault, faults, Storm } from './storm.js'
import { type Actor, World } from './world.js'

/** A record to be written to the topic of a source. */
export interface SimulatedInput<V = unknown> {
  /** Objects become JSON where the source reads bytes. */
  readonly value: V
  readonly key?: string | null
  /** Default: by the key, or at random. */
  readonly partition?: number
  /** ms. Default: when it is written. */
  readonly timestamp?: number
  /** Which source of the flow. Default: the first. */
  readonly source?: number
}

export interface SimulateOptions<V = unknown> {
  /** A whole number. The same seed does the same, to the last line of the trace. */
  readonly seed: number
  /** What may go wrong. Default: everything. */
  readonly faults?: readonly Fault[]
  /** What is written to the sources' topics, in this order, while things go wrong. */
  readonly input: (random: Random) => readonly SimulatedInput<V>[]
  /** What must come out. Without it only what holds for any flow is checked. */
  readonly model?: Model
  /** How many partitions each topic has. Default 3. */
  readonly partitions?: number
  /** How many processes there are at the most. Default 3; a flow that needs all partitions in one has one. */
  readonly members?: number
  readonly environment?: Environment
}

/** What stands between the engine and the simulated world, for tests that break a promise on purpose. */
export interface Sabotage {
  source?(task: SourceTask): SourceTask
  sink?(task: SinkTask): SinkTask
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

interface SimulatedConnection extends Connection {
  readonly actor: Actor
  readonly readers: SimulatedReader[]
}

/** One flow in a simulated world: built, run through a storm, and judged. */
export class Simulation {
  readonly world: World
  private readonly random: Random
  private readonly plan: Plan
  private readonly cluster: Cluster
  private readonly server: CheckpointServer
  private readonly sinks: Link
  private readonly judge: Judge
  private readonly flow: Flow
  private readonly isCheckpointed: boolean
  private readonly fleet: Fleet
  private readonly read: TopicPartition[]

  constructor(
    declared: Flow,
    private readonly options: SimulateOptions,
    private readonly sabotage: Sabotage = {},
  ) {
    this.random = new Random(options.seed)
    this.world = new World(this.random)
    this.plan = planOf(this.random, options)
    this.world.note('plan', JSON.stringify(this.plan))
    this.cluster = new Cluster(this.world, this.plan)
    this.sinks = new Link(this.world, 'sink')
    this.flow = this.between(declared)
    const topology = this.compiled(this.connectionOf(this.world.servers))
    this.isCheckpointed = topology.flows.some(({ parts }) => parts.some(({ checkpointed }) => checkpointed))
    const inputs = this.place(declared, topology)
    this.judge = new Judge(
      this.world,
      options.model,
      inputs.map(({ logged }) => logged),
    )
    const kept = sabotage.kept?.(new MemoryCheckpoints()) ?? new MemoryCheckpoints()
    this.server = new CheckpointServer(this.world, this.judge, kept)
    this.read = this.cluster.partitionsOf(this.cluster.allTopics())
    this.write(inputs)
    const isSingle = topology.flows.some(({ parts }) => parts.some(({ global }) => global))
    const size = isSingle ? 1 : this.plan.members
    this.fleet = new Fleet(this.world, size, isSingle, (name, slot, ended) => this.launch(name, slot, ended))
  }

  /** Runs it to the end. What broke, if anything did, is in `world.broken`. */
  run(): void {
    const { world, plan, fleet } = this
    const links = [this.cluster.link, this.server.link, this.sinks]
    const scene = { world, fleet, cluster: this.cluster, links, sessionMs: plan.sessionMs }
    fleet.scale(this.random.between(1, fleet.size))
    const storm = new Storm(scene, this.options.faults ?? (Object.keys(faults) as Fault[]), plan.gapMs)
    this.goOn(plan.stormMs, () => false)
    storm.end()
    fleet.scale(this.random.between(1, fleet.size))
    this.goOn(recoveryMs, () => this.isDone())
    if (!this.isDone()) return world.breaks(`everything is done in the end: ${this.left()}`)
    // What was late may still come.
    this.goOn(10_000, () => false)
    fleet.stop()
    this.goOn(stopMs, () => fleet.running.length === 0)
    if (fleet.running.length > 0) world.breaks('whoever is told to stop does so')
  }

  private goOn(ms: number, isEnough: () => boolean): void {
    const until = this.world.now + ms
    while (this.world.broken === undefined && !isEnough() && this.world.step(until));
  }

  private isDone(): boolean {
    if (!this.judge.isComplete || !this.cluster.allGroups().every(({ isSettled }) => isSettled)) return false
    return this.read.every((partition) => this.judge.positionOf(partition) >= this.cluster.end(partition))
  }

  private left(): string {
    const places = this.read
      .map((at) => ({ ...at, to: this.cluster.end(at), offset: this.judge.positionOf(at) }))
      .filter(({ offset, to }) => offset < to)
      .map(({ topic, partition, offset, to }) => `${topic}-${partition} is committed to ${offset} of ${to}`)
    return [...places, ...this.judge.missing().map((id) => `${id} is missing`)].slice(0, 5).join('; ')
  }

  private launch(name: string, slot: number, ended: () => void): SimulatedProcess {
    const connection = this.connectionOf(this.world.actor(name))
    const instance = this.plan.isStatic ? `instance-${slot}` : undefined
    const making = { topology: this.compiled(connection), instance, readers: connection.readers }
    return new SimulatedProcess(connection.actor, this.cluster, making, ended)
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
        const store = new SimulatedCheckpoints(this.server, connection.actor)
        return this.sabotage.checkpoints?.(store) ?? store
      },
      deadLetters: () => simulatedDeadLetters({ link: this.sinks, actor: connection.actor, judge: this.judge }),
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

  private between(declared: Flow): Flow {
    const { maxRecords, everyMs } = this.plan
    return withStandIns(
      declared,
      { source: (source, index) => this.reading(source, index), sink: (sink) => this.writing(sink) },
      { epoch: { maxRecords, every: everyMs } },
    )
  }

  private reading(source: Source<unknown>, index: number): Source<unknown> {
    const build = (options: unknown, context: SourceContext): SourceTask => {
      const connection = context.connection<SimulatedConnection>('simulated')
      const { group = `${context.app}.${context.flow}`, instance = context.instance } = options as Readings
      const reader = new SimulatedReader(this.cluster, connection.actor, {
        topics: topicsOf(source, index, options),
        group,
        instance,
        limit: this.plan.maxRecords,
        committed: (_, positions) => {
          if (!this.isCheckpointed) this.judge.committed(positions, undefined)
        },
      })
      connection.readers.push(reader)
      return this.sabotage.source?.(reader) ?? reader
    }
    // Internal topics are not simulated: a flow that needs all partitions has them in one process.
    const { reads: _, ...definition } = source.definition
    return { ...source, definition: { ...definition, connection: 'simulated', build } }
  }

  private writing(sink: Sink<never>): Sink<never> {
    return {
      ...sink,
      definition: {
        ...sink.definition,
        connection: 'simulated',
        build: (_options, context) => {
          const connection = context.connection<SimulatedConnection>('simulated')
          const outlet = { link: this.sinks, actor: connection.actor, judge: this.judge }
          const task = new SimulatedSink(outlet, context, connection, sink.definition.transactional === true)
          return this.sabotage.sink?.(task) ?? task
        },
      },
    }
  }

  /** Where each record of the input goes. */
  private place(declared: Flow, topology: Topology) {
    const { partitions = 3 } = this.options
    const inputs = topology.flows[0]?.parts[0]?.inputs ?? []
    const topics = inputs.map(({ source }, index) =>
      topicsOf(declared.inputs[index]?.source as Source<unknown>, index, source.options),
    )
    for (const topic of topics.flat()) this.cluster.topic(topic, partitions)
    const ends = new Map<string, number>()
    return this.options.input(this.random).map((input) => {
      const { source = 0, key = null, value, timestamp = 0 } = input
      const topic = this.random.pick(topics[source] ?? [])
      const partition =
        input.partition ?? (key === null ? this.random.between(0, partitions - 1) : hash(key) % partitions)
      const offset = ends.get(`${topic}-${partition}`) ?? 0
      ends.set(`${topic}-${partition}`, offset + 1)
      const logged: LoggedInput<never> = { topic, partition, offset, key, value: value as never, timestamp }
      return { logged, bytes: asRead(declared.inputs[source]?.source as Source<unknown>, value) }
    })
  }

  private write(inputs: readonly { readonly logged: LoggedInput; readonly bytes: unknown }[]): void {
    const times = inputs.map(() => this.random.between(0, this.plan.stormMs)).sort((a, b) => a - b)
    for (const [index, { logged, bytes }] of inputs.entries()) {
      this.world.servers.after(times[index] as number, () => {
        const { topic, partition, key, timestamp } = logged
        const { offset } = this.cluster.append(topic, partition, { key, value: bytes, timestamp, headers: [] })
        this.world.note('input', `${topic}-${partition}@${offset}`)
      })
    }
  }
}

interface Readings {
  readonly topic?: string | readonly string[]
  readonly group?: string
  readonly instance?: string
}

function topicsOf({ definition }: Source<unknown>, index: number, options: unknown): readonly string[] {
  const { topic = `${definition.name}-${index}` } = (options ?? {}) as Readings
  return [topic].flat()
}

function planOf(random: Random, { members = 3 }: SimulateOptions): Plan {
  return {
    members: random.between(1, members),
    isStatic: random.chance(0.4),
    sessionMs: random.between(2_000, 8_000),
    rebalanceMs: random.between(40_000, 60_000),
    maxRecords: random.pick([1, 2, 3, 5, 10, 30]),
    everyMs: random.pick([20, 100, 300, 1_000]),
    stormMs: random.between(5_000, 25_000),
    gapMs: random.between(200, 4_000),
  }
}

/** Spreads keys over partitions. */
function hash(key: string): number {
  let sum = 7
  for (const letter of key) sum = (Math.imul(sum, 31) + (letter.codePointAt(0) ?? 0)) >>> 0
  return sum
}
