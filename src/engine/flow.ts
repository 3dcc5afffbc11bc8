import type { Duration, Operator, Setting, Sink, Source } from '../model/index.js'

export interface FlowOptions {
  /**
   * How long an epoch lasts: whichever limit is reached first ends it, 40,000 records, 64 MiB or 1 s if not given. With
   * `linger`, an epoch that has read all that there is waits no longer than that for more, or half as long as the last one
   * took to write its rest and to commit. So a backlog is read in large epochs, and what comes one by one is committed
   * soon. Sources that know no end, such as `http.post`, have epochs of their own, and no `linger`.
   */
  readonly epoch?: {
    readonly maxRecords?: number
    readonly maxBytes?: number
    readonly every?: Duration
    readonly linger?: Duration
  }
  /** How often a failing flow is tried again before it stops. Default 10. */
  readonly attempts?: number
  /** The name that dead letters of this flow go to. Default `<app>.<flow>.dead-letters`. */
  readonly deadLetters?: string
  /**
   * The connection (or the kind of the only one) that keeps positions and stores of this flow, or `memory`. Default: the
   * configuration's, or `WEIR_CHECKPOINTS`. Where its sink writes to the same database, rows, stores and positions commit in one transaction.
   */
  readonly checkpoints?: string | Setting<string>
  /** Stores of stages that the flow had once: their state may be lost. Without it, such state is refused at the start. */
  readonly givesUp?: readonly string[]
  /**
   * Refuses to start unless every result counts exactly once. A Kafka sink then writes in one transaction an epoch,
   * together with stores and positions; readers with `read_committed` see results when the epoch commits.
   * Without stores its positions are then kept where it writes. Dead letters stay at least once.
   */
  readonly guarantee?: 'exactly-once'
}

/** A branch of a flow: which records it takes, and what becomes of them. */
export interface Branch {
  readonly name: string
  /** Undefined takes what no branch before it took. */
  readonly when: ((value: never, record: never) => boolean) | undefined
  readonly stages: readonly Operator<never, unknown>[]
  readonly end: FlowEnd
}

export interface Branches<in In> {
  readonly branches: readonly Branch[]
  readonly in?: (value: In) => void
}

/** A source with stages of its own, as an input of `merge`. */
export interface Input {
  readonly source: Source<unknown>
  readonly stages: readonly Operator<never, unknown>[]
}

/** Several inputs that flow as one. */
export interface Merged<out Out> {
  readonly inputs: readonly Input[]
  readonly out?: () => Out
}

export type FlowEnd = Sink<never> | Branches<never>

/** A declared flow: inputs, stages, an end. It does nothing until it is compiled and run. */
export class Flow {
  constructor(
    readonly inputs: readonly Input[],
    readonly stages: readonly Operator<never, unknown>[],
    readonly end: FlowEnd,
    readonly options: FlowOptions = {},
  ) {}

  /** Where the user's code declared it, for error texts. */
  readonly declaredAt = new Error('declared here')

  /** The same flow with other options. */
  with(options: FlowOptions): Flow {
    return new Flow(this.inputs, this.stages, this.end, { ...this.options, ...options })
  }
}
