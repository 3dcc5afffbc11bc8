import type { Flow, Topology } from '../../engine/index.js'
import type { InputNode } from '../../engine/topology.js'
import type { Key, Source } from '../../model/index.js'
import { asRead } from '../stand-ins.js'
import { type Cluster, hash } from './cluster.js'
import type { LoggedInput } from './models.js'
import type { Random } from './random.js'

/** A record to be written to the topic of a source. */
export interface SimulatedInput<V = unknown> {
  /** Objects become JSON where the source reads bytes. */
  readonly value: V
  readonly key?: Key
  /** Default: by the key, or at random. */
  readonly partition?: number
  /** ms. Default 0. */
  readonly timestamp?: number
  /** Which source of the flow. Default: the first. */
  readonly source?: number
  /** When it is written, ms after the start. Default: some time while things go wrong, in the order of the list. */
  readonly at?: number
}

/** A record that is to be written, with its place. */
export interface PlacedInput {
  readonly logged: LoggedInput<never>
  readonly bytes: unknown
  readonly at: number | undefined
}

/** Makes the topics of the sources, and finds out where each record of the input goes. */
export function place(
  input: readonly SimulatedInput[],
  { declared, topology, cluster, partitions }: Placing,
  random: Random,
): PlacedInput[] {
  const topics = declared.inputs.map(({ source }, index) => topicsOf(source, index, optionsOf(source, topology)))
  for (const [index, { source }] of declared.inputs.entries())
    if (!isMade(source)) for (const topic of topics[index] ?? []) cluster.topic(topic, partitions)
  const ends = new Map<string, number>()
  return input.map(({ source = 0, key = null, value, timestamp = 0, at, ...given }) => {
    const topic = random.pick(topics[source] ?? [])
    const partition = given.partition ?? (key === null ? random.between(0, partitions - 1) : hash(key) % partitions)
    const offset = ends.get(`${topic}-${partition}`) ?? 0
    ends.set(`${topic}-${partition}`, offset + 1)
    const logged: LoggedInput<never> = { topic, partition, offset, key, value: value as never, timestamp }
    return { logged, bytes: asRead(declared.inputs[source]?.source as Source<unknown>, value), at }
  })
}

interface Placing {
  readonly declared: Flow
  readonly topology: Topology
  readonly cluster: Cluster
  readonly partitions: number
}

/** Whether a source makes its records by itself, of its position. */
export function isMade({ definition }: Pick<Source<unknown>, 'definition'>): boolean {
  return definition.positions === 'store'
}

/** The topics that a source reads: those of its option, or one that is made up. */
export function topicsOf(
  { definition }: Pick<Source<unknown>, 'definition'>,
  index: number,
  options: unknown,
): readonly string[] {
  const { topic = `${definition.name}-${index}` } = (options ?? {}) as { readonly topic?: string | readonly string[] }
  return [topic].flat()
}

/** The validated options of a source, whichever part of the flow it is in. */
function optionsOf({ declaredAt }: Source<unknown>, topology: Topology): unknown {
  const inputs: readonly InputNode[] = topology.flows.flatMap(({ parts }) => parts.flatMap((part) => part.inputs))
  return inputs.find(({ source }) => source.declaredAt === declaredAt)?.source.options
}
