import {
  durationMs,
  type EpochOptions,
  type Keeps,
  type OperatorDefinition,
  partsOf,
  type RejectionPolicy,
  Setting,
  type SinkDefinition,
  type SourceDefinition,
  type Surroundings,
} from '../model/index.js'
import { isTopicName } from '../model/topic-name.js'
import { doubledRoutes, nameFaults, sharedGroups, takenPaths, withWarnings } from './between-flows.js'
import { checkpointsVariable, chooseCheckpoints, chooseKeeper, usualCheckpoints } from './checkpoint-choice.js'
import type { WeirConfig } from './config.js'
import { ConfigError, type ConfigFault } from './config-error.js'
import { FlowCutter, isCombining, type Part } from './cut.js'
import { type EpochLimits, transactionalLimits, usualLimits } from './epoch.js'
import type { Flow, FlowEnd, FlowOptions } from './flow.js'
import { flowOptions } from './flow-options.js'
import { shapeFaults } from './flow-shape.js'
import { exactlyOnceFaults, guaranteeOf } from './guarantee.js'
import { sharedHint } from './inputs.js'
import { repartitionSink } from './repartition/repartition-sink.js'
import { isRetryStage, joinRetries, withRetries } from './retry/retry-parts.js'
import { shortLivedFaults } from './short-lived.js'
import { doubledStores, isGlobal, nestedAggregates, sharedHolders } from './stage-faults.js'
import { joinSummaries, summarize } from './summary.js'
import { timeFaults, withTimes } from './time-stages.js'
import {
  type BranchNode,
  type Chain,
  type FlowTopology,
  type InputNode,
  type OperatorNode,
  operatorsOf,
  type SinkNode,
  type SourceNode,
  type SubTopology,
  sinksOf,
  stagesOf,
  storesOf,
  type Topology,
  type TopologyConnection,
  writesDeadLetters,
} from './topology.js'
import { faultsOf, tellOnce, validate } from './validate.js'

/** A flow whose options hold. */
type Optioned = Pick<Flow, 'options'>

type PolicyGiven = Parameters<typeof partsOf>[0]

interface DeclaredStage {
  readonly definition: SourceDefinition | OperatorDefinition | SinkDefinition
  readonly options: unknown
  readonly declaredAt: Error
}

export interface CompileOptions extends Surroundings {
  /** The flows that are meant. Default: all. */
  readonly only?: readonly string[]
  /**
   * Whether it is to run for good: then state that ends with its process is a mistake where nobody has said that it may, and
   * so are names that no topic can have, and flows that would share what they read.
   */
  readonly isLasting?: boolean
}

/**
 * Compiles a configuration: reads its settings, validates every option and names every stage.
 * Errors: a `ConfigError` with all mistakes at once.
 */
export function compile(
  config: WeirConfig,
  { environment, directory, only, isLasting = false }: CompileOptions,
): Topology {
  const shapes = Object.entries(config.flows).flatMap(([name, flow]) => [...shapeFaults(name, flow)])
  if (shapes.length > 0) throw new ConfigError(shapes)
  const faults: ConfigFault[] = []
  const from = { environment, directory }
  const app = config.app ?? (environment['WEIR_APP'] || 'weir')
  const connections = compileConnections(config, from, faults)
  const checkpoints = usualCheckpoints(config.checkpoints, environment, connections, faults)
  const flows = Object.entries(config.flows)
    .filter(([name]) => only === undefined || only.length === 0 || only.includes(name))
    .map(([name, flow]) =>
      new FlowCompiler(
        app,
        name,
        config,
        connections,
        ownCheckpoints(name, flow, from, connections, faults) ?? checkpoints,
        from,
        faults,
        isLasting,
      ).compile(flow),
    )
  faults.push(...deadLetterFaults(config.deadLetters, connections))
  if (isLasting) faults.push(...nameFaults(app, Object.keys(config.flows)), ...sharedGroups(flows))
  faults.push(...takenPaths(flows), ...doubledRoutes(flows))
  if (faults.length > 0) throw new ConfigError(faults)
  return { app, flows: withWarnings(flows), connections, checkpoints, declared: Object.keys(config.flows) }
}

