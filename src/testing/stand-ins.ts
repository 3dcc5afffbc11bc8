import { Flow, type FlowEnd, type FlowOptions } from '../engine/flow.js'
import type { Sink, Source } from '../model/index.js'

export interface StandIns {
  source(declared: Source<unknown>, index: number): Source<unknown>
  sink(declared: Sink<never>): Sink<never>
}

/**
 * The same flow between other sources and sinks, with further options. Where it keeps its checkpoints is up to those who
 * stand in, and so is what they can promise.
 */
export function withStandIns(flow: Flow, { source, sink }: StandIns, options: FlowOptions): Flow {
  const endOf = (end: FlowEnd): FlowEnd =>
    'branches' in end ? { branches: end.branches.map((branch) => ({ ...branch, end: endOf(branch.end) })) } : sink(end)
  const inputs = flow.inputs.map((input, index) => ({ ...input, source: source(input.source, index) }))
  const { checkpoints: _, guarantee: __, ...kept } = flow.options
  return new Flow(inputs, flow.stages, endOf(flow.end), { ...kept, ...options })
}

/** Whether records of the flow may be tried again, by way of topics beside that of its source. */
export function triesAgain({ inputs, stages, end }: Flow): boolean {
  const inEnd = (each: FlowEnd): boolean =>
    'branches' in each
      ? each.branches.some((branch) => branch.stages.some(hasRetry) || inEnd(branch.end))
      : hasRetry(each)
  return [...inputs.flatMap((input) => input.stages), ...stages].some(hasRetry) || inEnd(end)
}

function hasRetry({ options }: { readonly options: unknown }): boolean {
  const { onError } = (options ?? {}) as { readonly onError?: unknown }
  return typeof onError === 'object'
}

/** A value as the source would have it: bytes, if it reads topics, with objects as JSON. */
export function asRead({ definition }: Source<unknown>, value: unknown): unknown {
  if (definition.reads === undefined || Buffer.isBuffer(value) || value === null) return value
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}
