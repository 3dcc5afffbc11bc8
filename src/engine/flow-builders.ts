import type { Operator, Sink, Source, StreamRecord } from '../model/index.js'
import { type Branch, type Branches, Flow, type FlowEnd, type Merged } from './flow.js'

/** What takes the records of a flow out of it: a sink, or branches that each have one. */
export type End<V> = Sink<V> | Branches<V>

/** A branch that takes records of `In`. */
export interface BranchOf<in In> extends Branch {
  readonly takes?: (value: In) => void
}

type AnyOperator = Operator<never, unknown>
type Predicate<V> = (value: V, record: StreamRecord<V>) => boolean
type Guard<V, W extends V> = (value: V, record: StreamRecord<V>) => value is W

/**
 * Declares a flow: an input, operators, and a sink or branches. Each stage takes what the one before it makes; one that
 * does not fit is a type error. A flow does nothing until a worker runs it.
 */
export function flow<A>(input: Source<A> | Merged<A>, end: End<A>): Flow
export function flow<A, B>(input: Source<A> | Merged<A>, op1: Operator<A, B>, end: End<B>): Flow
export function flow<A, B, C>(input: Source<A> | Merged<A>, op1: Operator<A, B>, op2: Operator<B, C>, end: End<C>): Flow
export function flow<A, B, C, D>(
  input: Source<A> | Merged<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  end: End<D>,
): Flow
export function flow<A, B, C, D, E>(
  input: Source<A> | Merged<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  end: End<E>,
): Flow
export function flow<A, B, C, D, E, F>(
  input: Source<A> | Merged<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  end: End<F>,
): Flow
export function flow<A, B, C, D, E, F, G>(
  input: Source<A> | Merged<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  op6: Operator<F, G>,
  end: End<G>,
): Flow
export function flow<A, B, C, D, E, F, G, H>(
  input: Source<A> | Merged<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  op6: Operator<F, G>,
  op7: Operator<G, H>,
  end: End<H>,
): Flow
export function flow<A, B, C, D, E, F, G, H, I>(
  input: Source<A> | Merged<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  op6: Operator<F, G>,
  op7: Operator<G, H>,
  op8: Operator<H, I>,
  end: End<I>,
): Flow
export function flow<A, B, C, D, E, F, G, H, I, J>(
  input: Source<A> | Merged<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  op6: Operator<F, G>,
  op7: Operator<G, H>,
  op8: Operator<H, I>,
  op9: Operator<I, J>,
  end: End<J>,
): Flow
export function flow<A, B, C, D, E, F, G, H, I, J, K>(
  input: Source<A> | Merged<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  op6: Operator<F, G>,
  op7: Operator<G, H>,
  op8: Operator<H, I>,
  op9: Operator<I, J>,
  op10: Operator<J, K>,
  end: End<K>,
): Flow
export function flow(input: Source<unknown> | Merged<unknown>, ...rest: readonly unknown[]): Flow {
  const { stages, end } = chain(rest)
  return new Flow(inputsOf(input), stages, end)
}

/** A source with operators of its own, as an input of `merge` or `flow`. */
export function from<A>(source: Source<A>): Merged<A>
export function from<A, B>(source: Source<A>, op1: Operator<A, B>): Merged<B>
export function from<A, B, C>(source: Source<A>, op1: Operator<A, B>, op2: Operator<B, C>): Merged<C>
export function from<A, B, C, D>(
  source: Source<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
): Merged<D>
export function from<A, B, C, D, E>(
  source: Source<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
): Merged<E>
export function from<A, B, C, D, E, F>(
  source: Source<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
): Merged<F>
export function from<A, B, C, D, E, F, G>(
  source: Source<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  op6: Operator<F, G>,
): Merged<G>
export function from(source: Source<unknown>, ...stages: readonly AnyOperator[]): Merged<unknown> {
  return { inputs: [{ source, stages }] }
}

type Output<I> = I extends Source<infer V> ? V : I extends Merged<infer V> ? V : never

/** Lets several inputs flow as one. Records of one input keep their order; between inputs there is none. */
export function merge<const I extends readonly (Source<unknown> | Merged<unknown>)[]>(
  ...inputs: I
): Merged<Output<I[number]>> {
  return { inputs: inputs.flatMap(inputsOf) }
}

