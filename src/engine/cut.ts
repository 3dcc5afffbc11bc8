import type { ChannelKind, Connection, OperatorDefinition, TopicsRead } from '../model/index.js'
import type { ConfigFault } from './config-error.js'
import { receive } from './repartition/receive.js'
import { type Joint, repartitionSink } from './repartition/repartition-sink.js'
import { repartitionSource } from './repartition/repartition-source.js'
import {
  type Chain,
  type InputNode,
  isBranches,
  type OperatorNode,
  operatorsOf,
  type SinkNode,
  type SourceNode,
  type SubTopology,
  sinksOf,
  type TopologyConnection,
  writesDeadLetters,
} from './topology.js'

/** A part of a flow that runs as one task. */
export interface Part extends Chain, Pick<SubTopology, 'name' | 'inputs' | 'timeScope'> {}

interface Whole extends Chain {
  readonly inputs: readonly InputNode[]
}

/** The connection that can carry an internal topic, and what the topic has to be like. */
interface Carrier {
  readonly connection: string
  readonly kind: string
  readonly channel: ChannelKind<Connection>
  readonly reads: readonly TopicsRead[]
}

/** What the stages before one mean for it. */
interface Before extends Marks {
  readonly carrier: Carrier | undefined
  /** Whether the records have come by an internal topic. */
  readonly isBehind: boolean
  /** Whether they come from several sources. */
  readonly isMerged: boolean
}

interface Marks {
  readonly rekeyed: boolean
  /** The first stage behind which records are in another order than in their source. */
  readonly unordered: OperatorNode | undefined
}

/** Where operators in a row were cut in two. */
interface Torn {
  readonly head: readonly OperatorNode[]
  readonly sink: SinkNode
  readonly source: SourceNode
  readonly rest: readonly OperatorNode[]
  readonly name: string
}

/**
 * Cuts a flow where the records of a key have to meet and its source is shared among tasks: each part runs as a task of
 * its own, and an internal topic leads from one to the next. Aggregates are combined before they go there.
 */
export class FlowCutter {
  /** What runs before this part, and what runs behind it. */
  private readonly heads: Part[] = []
  private readonly tails: Part[] = []
  private timeScope: Part['timeScope'] = 'task'

  constructor(
    private readonly app: string,
    private readonly flow: string,
    private readonly connections: ReadonlyMap<string, TopologyConnection>,
    /** How long epochs last at most, ms: so often a task tells how far it has come. */
    private readonly everyMs: number,
    /** Told of what can't be cut. */
    private readonly refuse: (fault: ConfigFault) => void,
  ) {}

  cut(whole: Whole, name = this.flow): Part[] {
    const behind = [...operatorsOf({ stages: whole.stages, end: whole.end }), ...sinksOf(whole)]
    const inputs = whole.inputs.map((input) => this.input(input, behind))
    const head = this.chain(whole, this.beginning(inputs))
    const { timeScope, heads, tails } = this
    return [...heads, { name, inputs, ...head, timeScope }, ...tails]
  }

  /** An input whose own stages have to be cut becomes one that takes up behind the cut. */
  private input(input: InputNode, behind: readonly (OperatorNode | SinkNode)[]): InputNode {
    const stages = this.torn(input.stages, this.beginning([{ ...input, stages: [] }]))
    if (Array.isArray(stages)) return { ...input, stages }
    const { head, rest, name, ...torn } = stages as Torn
    const { sink, source } = joined(torn, [...rest, ...behind])
    const first = this.another()
    const whole = { inputs: [{ source: input.source, stages: head }], stages: [], end: sink }
    this.heads.push(...first.cut(whole, `${this.flow}.${name}`))
    this.timeScope = 'partition'
    return { source, stages: rest }
  }

  private chain(chain: Chain, before: Before): Chain {
    const stages = this.torn(chain.stages, before)
    if (Array.isArray(stages)) return { stages, end: this.end(chain.end, { ...before, ...marksOf(stages, before) }) }
    const { head, rest, name, ...torn } = stages as Torn
    const { sink, source } = joined(torn, [...rest, ...operatorsOf({ stages: [], end: chain.end }), ...sinksOf(chain)])
    const behind = this.another()
    behind.timeScope = 'partition'
    this.tails.push(
      ...behind.cut({ inputs: [{ source, stages: [] }], stages: rest, end: chain.end }, `${this.flow}.${name}`),
    )
    return { stages: head, end: sink }
  }