/** A name that is no connection's, or one's that takes no dead letters: no stage may need it, and it is a mistake all the same. */
function deadLetterFaults(named: string | undefined, connections: Topology['connections']): ConfigFault[] {
  const definition = named === undefined ? undefined : connections.get(named)?.definition
  if (named === undefined || definition?.deadLetters !== undefined) return []
  const why =
    definition === undefined ? `no connection '${named}'` : `a ${definition.kind} connection ('${named}') takes none`
  const able = [...connections]
    .filter(([, one]) => one.definition.deadLetters !== undefined)
    .map(([name]) => `'${name}'`)
  return [
    { message: `deadLetters: ${why}`, hint: `Name ${able.join(' or ') || 'a kafka connection, and declare it'}.` },
  ]
}

/** What a flow keeps its checkpoints in by its own choice. */
function ownCheckpoints(
  name: string,
  { options: { checkpoints } }: Flow,
  from: Surroundings,
  connections: ReadonlyMap<string, TopologyConnection>,
  faults: ConfigFault[],
): string | undefined {
  // What is neither is told where options are looked at.
  if (typeof checkpoints !== 'string' && !(checkpoints instanceof Setting)) return undefined
  const what = `flow '${name}': checkpoints`
  try {
    const named = typeof checkpoints === 'string' ? checkpoints : checkpoints.read(from.environment, from.directory)
    return chooseCheckpoints(what, named, connections, faults)
  } catch (error) {
    tellOnce(faultsOf(what, error), faults)
    return undefined
  }
}

function compileConnections(
  config: WeirConfig,
  from: Surroundings,
  faults: ConfigFault[],
): ReadonlyMap<string, TopologyConnection> {
  const connections = new Map<string, TopologyConnection>()
  for (const [name, declared] of Object.entries(config.connections ?? {})) {
    const options = validate(`connection '${name}'`, declared, from, faults)
    connections.set(name, { definition: declared.definition, options })
  }
  return connections
}

/** Compiles one flow; it goes on after a fault, so that all of them are told. */
class FlowCompiler {
  private readonly taken = new Map<string, number>()

  constructor(
    private readonly app: string,
    private readonly name: string,
    private readonly config: WeirConfig,
    private readonly connections: ReadonlyMap<string, TopologyConnection>,
    private readonly checkpoints: string,
    private readonly from: Surroundings,
    private readonly faults: ConfigFault[],
    private readonly isLasting: boolean,
  ) {}

  compile(given: Flow): FlowTopology {
    const flow = { ...given, options: this.options(given) }
    const declared = flow.inputs.map(
      (input): InputNode => ({
        source: this.stage(input.source),
        stages: this.operators(input.stages, false),
      }),
    )
    this.refuseShared(declared)
    const chain = this.chain(
      flow.stages,
      flow.end,
      declared.some(({ stages }) => stages.some(rekeys)),
    )
    this.faults.push(...timeFaults(this.name, declared, chain))
    const inputs = withTimes(declared, chain, this.ownPolicy(), (name) => this.unique(name))
    const compiling = {
      app: this.app,
      flow: this.name,
      connections: this.connections,
      ownPolicy: this.ownPolicy(),
      unique: (name: string) => this.unique(name),
      refuse: (fault: ConfigFault) => this.faults.push(fault),
    }
    const retrying = withRetries({ inputs, ...chain }, compiling)
    const parts = retrying?.whole ?? { inputs, ...chain }
    const stores = [...operatorsOf(parts), ...sinksOf(parts)].flatMap(storesOf)
    for (const faultsOf of [doubledStores, nestedAggregates, sharedHolders])
      this.faults.push(...faultsOf(this.name, parts))
    const isAsked = flow.options.guarantee === 'exactly-once'
    const sinks = [...sinksOf(chain)]
    // What is tried again may be kept anywhere.
    const isFree = stores.length === 0 || retrying !== undefined
    const checkpoints = isAsked && isFree ? this.beside(sinks, flow) : this.checkpoints
    const place = this.connections.get(checkpoints)
    const joins = isJoinable(place) ? sinks.filter((sink) => joinsAt(checkpoints, sink, isAsked)) : []
    const facts = { ...parts, stores, joins, checkpoints }
    if (isAsked) this.faults.push(...exactlyOnceFaults(this.name, facts))
    if (this.isLasting && checkpoints === 'memory' && this.isUnspoken(flow))
      this.faults.push(...shortLivedFaults(this.name, parts, this.connections))
    const everyMs = Math.max(usualLimits.everyMs, this.limits(flow, inputs).everyMs)
    const cut = new FlowCutter(this.app, this.name, this.connections, everyMs, (fault) => this.faults.push(fault)).cut(
      parts,
    )
    if (this.isLasting) this.refuseNames(cut)
    const tasks = cut.map((part) => this.part(part, flow, joins))
    const summary = joinSummaries(tasks.map((task) => task.summary))
    const behind = retrying && this.part(retrying.behind, flow, joins)
    return {
      name: this.name,
      parts: behind === undefined ? tasks : [...tasks, behind],
      summary: behind === undefined ? summary : joinRetries(summary, parts, behind),
      ...guaranteeOf(facts),
      joins,
      checkpoints,
      attempts: flow.options.attempts ?? 10,
      givesUp: flow.options.givesUp ?? [],
      deadLetters: this.deadLetters(flow, parts),
      ways: inputs.flatMap(({ source }) => this.waysOf(source)),
      warnings: stagesOf(parts).flatMap((stage) => this.warningsOf(stage)),
    }
  }