/**
 * Ends a flow in branches: `branch(to('eu', (order) => order.region === 'eu', euSink), otherwise('rest', sink))`.
 * A record goes to the first branch that takes it, and one that no branch takes is dropped.
 */
export function branch<V>(...branches: readonly BranchOf<V>[]): Branches<V> {
  return { branches }
}

/** A branch: its name, which records it takes, its operators, its sink. A type guard narrows what they get. */
export function to<A, B extends A>(name: string, when: Guard<A, B>, end: End<B>): BranchOf<A>
export function to<A, B extends A, C>(name: string, when: Guard<A, B>, op1: Operator<B, C>, end: End<C>): BranchOf<A>
export function to<A, B extends A, C, D>(
  name: string,
  when: Guard<A, B>,
  op1: Operator<B, C>,
  op2: Operator<C, D>,
  end: End<D>,
): BranchOf<A>
export function to<A, B extends A, C, D, E>(
  name: string,
  when: Guard<A, B>,
  op1: Operator<B, C>,
  op2: Operator<C, D>,
  op3: Operator<D, E>,
  end: End<E>,
): BranchOf<A>
export function to<A, B extends A, C, D, E, F>(
  name: string,
  when: Guard<A, B>,
  op1: Operator<B, C>,
  op2: Operator<C, D>,
  op3: Operator<D, E>,
  op4: Operator<E, F>,
  end: End<F>,
): BranchOf<A>
export function to<A, B extends A, C, D, E, F, G>(
  name: string,
  when: Guard<A, B>,
  op1: Operator<B, C>,
  op2: Operator<C, D>,
  op3: Operator<D, E>,
  op4: Operator<E, F>,
  op5: Operator<F, G>,
  end: End<G>,
): BranchOf<A>
export function to<A>(name: string, when: Predicate<A>, end: End<A>): BranchOf<A>
export function to<A, B>(name: string, when: Predicate<A>, op1: Operator<A, B>, end: End<B>): BranchOf<A>
export function to<A, B, C>(
  name: string,
  when: Predicate<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  end: End<C>,
): BranchOf<A>
export function to<A, B, C, D>(
  name: string,
  when: Predicate<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  end: End<D>,
): BranchOf<A>
export function to<A, B, C, D, E>(
  name: string,
  when: Predicate<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  end: End<E>,
): BranchOf<A>
export function to<A, B, C, D, E, F>(
  name: string,
  when: Predicate<A>,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  end: End<F>,
): BranchOf<A>
export function to(name: string, when: Predicate<never>, ...rest: readonly unknown[]): BranchOf<never> {
  return { name, when: when as Branch['when'], ...chain(rest) }
}

/** The branch for all that no branch before it took. */
export function otherwise<A>(name: string, end: End<A>): BranchOf<A>
export function otherwise<A, B>(name: string, op1: Operator<A, B>, end: End<B>): BranchOf<A>
export function otherwise<A, B, C>(name: string, op1: Operator<A, B>, op2: Operator<B, C>, end: End<C>): BranchOf<A>
export function otherwise<A, B, C, D>(
  name: string,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  end: End<D>,
): BranchOf<A>
export function otherwise<A, B, C, D, E>(
  name: string,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  end: End<E>,
): BranchOf<A>
export function otherwise<A, B, C, D, E, F>(
  name: string,
  op1: Operator<A, B>,
  op2: Operator<B, C>,
  op3: Operator<C, D>,
  op4: Operator<D, E>,
  op5: Operator<E, F>,
  end: End<F>,
): BranchOf<A>
export function otherwise(name: string, ...rest: readonly unknown[]): BranchOf<never> {
  return { name, when: undefined, ...chain(rest) }
}

function inputsOf(input: Source<unknown> | Merged<unknown>): Merged<unknown>['inputs'] {
  return 'inputs' in input ? input.inputs : [{ source: input, stages: [] }]
}

function chain(rest: readonly unknown[]): { stages: readonly AnyOperator[]; end: FlowEnd } {
  return { stages: rest.slice(0, -1) as AnyOperator[], end: rest.at(-1) as FlowEnd }
}
