import type { ConfigFault } from './config-error.js'
import type { Branch, Flow } from './flow.js'

type Kind = 'source' | 'operator' | 'sink'

const expected = {
  source: 'a source, such as kafka.source({ … })',
  operator: 'an operator, such as map(…)',
  sink: 'a sink, such as consoleSink(), or branch(…)',
} as const

/** What is in a place of a flow where it can't be: types tell it, where they are checked and not cast away. */
export function* shapeFaults(name: string, flow: Flow): Generator<ConfigFault> {
  const fault = (message: string, hint: string, declaredAt = flow.declaredAt): ConfigFault => ({
    message: `flow '${name}': ${message}`,
    hint,
    declaredAt,
  })

  function* stage(value: unknown, kind: Kind, where: string): Generator<ConfigFault> {
    const found = kindOf(value)
    if (found === kind) return
    const { declaredAt } = found === undefined ? flow : (value as { declaredAt: Error })
    yield fault(
      `${where} is ${nameOf(value, found)}, and has to be ${expected[kind]}`,
      hintOf(value, found),
      declaredAt,
    )
  }

  function* row(stages: readonly unknown[], end: unknown, where: string): Generator<ConfigFault> {
    for (const [index, each] of stages.entries()) yield* stage(each, 'operator', `stage ${index + 1}${where}`)
    if (isObject(end) && Array.isArray(end['branches'])) yield* branches(end['branches'] as unknown[], where)
    else yield* stage(end, 'sink', `the end${where}`)
  }

  function* branches(all: readonly unknown[], where: string): Generator<ConfigFault> {
    if (all.length === 0) yield fault(`branch()${where} has no branches`, 'Give it to(name, condition, …, sink).')
    const names = new Set<string>()
    let taker: string | undefined
    for (const each of all as readonly (Branch | undefined)[]) {
      const own = ` of branch '${each?.name}'`
      if (!isObject(each) || typeof each.name !== 'string') {
        yield fault(`what is given to branch()${where} is no branch`, 'Give it to(name, condition, …, sink).')
        continue
      }
      if (names.has(each.name)) yield fault(`two branches are called '${each.name}'`, 'Give each a name of its own.')
      names.add(each.name)
      if (each.name === '') yield fault('a branch has no name', 'Write to(name, condition, …, sink).')
      if (taker !== undefined)
        yield fault(
          `nothing is left for branch '${each.name}': '${taker}' before it takes all`,
          'Put otherwise(…) last.',
        )
      if (each.when === undefined) taker = each.name
      if (each.when !== undefined && typeof each.when !== 'function')
        yield fault(`the condition${own} is no function`, 'Write to(name, (value) => …, …, sink).')
      yield* row(each.stages, each.end, own)
    }
  }

  if (flow.inputs.length === 0) yield fault('merge() has no inputs', 'Give it sources, or from(source, …).')
  for (const { source, stages } of flow.inputs) {
    yield* stage(source, 'source', 'the first stage')
    for (const [index, each] of stages.entries()) yield* stage(each, 'operator', `stage ${index + 1} of an input`)
  }
  yield* row(flow.stages, flow.end, '')
}

function kindOf(value: unknown): Kind | undefined {
  const definition = isObject(value) && 'options' in value ? value['definition'] : undefined
  return isObject(definition) ? (definition['kind'] as Kind) : undefined
}

function nameOf(value: unknown, found: Kind | undefined): string {
  if (found !== undefined) return `the ${found} '${(value as { definition: { name: string } }).definition.name}'`
  return typeof value === 'function' ? `the function '${value.name}'` : value === null ? 'null' : `${typeof value}`
}

function hintOf(value: unknown, found: Kind | undefined): string {
  if (typeof value === 'function')
    return `Call it, as in ${value.name || 'map'}(…); an operator of RxJS goes into rx(…).`
  if (found === undefined) return 'See what is imported, and from where.'
  return 'A flow is one source, operators, and one sink; branch(…) is several sinks, merge(…) several sources.'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
