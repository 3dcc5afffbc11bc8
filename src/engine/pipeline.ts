import { concat, defer, EMPTY, from, mergeAll, type Observable, type OperatorFunction, tap, throwError } from 'rxjs'
import { operate, type SinkTask, type SourceTask, type StreamRecord, WeirError } from '../model/index.js'
import { branching } from './branching.js'
import { edge } from './edge.js'
import type { EpochBudget } from './epoch.js'
import type { StageContexts } from './stage-contexts.js'
import type { StageReading } from './status.js'
import { type Chain, isBranches, type OperatorNode, type SinkNode, type SubTopology } from './topology.js'

type Records = Observable<StreamRecord>
type Operate = OperatorFunction<StreamRecord, StreamRecord>
type Watch = (record: StreamRecord) => void
type Run = (records$: Records) => Observable<unknown>

/** The stages of a flow, built once and subscribed anew by each epoch. */
export interface Pipeline {
  readonly sources: readonly SourceTask[]
  readonly sinks: readonly SinkTask[]
  /** What the metrics of its stages are at the moment. */
  metrics(): readonly StageReading[]
  /**
   * Reads one epoch and writes it: completes when every sink has all it wrote acknowledged. `drained` is called when the
   * last source has completed, before the stages behind it see the completion.
   */
  run(epoch: EpochBudget, drained: () => void): Observable<unknown>
}

interface BuiltSink {
  readonly stage: string
  readonly task: SinkTask
}

/** Builds the stages of a flow and wires them. */
export function buildPipeline(flow: SubTopology, contexts: StageContexts): Pipeline {
  const sinks: BuiltSink[] = []
  const inputs = flow.inputs.map(({ source, stages }, input) => ({
    task: source.definition.build(source.options as never, contexts.source(source)),
    through: operators(stages, source.name, contexts, input),
    last: stages.at(-1)?.name ?? source.name,
  }))
  const single = inputs.length === 1 ? inputs[0]?.last : undefined
  const body = chain(flow, single, contexts, sinks)
  const { tracer } = contexts
  return {
    sources: inputs.map(({ task }) => task),
    sinks: sinks.map(({ task }) => task),
    metrics: () => [
      ...contexts.readings(),
      ...sinks.flatMap(({ stage, task }) => (task.metrics?.() ?? []).map((reading) => ({ stage, ...reading }))),
    ],
    run: (epoch, drained) => {
      let reading = inputs.length
      const whole$ = defer(() => (reading === 0 ? EMPTY : throwError(unreadError)))
      // Not a `concat`: each record would go through all that it has for merging.
      const ending = operate<StreamRecord, StreamRecord>((output) => ({
        next:
          tracer === undefined
            ? (record) => output.next(record)
            : (record) => {
                tracer.read(record)
                output.next(record)
              },
        complete() {
          if (--reading === 0) drained()
        },
      }))
      const reading$ = (task: SourceTask) =>
        defer(() => {
          epoch.begin()
          return task.read(epoch)
        })
      const records = inputs.map(({ task, through }) => through(reading$(task).pipe(ending)))
      if (single !== undefined) return concat(body(records[0] as Records), whole$)
      const leaving = records.map((records$, index) => records$.pipe(way(contexts, inputs[index]?.last, undefined)))
      return concat(body(from(leaving).pipe(mergeAll(leaving.length))), whole$)
    },
  }
}

function chain({ stages, end }: Chain, from: string | undefined, contexts: StageContexts, sinks: BuiltSink[]): Run {
  const through = operators(stages, from, contexts)
  const watch = contexts.passing()
  const last = stages.at(-1)?.name ?? from
  const run = isBranches(end)
    ? watched(watch, branching(end.map((node) => ({ node, run: chain(node, last, contexts, sinks) }))))
    : write(end, last, contexts, sinks)
  return (records$) => run(records$.pipe(through))
}

function write(node: SinkNode, from: string | undefined, contexts: StageContexts, sinks: BuiltSink[]): Run {
  const task = node.definition.build(node.options, contexts.sink(node))
  sinks.push({ stage: node.name, task })
  const watch = both(contexts.watch(node), contexts.passing())
  const into = sieved(way(contexts, from, node.name, watch), contexts.sieve(node))
  const { tracer } = contexts
  if (tracer === undefined) return (records$) => task.write(records$.pipe(into))
  const complete = () => tracer.ended(contexts.counts(node.name))
  return (records$) => task.write(records$.pipe(into)).pipe(tap({ complete }))
}

/** The way from one stage to the next. Its times are taken only where somebody wants to know them. */
function way(contexts: StageContexts, from: string | undefined, to: string | undefined, watch?: Watch): Operate {
  const { tracer } = contexts
  const [before, behind] = [contexts.counts(from), contexts.counts(to)]
  if (tracer === undefined) return edge(before, behind, watch)
  const complete = () => tracer.ended(before)
  const into = edge(before, behind, both(watch, tracer.between(before, behind)))
  return (records$) => into(records$.pipe(tap({ complete })))
}

function sieved(into: Operate, sieve: Operate | undefined): Operate {
  return sieve === undefined ? into : (records$) => sieve(into(records$))
}

function both(one: Watch | undefined, other: Watch | undefined): Watch | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return (record) => {
    one(record)
    other(record)
  }
}

function watched(watch: Watch | undefined, run: Run): Run {
  return watch === undefined ? run : (records$) => run(records$.pipe(tap(watch)))
}

/** What a source had read may not have come through: its positions must not be committed. */
function unreadError(): WeirError {
  return new WeirError('WEIR_STAGE_FAILED', 'running the stages of a flow: they ended before their source did', {
    hint: 'Stages have to read to the end of an epoch: `take` and the like would lose what comes after.',
  })
}

/** Operators in a row as one. */
function operators(
  nodes: readonly OperatorNode[],
  from: string | undefined,
  contexts: StageContexts,
  input?: number,
): Operate {
  const built = nodes.map((node, index): Operate => {
    const through = node.definition.build(node.options, contexts.operator(node, input)) as Operate
    const before = index === 0 ? from : nodes[index - 1]?.name
    const into = sieved(way(contexts, before, node.name, contexts.passing()), contexts.sieve(node))
    return (records$) => through(into(records$))
  })
  return (records$) => built.reduce((piped$, through) => through(piped$), records$)
}