  private end(end: Chain['end'], before: Before): Chain['end'] {
    if (!isBranches(end)) return end
    return end.map((branch) => ({ ...branch, ...this.chain(branch, before) }))
  }

  /** The stages as they are, or torn at the first that can't have its records in one place otherwise. */
  private torn(stages: readonly OperatorNode[], before: Before): readonly OperatorNode[] | Torn {
    const kept: OperatorNode[] = []
    let marks: Marks = before
    for (const [index, stage] of stages.entries()) {
      const { unordered } = marks
      marks = marksOf([stage], marks)
      const way = this.wayOf(stage, { ...before, ...marks })
      if (way === 'records' && unordered !== undefined) this.refuseUnordered(unordered, stage)
      if (way === 'here') this.refuseApart(stage, { ...before, ...marks })
      if (way === 'alone') this.timeScope = 'partition'
      if (way === 'alone' || way === 'here') kept.push(way === 'alone' ? spreading(stage, 'alone') : stage)
      else return this.tear(way, [...kept], stage, stages.slice(index + 1), before.carrier as Carrier)
    }
    return kept
  }

  private wayOf(
    { definition, options }: OperatorNode,
    { carrier, rekeyed }: Before,
  ): 'here' | 'alone' | 'combine' | 'records' {
    // Options that did not validate are undefined; compiling fails with their faults afterwards.
    if (carrier === undefined || options === undefined) return 'here'
    if (definition.spread === undefined) return rekeyed && hasStores(definition, options) ? 'records' : 'here'
    const isOneTopic = carrier.reads.flatMap(topicsOf).length === 1
    if (definition.spread.groups(options) === 'record-key' && !rekeyed && isOneTopic) return 'alone'
    return isUncombined({ definition, options }) ? 'records' : 'combine'
  }

  /** One for the part of the flow on the other side of a cut. */
  private another(): FlowCutter {
    return new FlowCutter(this.app, this.flow, this.connections, this.everyMs, this.refuse)
  }

  private beginning(inputs: readonly InputNode[]): Before {
    const isBehind = inputs.some(({ source }) => source.definition.name === repartitionSource.name)
    const marks = marksOf(inputs.flatMap(({ stages }) => stages))
    return { carrier: carrierOf(inputs, this.connections), isBehind, isMerged: inputs.length > 1, ...marks }
  }

  /** What comes twice is told by the order of the source's records: one behind a later one would be dropped. */
  private refuseUnordered({ name, declaredAt }: OperatorNode, stage: OperatorNode): void {
    this.refuse({
      message: `flow '${this.flow}': '${name}' changes the order of records, by which '${stage.name}' knows those that an internal topic brings twice`,
      hint: `Keep their order, or put '${name}' behind '${stage.name}', or write to a topic and read that in a flow of its own.`,
      declaredAt,
    })
  }

  /** State of keys that no internal topic brings together would be several states of one key. */
  private refuseApart(stage: OperatorNode, { carrier, isBehind, isMerged, rekeyed }: Before): void {
    if (carrier !== undefined || (!isUncombined(stage) && !(rekeyed && keepsKeys(stage)))) return
    if (!isMerged && !(isBehind && rekeyed)) return
    const why = isMerged
      ? 'they come from sources that no internal topic can join'
      : 'they have come by an internal topic, and go by no second one'
    this.refuse({
      message: `flow '${this.flow}': '${stage.name}' keeps state by a key whose records do not meet: ${why}`,
      hint: 'Write the records to a topic under that key, and read it in a flow of its own.',
      declaredAt: stage.declaredAt,
    })
  }