  /** Those that don't hold are told, and left out. */
  private options({ options: { checkpoints, ...options }, declaredAt }: Flow): FlowOptions {
    // Whose setting that is, and what it says, is looked at where it is read.
    const given = checkpoints instanceof Setting ? options : { ...options, checkpoints }
    const definition = { options: flowOptions }
    const checked = validate(`flow '${this.name}'`, { definition, options: given, declaredAt }, this.from, this.faults)
    return { ...(checked as FlowOptions | undefined), ...(checkpoints === undefined ? {} : { checkpoints }) }
  }

  /** Positions, time and stores are kept by topic and partition: two inputs of one topic would be one. */
  private refuseShared(inputs: readonly InputNode[]): void {
    const readers = new Map<string, string>()
    for (const { source } of inputs) {
      const { name, definition, options, declaredAt } = source
      const reads = options === undefined ? undefined : definition.reads?.(options)
      const topics = new Set(reads?.topics)
      for (const topic of topics) {
        const other = readers.get(topic)
        if (other !== undefined) {
          const message = `flow '${this.name}': '${name}' reads topic '${topic}', which its input '${other}' reads already`
          this.faults.push({ message, hint: sharedHint, declaredAt })
        }
        readers.set(topic, name)
      }
    }
  }

  /** Internal topics are called after the stage before which the flow is cut. */
  private refuseNames(parts: readonly Part[]): void {
    for (const { name, inputs } of parts) {
      const topic = `${this.app}.${name}.repartition`
      if (name === this.name || isTopicName(topic)) continue
      const stage = name.slice(this.name.length + 1)
      const message = `flow '${this.name}': '${stage}' is no name that its internal topic '${topic}' can be called after`
      const hint = "Use letters of ASCII, digits, '.', '_' and '-'; the topic's name has at most 249 characters."
      this.faults.push({ message, hint, declaredAt: inputs[0]?.source.declaredAt })
    }
  }

  private waysOf({ name, definition, options, connection, declaredAt }: SourceNode): FlowTopology['ways'] {
    const opened = connection === undefined ? undefined : this.connections.get(connection)?.options
    if (definition.way === undefined || options === undefined || opened === undefined) return []
    const way = definition.way(options, opened)
    if (way.fault !== undefined)
      this.faults.push({
        message: `flow '${this.name}': '${name}' ${way.fault.message}`,
        hint: way.fault.hint,
        declaredAt,
      })
    return [{ source: name, detail: definition.detail?.(options), ...way }]
  }

  private part(part: Part, flow: Optioned, joins: readonly SinkNode[]): SubTopology {
    const operators = [...operatorsOf(part)]
    const keepsState = [...operators, ...sinksOf(part)].some((stage) => storesOf(stage).length > 0)
    // Who goes on behind an internal topic goes by the time that is known here.
    const keepsTime = isSentOn(part) && operators.some(({ definition }) => definition.times === true)
    const keepsPositions = part.inputs.some(({ source }) => source.definition.positions === 'store')
    return {
      ...part,
      summary: summarize(part),
      keeps: keptBy(part),
      checkpointed:
        keepsState || keepsTime || keepsPositions || [...sinksOf(part)].some((sink) => joins.includes(sink)),
      global: operators.some(isGlobal),
      limits: this.limits(flow, part.inputs),
    }
  }

