import { catchError, defaultIfEmpty, last, map, type Observable, of } from 'rxjs'
import {
  asWeirError,
  type Clock,
  type Connection,
  type OperatorContext,
  type StreamRecord,
  silentLogger,
  WeirError,
} from '../model/index.js'
import { isRetryStage } from './retry/retry-parts.js'
import type { FlowTopology, InputNode, OperatorNode, SubTopology, Topology } from './topology.js'

/** Stages that keep nothing, and do nothing but to make other records of a record. */
const pure = new Set([
  'json',
  'avro.decode',
  'jsonSchema.decode',
  'cloudEvents.decode',
  'validate',
  'map',
  'filter',
  'flatMap',
  'keyBy',
])

interface Around {
  readonly app: string
  readonly clock: Clock
  connection(name: string): Connection
}

/** What a flow would say of records that its source reads, as far as its first stages decide that: nothing is written. */
export class InputTrial {
  readonly flow: string
  /** The stages that say it. */
  readonly stages: readonly string[]
  private readonly nodes: readonly OperatorNode[]
  private rejected: WeirError | undefined
  private built: ReturnType<OperatorNode['definition']['build']>[] | undefined

  private constructor(
    { name }: FlowTopology,
    { stages }: InputNode,
    part: SubTopology,
    private readonly around: Around,
  ) {
    const all = [...stages, ...part.stages].filter((stage) => !isRetryStage(stage))
    const end = all.findIndex(({ definition }) => !pure.has(definition.name))
    this.flow = name
    this.nodes = end < 0 ? all : all.slice(0, end)
    this.stages = this.nodes.map((node) => node.name)
  }

  /** Of each flow that reads the topic. */
  static of(topic: string, { flows }: Pick<Topology, 'flows'>, around: Around): readonly InputTrial[] {
    return flows.flatMap((flow) =>
      flow.parts.flatMap((part) =>
        part.inputs
          .filter(({ source: { definition, options } }) => definition.reads?.(options).topics.includes(topic))
          .map((input) => new InputTrial(flow, input, part, around)),
      ),
    )
  }

  /** Emits why a record would be rejected; undefined where it would not. Errors when a system that is asked does not answer. */
  try(record: StreamRecord): Observable<WeirError | undefined> {
    this.built ??= this.nodes.map((node) => node.definition.build(node.options, this.context(node)))
    this.rejected = undefined
    return this.built
      .reduce((records$: Observable<StreamRecord>, operate) => records$.pipe(operate), of(record))
      .pipe(
        map(() => undefined),
        catchError((error: unknown) => {
          const located = asWeirError(error, 'WEIR_STAGE_FAILED', { flow: this.flow })
          if (located.culprit !== 'record') throw located
          return of(located)
        }),
        defaultIfEmpty(undefined),
        last(),
        map((failed) => failed ?? this.rejected),
      )
  }

  private context({ name: stage, connection: named }: OperatorNode): OperatorContext {
    const { app, clock, connection } = this.around
    const { flow } = this
    const nothing = (): never => {
      throw new WeirError('WEIR_TASK_UNEXPECTED', `trying stage '${stage}': it keeps state`, { flow, stage })
    }
    return {
      ...{ app, flow, stage, clock, log: silentLogger },
      connection: <C extends Connection>() => connection(named ?? '') as C,
      store: nothing,
      get time(): never {
        return nothing()
      },
      reject: (_, error) => {
        this.rejected ??= asWeirError(error, 'WEIR_STAGE_FAILED', { flow, stage })
      },
    }
  }
}
