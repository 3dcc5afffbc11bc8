import type { ConfigFault } from './config-error.js'
import { recordTime } from './record-time.js'
import { type Chain, type InputNode, isBranches, type OperatorNode, operatorsOf } from './topology.js'

type Path = Pick<InputNode, 'stages'> & Pick<Chain, 'end'>

/**
 * What is wrong with the stages that say what time records have: a partition has one time, so one of them at the most is
 * on the way of each record, and what goes by the time is behind it.
 */
export function timeFaults(flow: string, inputs: readonly InputNode[], chain: Chain): ConfigFault[] {
  const faults = new Map<OperatorNode, ConfigFault>()
  for (const path of pathsOf(inputs, chain)) {
    const [first, ...others] = timesOf(path)
    for (const other of others) {
      const message = `flow '${flow}': '${other.name}' says what time records have, and '${first?.name}' has said so already`
      const hint = 'Keep one of them, before any branch: all that is made of a partition goes by one time.'
      faults.set(other, { message, hint, declaredAt: other.declaredAt })
    }
    for (const early of first === undefined ? [] : untimed(path)) {
      const message = `flow '${flow}': '${early.name}' goes by the time of records, which '${first?.name}' says only elsewhere`
      const hint = `Put '${first?.name}' before '${early.name}', and before any branch.`
      faults.set(early, { message, hint, declaredAt: early.declaredAt })
    }
  }
  return [...faults.values()]
}

/** The inputs; where a stage goes by the time of their records and none says it, with one that takes their timestamps. */
export function withTimes(
  inputs: readonly InputNode[],
  chain: Chain,
  policy: OperatorNode['policy'],
  name: (name: string) => string,
): readonly InputNode[] {
  const paths = pathsOf(inputs, chain)
  return inputs.map((input, index) => {
    const path = paths[index] as Path
    const [needs] = timesOf(path).length > 0 ? [] : untimed(path)
    if (needs === undefined) return input
    const stage: OperatorNode = {
      name: name(recordTime.name),
      definition: recordTime as OperatorNode['definition'],
      options: {},
      connection: undefined,
      policy,
      declaredAt: needs.declaredAt,
    }
    return { ...input, stages: [stage, ...input.stages] }
  })
}

/** The ways of the records, an input each. */
function pathsOf(inputs: readonly InputNode[], { stages, end }: Chain): Path[] {
  return inputs.map((input) => ({ stages: [...input.stages, ...stages], end }))
}

function timesOf(path: Path): OperatorNode[] {
  return [...operatorsOf(path)].filter(({ definition }) => definition.times === true)
}

/** The stages that go by the time of records before any stage has said it. */
function* untimed({ stages, end }: Path): Generator<OperatorNode> {
  for (const stage of stages) {
    const { definition, options } = stage
    if (definition.times === true) return
    if (options !== undefined && definition.timed?.(options) === true) yield stage
  }
  if (isBranches(end)) for (const branch of end) yield* untimed(branch)
}