  private warningsOf({ name, definition, options, declaredAt }: ReturnType<typeof stagesOf>[number]): ConfigFault[] {
    const warnings = options === undefined ? [] : (definition.warnings?.(options) ?? [])
    return warnings.map(({ message, hint }) => ({
      message: `flow '${this.name}': '${name}' ${message}`,
      hint,
      declaredAt,
    }))
  }

  /** Whether nobody has said what keeps the checkpoints of a flow. */
  private isUnspoken({ options }: Optioned): boolean {
    const { config, from } = this
    return (
      options.checkpoints === undefined && config.checkpoints === undefined && !from.environment[checkpointsVariable]
    )
  }

  /** Stages in a row: behind one that gives records another key, that is what they go by. */
  private operators(declared: Flow['stages'], isRekeyed: boolean): OperatorNode[] {
    let isBehind = isRekeyed
    return declared.map((stage) => {
      const { definition, options } = stage
      const given = isBehind ? (definition.behindKey?.(options as object) ?? options) : options
      isBehind ||= rekeys(stage)
      return this.stage({ ...stage, options: given })
    })
  }

  private chain(declared: Flow['stages'], end: FlowEnd, isRekeyed: boolean): Chain {
    const stages = this.operators(declared, isRekeyed)
    const isBehind = isRekeyed || stages.some(rekeys)
    return {
      stages,
      end:
        'branches' in end
          ? end.branches.map(
              (branch): BranchNode => ({
                name: branch.name,
                when: branch.when as BranchNode['when'],
                ...this.chain(branch.stages, branch.end, isBehind),
              }),
            )
          : this.stage(end),
    }
  }

  private stage<D extends DeclaredStage['definition']>(declared: DeclaredStage & { readonly definition: D }) {
    const definition: D = declared.definition
    const options = validate(`flow '${this.name}': ${definition.name}`, declared, this.from, this.faults)
    const given = options as { name?: unknown; onError?: PolicyGiven; connection?: string } | undefined
    const { policy = this.usualPolicy(definition), retry } = partsOf(given?.onError)
    return {
      name: this.unique(typeof given?.name === 'string' ? given.name : definition.name),
      definition,
      options,
      connection: this.keeper(declared, options) ?? this.connection(declared, given?.connection),
      policy,
      retry,
      late: options === undefined ? undefined : lateOf(definition, options),
      declaredAt: declared.declaredAt,
    }
  }

  private usualPolicy(definition: DeclaredStage['definition']): RejectionPolicy {
    const policy = definition.onError ?? 'fail'
    if (policy !== 'dead-letter' || definition.kind !== 'sink' || definition.onErrorAlone === undefined) return policy
    const isTaken = [...this.connections.values()].some((connection) => connection.definition.deadLetters !== undefined)
    return isTaken ? policy : definition.onErrorAlone
  }

  private unique(name: string): string {
    const count = (this.taken.get(name) ?? 0) + 1
    this.taken.set(name, count)
    return count === 1 ? name : this.unique(`${name}-${count}`)
  }

  /** The connection that keeps the views of a sink. */
  private keeper({ definition, declaredAt }: DeclaredStage, options: unknown): string | undefined {
    if (definition.kind !== 'sink' || options === undefined) return undefined
    const named = definition.keepsViewsIn?.(options) ?? 'memory'
    if (named === 'memory') return undefined
    const what = `flow '${this.name}': ${definition.name}: storage`
    return chooseKeeper('views', what, named, this.connections, this.faults, declaredAt)
  }

  private connection({ definition, declaredAt }: DeclaredStage, named: string | undefined): string | undefined {
    const kind = definition.connection
    if (kind === undefined) return undefined
    const found = [...this.connections].filter(([, connection]) => connection.definition.kind === kind)
    const fault = (what: string, hint: string) => {
      this.faults.push({ message: `flow '${this.name}': ${definition.name} ${what}`, hint, declaredAt })
      return undefined
    }
    if (named !== undefined) {
      if (found.some(([name]) => name === named)) return named
      return fault(`names the connection '${named}', which is no declared ${kind}`, `Declare it under connections.`)
    }
    if (found.length === 1) return found[0]?.[0]
    if (found.length === 0)
      return fault(`needs a ${kind} connection`, `Add one: connections: { ${kind}: ${kind}({ … }) }.`)
    return fault(`could use several connections`, `Name one: connection: '${found[0]?.[0]}'.`)
  }

