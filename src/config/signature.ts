import { createHash } from 'node:crypto'
import {
  type Chain,
  connectionsOf,
  type FlowTopology,
  isBranches,
  type SubTopology,
  stagesOf,
  type Topology,
} from '../engine/topology.js'
import type { ConfigCode, Made } from './code.js'
import { filesAt } from './files-at.js'

/** What flows and connections are, as texts that are the same only for what does the same. */
export interface Signatures {
  readonly flows: ReadonlyMap<string, string>
  readonly connections: ReadonlyMap<string, string>
}

/**
 * Signs what was compiled, before any of it runs: the code that declares a flow, what its settings are in this environment,
 * the connections that it uses, and the files that it names or may have read.
 *
 * @param directory That of the configuration, where code that reads files is taken to read them.
 */
export function sign(topology: Topology, code: ConfigCode, directory: string): Signatures {
  const codeOf = ({ digest, readsFiles }: Made) => (readsFiles ? `${digest} ${filesAt(directory)}` : digest)
  const connections = new Map(
    [...topology.connections].map(([name, { definition, options }]) => {
      const made = codeOf(code.of('connections', name))
      return [name, digest([made, definition.kind, new Value(directory).text(options)])]
    }),
  )
  const flows = new Map(
    topology.flows.map((flow) => {
      const used = [...connectionsOf(flow)].map((name) => [name, connections.get(name)])
      return [flow.name, digest([topology.app, codeOf(code.of('flows', flow.name)), used, declared(flow, directory)])]
    }),
  )
  return { flows, connections }
}

/** What is not code: names, choices, and options with their settings put in. */
function declared(flow: FlowTopology, directory: string): string {
  const { checkpoints, attempts, givesUp, deadLetters, guarantee, joins, parts } = flow
  const value = new Value(directory)
  const stages = parts.map((part) =>
    stagesOf(part).map(({ name, partOf, definition, connection, policy, late, retry, options }) => {
      // Where a sink writes, files change because it runs.
      const given = definition.kind === 'sink' ? new Value() : value
      return [name, partOf, definition.name, connection, policy, late, given.text({ retry, options })]
    }),
  )
  const shapes = parts.map((part) => {
    const { name, keeps, checkpointed, global, timeScope, limits } = part
    return { name, keeps, checkpointed, global, timeScope, limits, shape: shapeOf(part) }
  })
  const named = { checkpoints, attempts, givesUp, deadLetters, guarantee, joins: joins.map(({ name }) => name) }
  return value.text([named, shapes, stages])
}

/** Which stage leads to which. */
function shapeOf(chain: Chain & Partial<Pick<SubTopology, 'inputs'>>): unknown {
  const names = chain.stages.map(({ name }) => name)
  const inputs = chain.inputs?.map(({ source, stages }) => [source.name, stages.map(({ name }) => name)])
  const { end } = chain
  return [inputs, names, isBranches(end) ? end.map((branch) => [branch.name, shapeOf(branch)]) : end.name]
}

function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/** Writes values as text, whatever they are; a function is its source. */
class Value {
  private readonly seen = new Map<object, number>()

  /** @param directory Where paths among them begin; without it they are texts as others. */
  constructor(private readonly directory?: string) {}

  text(value: unknown): string {
    if (typeof value === 'string') return this.directory === undefined ? JSON.stringify(value) : this.named(value)
    if (typeof value === 'function') return this.once(value, () => `function ${value.toString()} ${this.fields(value)}`)
    if (typeof value !== 'object' || value === null) return `${typeof value} ${String(value)}`
    return this.once(value, () => this.object(value))
  }

  private once(value: object, text: () => string): string {
    const known = this.seen.get(value)
    if (known !== undefined) return `#${known}`
    this.seen.set(value, this.seen.size)
    return text()
  }

  private object(value: object): string {
    if (Array.isArray(value)) return `[${value.map((item) => this.text(item)).join()}]`
    if (ArrayBuffer.isView(value))
      return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
    if (value instanceof Map || value instanceof Set) return this.text([...value])
    if (value instanceof Date || value instanceof RegExp) return String(value instanceof Date ? +value : value)
    // Where something was declared is told in its place, which moves.
    if (value instanceof Error) return value.message
    return `${value.constructor?.name}{${this.fields(value)}}`
  }

  private fields(value: object): string {
    return Object.entries(Object.getOwnPropertyDescriptors(value))
      .filter(([, field]) => field.enumerable === true && 'value' in field)
      .map(([name, field]) => `${JSON.stringify(name)}:${this.text(field.value)}`)
      .join()
  }

  private named(value: string): string {
    return `${JSON.stringify(value)} ${filesAt(this.directory ?? '', value)}`
  }
}
