import type { Guarantee } from '../model/index.js'
import type { ConfigFault } from './config-error.js'
import { type Chain, type FlowTopology, type InputNode, type SinkNode, sinksOf } from './topology.js'

const strength: readonly Guarantee[] = ['at-most-once', 'at-least-once', 'effectively-once', 'exactly-once']

interface Facts extends Chain {
  readonly inputs: readonly InputNode[]
  readonly stores: readonly string[]
  /** The sinks that write in the transaction of the checkpoint store. */
  readonly joins: readonly SinkNode[]
  readonly checkpoints: string
}

/** What a flow promises: the least of what its stages do, and which of them that is. */
export function guaranteeOf(facts: Facts): Pick<FlowTopology, 'guarantee' | 'guaranteedBy'> {
  const claims = [...claimsOf(facts)]
  const [guarantee, stage, why] = claims.reduce((least, claim) =>
    strength.indexOf(claim[0]) < strength.indexOf(least[0]) ? claim : least,
  )
  return { guarantee, guaranteedBy: { stage, why } }
}

function* claimsOf({ inputs, stores, joins, checkpoints, ...chain }: Facts): Generator<[Guarantee, string, string]> {
  // First, for of what promises the same the first is told.
  for (const { source } of inputs) {
    if (source.definition.positions !== 'store' || checkpoints !== 'memory') continue
    yield ['at-least-once', source.name, 'its positions are in memory: a process that starts again begins anew']
  }
  for (const sink of sinksOf(chain)) {
    // Options that did not validate are undefined; their fault is told elsewhere.
    const joined = joins.includes(sink)
    const claim = sink.options === undefined ? 'at-least-once' : sink.definition.guarantee(sink.options, joined)
    yield [claim, sink.name, joined ? 'writes, state and positions commit in one transaction' : sink.definition.summary]
  }
  for (const { source } of inputs) {
    if (source.definition.replayable) continue
    yield ['at-least-once', source.name, 'the source can not be read again: its callers retry what was not answered']
  }
  if (stores.length > 0 && checkpoints === 'memory') {
    yield ['at-most-once', stores[0] as string, 'state is in memory, and lost when the process ends']
  }
}

/** Why a flow that asks for exactly once can't have it: every stage that stands in the way, and what mends it. */
export function exactlyOnceFaults(flow: string, facts: Facts): ConfigFault[] {
  const fault = (stage: { name: string; declaredAt: Error }, why: string, hint: string) => ({
    message: `flow '${flow}' asks for exactly-once, and '${stage.name}' can't give it: ${why}`,
    hint,
    declaredAt: stage.declaredAt,
  })
  const faults: ConfigFault[] = []
  for (const sink of sinksOf(facts)) {
    const joins = facts.joins.includes(sink)
    if (sink.options === undefined || sink.definition.guarantee(sink.options, joins) === 'exactly-once') continue
    const { name, definition, connection } = sink
    if (joins || !(definition.transactional ?? false) || connection === undefined) {
      faults.push(fault({ name, declaredAt: sink.declaredAt }, 'it writes in no transaction', withoutTransactions))
      continue
    }
    if (connection === facts.checkpoints) {
      faults.push(fault(sink, `no transaction reaches all of '${connection}'`, withoutTransactions))
      continue
    }
    const why = `it writes to '${connection}', and checkpoints are kept in '${facts.checkpoints}'`
    faults.push(fault(sink, why, `Set the flow's option checkpoints: '${connection}', and write to that one only.`))
  }
  for (const { source } of facts.inputs) {
    if (source.definition.replayable) continue
    faults.push(fault(source, 'it can not be read again after a crash', 'Write it to a topic first, and read that.'))
  }
  return faults
}

const withoutTransactions = 'Write to a database or a topic, or leave the guarantee to what the sink gives.'