  private tear(
    way: 'combine' | 'records',
    head: OperatorNode[],
    stage: OperatorNode,
    after: readonly OperatorNode[],
    carrier: Carrier,
  ): Torn {
    const name = `${this.app}.${this.flow}.${stage.name}`
    const isSingle = way === 'combine' && stage.definition.spread?.groups(stage.options) === 'single'
    const joint: Joint = {
      connectionKind: carrier.kind,
      channel: carrier.channel,
      topic: `${name}.repartition`,
      group: name,
      like: isSingle ? 'single' : carrier.reads,
      reads: carrier.reads.flatMap(topicsOf),
      keepsBytes: false,
    }
    const { declaredAt } = stage
    const { connection } = carrier
    const common = { options: joint, connection, policy: 'fail', declaredAt } as const
    // What no topic can carry is a record that the stage behind can't take.
    const goesBy = way === 'records' && stage.retry === undefined ? { policy: stage.policy, partOf: stage.name } : {}
    const received: OperatorNode = {
      name: `${stage.name}.receive`,
      definition: receive as OperatorNode['definition'],
      options: { store: `${stage.name}.sources`, idleForMs: 3 * this.everyMs, inputs: carrier.reads.map(topicsOf) },
      connection: undefined,
      policy: 'skip',
      partOf: stage.name,
      declaredAt,
    }
    const meeting = stage.definition.spread === undefined ? stage : spreading(stage, 'met')
    const merging =
      way === 'combine' ? { ...spreading(stage, 'merge'), name: `${stage.name}.merge`, partOf: stage.name } : meeting
    return {
      name: stage.name,
      head: way === 'combine' ? [...head, spreading(stage, 'combine')] : head,
      sink: { ...common, ...goesBy, name: `${stage.name}.repartition.sink`, definition: repartitionSink },
      source: { ...common, name: `${stage.name}.repartition.source`, definition: repartitionSource },
      rest: [received, merging, ...after],
    }
  }
}

/** The connection that carries an internal topic behind these inputs; undefined when they are in one place anyway. */
export function carrierOf(
  inputs: readonly InputNode[],
  connections: ReadonlyMap<string, TopologyConnection>,
): Carrier | undefined {
  const reads = inputs.map(({ source }) =>
    source.options === undefined ? undefined : source.definition.reads?.(source.options),
  )
  const connection = inputs[0]?.source.connection
  const definition = connection === undefined ? undefined : connections.get(connection)?.definition
  const known = reads.filter((read) => read !== undefined)
  if (connection === undefined || definition?.channel === undefined || known.length < inputs.length) return undefined
  return { connection, kind: definition.kind, channel: definition.channel, reads: known }
}

/** Both ends of an internal topic, which brings what the stages behind it may need for dead letters. */
function joined(
  { sink, source }: Pick<Torn, 'sink' | 'source'>,
  behind: readonly (OperatorNode | SinkNode)[],
): Pick<Torn, 'sink' | 'source'> {
  const keepsBytes = behind.some(writesDeadLetters)
  const options = { ...(sink.options as Joint), keepsBytes }
  return { sink: { ...sink, options }, source: { ...source, options } }
}

/** What stages do to the records, and those before them. */
function marksOf(
  stages: readonly OperatorNode[],
  { rekeyed, unordered }: Marks = { rekeyed: false, unordered: undefined },
): Marks {
  return {
    rekeyed: rekeyed || stages.some(({ definition }) => definition.rekeys === true),
    unordered: unordered ?? stages.find(isUnordered),
  }
}

/** Whether it keeps state of single keys, and does not insist on having all partitions. */
function keepsKeys({ definition, options }: OperatorNode): boolean {
  return definition.global !== true && options !== undefined && hasStores(definition, options)
}

/** Whether all records of a key have to meet in one partition, because its parts can't be merged. */
function isUncombined({ definition, options }: Pick<OperatorNode, 'definition' | 'options'>): boolean {
  return options !== undefined && definition.spread?.uncombined?.(options) === true
}

function hasStores(definition: OperatorNode['definition'], options: OperatorNode['options']): boolean {
  return (definition.stores?.(options) ?? []).length > 0
}

/** Compiling fails with the faults of options that did not validate. */
function isUnordered({ definition, options }: OperatorNode): boolean {
  return options !== undefined && definition.reorders?.(options) === true
}

const combining = '.combine'

/** Whether it is the first half of an operator whose groups lie in several partitions. */
export function isCombining({ name }: { readonly name: string }): boolean {
  return name.endsWith(combining)
}

function spreading(stage: OperatorNode, way: 'alone' | 'met' | 'combine' | 'merge'): OperatorNode {
  const { spread, ...definition } = stage.definition
  const build = spread?.[way] as OperatorDefinition['build']
  const name = way === 'combine' ? `${definition.name}${combining}` : definition.name
  return { ...stage, definition: { ...definition, name, global: false, build } }
}

function topicsOf({ topics }: TopicsRead): readonly string[] {
  return topics
}