  /** A flow without state has only positions to keep: where its sinks write, unless it says otherwise. */
  private beside(sinks: readonly SinkNode[], { options }: Optioned): string {
    const places = new Set(
      sinks.map(({ definition, connection }) => (definition.transactional ? connection : undefined)),
    )
    const [place] = places
    return options.checkpoints === undefined && places.size === 1 && place !== undefined ? place : this.checkpoints
  }

  private limits({ options: { epoch, guarantee } }: Optioned, inputs: readonly InputNode[]): EpochLimits {
    const suited = inputs.reduce<EpochOptions>((all, { source }) => ({ ...all, ...source.definition.epoch }), {})
    return {
      ...usualLimits,
      ...(guarantee === 'exactly-once' ? transactionalLimits : {}),
      ...suited,
      ...(epoch?.maxRecords === undefined ? {} : { maxRecords: epoch.maxRecords }),
      ...(epoch?.maxBytes === undefined ? {} : { maxBytes: epoch.maxBytes }),
      ...(epoch?.every === undefined ? {} : { everyMs: durationMs(epoch.every) }),
      ...(epoch?.linger === undefined ? {} : { lingerMs: durationMs(epoch.linger) }),
    }
  }

  private deadLetters(flow: Optioned, parts: Chain & { inputs: readonly InputNode[] }): FlowTopology['deadLetters'] {
    const first = stagesOf(parts).find(writesDeadLetters)
    if (first === undefined) return undefined
    const connection = this.config.deadLetters ?? this.deadLetterConnection(parts.inputs)
    if (connection !== undefined && this.connections.get(connection)?.definition.deadLetters !== undefined) {
      return { connection, name: flow.options.deadLetters ?? `${this.app}.${this.name}.dead-letters` }
    }
    // A name that is wrong is told once.
    if (this.config.deadLetters !== undefined) return undefined
    this.faults.push({
      message: `flow '${this.name}': ${first.name} sends what it rejects to the dead letters, and no connection takes them`,
      hint: "Declare a kafka connection, or give the stage another policy: onError: 'skip' or 'fail'.",
      declaredAt: first.declaredAt,
    })
    return undefined
  }

  /** What becomes of a record that a stage of the compiler's own can't take. */
  private ownPolicy(): RejectionPolicy {
    const takes = [...this.connections.values()].some(({ definition }) => definition.deadLetters !== undefined)
    return takes ? 'dead-letter' : 'skip'
  }

  private deadLetterConnection(inputs: readonly InputNode[]): string | undefined {
    const able = [...this.connections].filter(([, { definition }]) => definition.deadLetters !== undefined)
    const names = able.map(([name]) => name)
    return (
      inputs.map(({ source }) => source.connection).find((name) => name !== undefined && names.includes(name)) ??
      names[0]
    )
  }
}

function isJoinable(place: TopologyConnection | undefined): boolean {
  return place?.options === undefined || (place.definition.isJoinable?.(place.options) ?? true)
}

/** Whether a sink writes in the transactions of these checkpoints. */
function joinsAt(checkpoints: string, { definition, connection }: SinkNode, isAsked: boolean): boolean {
  const { transactional = false } = definition
  return connection === checkpoints && (transactional === 'on-request' ? isAsked : transactional)
}

function rekeys({ definition }: { readonly definition: OperatorDefinition }): boolean {
  return definition.rekeys === true
}

/** State of the records' own keys is apart from them once they go to other partitions; what is merged behind is not. */
function keptBy(part: Part): Keeps {
  const operators = [...operatorsOf(part)]
  const stateful = [...operators, ...sinksOf(part)].filter((stage) => storesOf(stage).length > 0)
  if (stateful.length === 0) return 'nothing'
  if (operators.some(isGlobal)) return 'state'
  return stateful.some((stage) => !isCombining(stage.definition) && !isRetryStage(stage)) ? 'state by key' : 'state'
}

/** Whether it hands its records to another part of the flow. */
function isSentOn(part: Part): boolean {
  return [...sinksOf(part)].some(({ definition }) => definition.name === repartitionSink.name)
}

function lateOf(definition: DeclaredStage['definition'], options: unknown): RejectionPolicy | undefined {
  return definition.kind === 'operator' ? definition.late?.(options) : undefined
}
