import { asWeirError, type OperatorContext, type StreamRecord, WeirError } from '../../model/index.js'
import type { Combined } from './window-results.js'

/**
 * Keeps records out of the state that the code of an aggregate throws at. What it had changed by then nobody can undo, so
 * the first time the epoch goes back to its beginning, at once; from then on each record is tried beforehand: on a group
 * of nothing, and where that did not find what throws, on a copy of its group. So what is rejected has left no trace, and
 * an aggregate that never throws pays nothing. One object serves a task for as long as it lives.
 */
export class Trial {
  private on: 'nothing' | 'an empty group' | 'a copy' = 'nothing'

  constructor(
    private readonly aggregate: Combined,
    private readonly context: OperatorContext,
    /** Whether records are rejected at all, or the first one ends the epoch for good. */
    private readonly isWanted: boolean,
  ) {}

  /** Whether records have to be tried. */
  get isOn(): boolean {
    return this.on !== 'nothing'
  }

  /** Whether a record may be taken into its group; undefined where there is none yet. Those that may not are rejected. */
  passes(record: StreamRecord, group: { readonly state: unknown } | undefined): boolean {
    const { aggregate, on } = this
    try {
      const empty = aggregate.init()
      const tried = on === 'a copy' && group !== undefined ? aggregate.merge(empty, group.state) : empty
      aggregate.add(tried, record.value, record)
      return true
    } catch (error) {
      this.context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
      return false
    }
  }

  /** What has to be thrown when the code threw with the group itself. */
  failed(error: unknown, { origin }: StreamRecord): WeirError {
    const { topic, partition, offset } = origin.from ?? origin
    const { stage } = this.context
    const failure = asWeirError(error, 'WEIR_STAGE_FAILED', { stage, partition: { topic, partition }, offset })
    if (!this.isWanted || this.on === 'a copy') return failure
    this.on = this.on === 'nothing' ? 'an empty group' : 'a copy'
    const hint = `The epoch is read again, and from now on each record is tried on ${this.on} first.`
    return new WeirError('WEIR_STAGE_FAILED', failure.message, { ...failure.place, cause: error, hint, atOnce: true })
  }
}
