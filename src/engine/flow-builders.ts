import type { Operator, Sink, Source, StreamRecord } from '../model/index.js'
import { type Branch, type Branches, Flow, type FlowEnd, type Merged } from './flow.js'

/** What takes the records of a flow out of it: a sink, or branches that each have one. */
export type End<V> = Sink<V> | Branches<V>

/** A branch that takes records of `In`. */
export interface BranchOf<in In> extends Branch {
  readonly takes?: (value: In) => void
}

type AnyOperator = Operator<never, unknown>
type Condition<V> = (value: V, record: StreamRecord<V>) => boolean
type Guard<V, W extends V> = (value: V, record: StreamRecord<V>) => value is W

/**
 * What the stage before makes, as the only place to infer it from: a stage that does not fit is then the place of the
 * error, and not the source. (`NoInfer` would do, but it hides from lambdas that they are type guards.)
 */
type Made<V> = [V][V extends unknown ? 0 : never]

/** What passes a condition. Of a lambda without annotations nothing is known (never) while the stages are inferred. */
type Taken<V, P> = [P] extends [never] ? Made<V> : P extends Guard<V, infer W> ? W : Made<V>

/**
 * Declares a flow: an input, operators, and a sink or branches. Each stage takes what the one before it makes; one that
 * does not fit is a type error. A flow does nothing until a worker runs it.
 */
export function flow<A>(input: Source<A> | Merged<A>, end: End<Made<A>>): Flow
export function flow<A, B>(input: Source<A> | Merged<A>, op1: Operator<Made<A>, B>, end: End<Made<B>>): Flow
export function flow<A, B, C>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  end: End<Made<C>>,
): Flow
export function flow<A, B, C, D>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  end: End<Made<D>>,
): Flow
export function flow<A, B, C, D, E>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  end: End<Made<E>>,
): Flow
export function flow<A, B, C, D, E, F>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  end: End<Made<F>>,
): Flow
export function flow<A, B, C, D, E, F, G>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  op6: Operator<Made<F>, G>,
  end: End<Made<G>>,
): Flow
export function flow<A, B, C, D, E, F, G, H>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  op6: Operator<Made<F>, G>,
  op7: Operator<Made<G>, H>,
  end: End<Made<H>>,
): Flow
export function flow<A, B, C, D, E, F, G, H, I>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  op6: Operator<Made<F>, G>,
  op7: Operator<Made<G>, H>,
  op8: Operator<Made<H>, I>,
  end: End<Made<I>>,
): Flow
export function flow<A, B, C, D, E, F, G, H, I, J>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  op6: Operator<Made<F>, G>,
  op7: Operator<Made<G>, H>,
  op8: Operator<Made<H>, I>,
  op9: Operator<Made<I>, J>,
  end: End<Made<J>>,
): Flow
export function flow<A, B, C, D, E, F, G, H, I, J, K>(
  input: Source<A> | Merged<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  op6: Operator<Made<F>, G>,
  op7: Operator<Made<G>, H>,
  op8: Operator<Made<H>, I>,
  op9: Operator<Made<I>, J>,
  op10: Operator<Made<J>, K>,
  end: End<Made<K>>,
): Flow
export function flow(input: Source<unknown> | Merged<unknown>, ...rest: readonly unknown[]): Flow {
  const { stages, end } = chain(rest)
  return new Flow(inputsOf(input), stages, end)
}

/** A source with operators of its own, as an input of `merge` or `flow`. */
export function from<A>(source: Source<A>): Merged<A>
export function from<A, B>(source: Source<A>, op1: Operator<Made<A>, B>): Merged<B>
export function from<A, B, C>(source: Source<A>, op1: Operator<Made<A>, B>, op2: Operator<Made<B>, C>): Merged<C>
export function from<A, B, C, D>(
  source: Source<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
): Merged<D>
export function from<A, B, C, D, E>(
  source: Source<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
): Merged<E>
export function from<A, B, C, D, E, F>(
  source: Source<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
): Merged<F>
export function from<A, B, C, D, E, F, G>(
  source: Source<A>,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  op6: Operator<Made<F>, G>,
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

/**
 * A branch: its name, which records it takes, its operators, its sink. A type guard that is named, or whose parameter
 * is annotated, narrows what they get.
 */
export function to<A, P extends Condition<A>>(name: string, when: P, end: End<Taken<A, P>>): BranchOf<A>
export function to<A, B, P extends Condition<A>>(
  name: string,
  when: P,
  op1: Operator<Taken<A, P>, B>,
  end: End<Made<B>>,
): BranchOf<A>
export function to<A, B, C, P extends Condition<A>>(
  name: string,
  when: P,
  op1: Operator<Taken<A, P>, B>,
  op2: Operator<Made<B>, C>,
  end: End<Made<C>>,
): BranchOf<A>
export function to<A, B, C, D, P extends Condition<A>>(
  name: string,
  when: P,
  op1: Operator<Taken<A, P>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  end: End<Made<D>>,
): BranchOf<A>
export function to<A, B, C, D, E, P extends Condition<A>>(
  name: string,
  when: P,
  op1: Operator<Taken<A, P>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  end: End<Made<E>>,
): BranchOf<A>
export function to<A, B, C, D, E, F, P extends Condition<A>>(
  name: string,
  when: P,
  op1: Operator<Taken<A, P>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  end: End<Made<F>>,
): BranchOf<A>
export function to(name: string, when: Condition<never>, ...rest: readonly unknown[]): BranchOf<never> {
  return { name, when, ...chain(rest) }
}

/** The branch for all that no branch before it took. */
export function otherwise<A>(name: string, end: End<Made<A>>): BranchOf<A>
export function otherwise<A, B>(name: string, op1: Operator<Made<A>, B>, end: End<Made<B>>): BranchOf<A>
export function otherwise<A, B, C>(
  name: string,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  end: End<Made<C>>,
): BranchOf<A>
export function otherwise<A, B, C, D>(
  name: string,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  end: End<Made<D>>,
): BranchOf<A>
export function otherwise<A, B, C, D, E>(
  name: string,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  end: End<Made<E>>,
): BranchOf<A>
export function otherwise<A, B, C, D, E, F>(
  name: string,
  op1: Operator<Made<A>, B>,
  op2: Operator<Made<B>, C>,
  op3: Operator<Made<C>, D>,
  op4: Operator<Made<D>, E>,
  op5: Operator<Made<E>, F>,
  end: End<Made<F>>,
): BranchOf<A>
export function otherwise(name: string, ...rest: readonly unknown[]): BranchOf<never> {
  return { name, when: undefined, ...chain(rest) }
}

function inputsOf(input: Source<unknown> | Merged<unknown>): Merged<unknown>['inputs'] {
  // It may be anything where types are not checked; what it is is told with the other faults.
  const isMerged = typeof input === 'object' && input !== null && 'inputs' in input
  return isMerged ? input.inputs : [{ source: input, stages: [] }]
}

function chain(rest: readonly unknown[]): { stages: readonly AnyOperator[]; end: FlowEnd } {
  return { stages: rest.slice(0, -1) as AnyOperator[], end: rest.at(-1) as FlowEnd }
}
