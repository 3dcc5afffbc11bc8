import {
  asWeirError,
  messageOf,
  type OperatorContext,
  type StoreCodec,
  type StreamRecord,
  WeirError,
} from '../../model/index.js'
import type { Combined } from './window-results.js'

/**
 * Keeps records out of the state that the code of an aggregate throws at. What it had changed by then nobody can undo, so
 * the first time the epoch goes back to its beginning, at once; from then on each record is tried beforehand: on a group
 * of nothing, and where that did not find what throws, on a copy of its group. So what is rejected has left no trace, and
 * an aggregate that never throws pays nothing. One object serves a task for as long as it lives.
 *
 * A state that can't be saved is found when it is sent or committed, and by then nobody knows which record made it so: once
 * that has happened, the copy is saved as well.
 */
export class Trial {
  /** The same, with a codec that tells what it throws. */
  readonly aggregate: Combined
  private on: 'nothing' | 'an empty group' | 'a copy' = 'nothing'
  private saves = false

  constructor(
    aggregate: Combined,
    private readonly context: OperatorContext,
    /** Whether records are rejected at all, or the first one ends the epoch for good. */
    private readonly isWanted: boolean,
  ) {
    this.aggregate = { ...aggregate, codec: telling(aggregate.codec, (error) => this.unsaved(error)) }
  }

  /** Whether records have to be tried. */
  get isOn(): boolean {
    return this.on !== 'nothing'
  }

  /** Whether a record may be taken into its group; undefined where there is none yet. Those that may not are rejected. */
  passes(record: StreamRecord, group: { readonly state: unknown } | undefined): boolean {
    const { aggregate, on, saves } = this
    try {
      const empty = aggregate.init()
      const tried = on === 'a copy' && group !== undefined ? aggregate.merge(empty, group.state) : empty
      const added = aggregate.add(tried, record.value, record)
      if (saves) this.keepable(aggregate.codec.save(added))
      return true
    } catch (error) {
      this.context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
      return false
    }
  }

  private keepable(saved: unknown): void {
    try {
      this.context.keepable?.(saved)
    } catch (error) {
      throw this.unsaved(error)
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

  /** What has to be thrown when a state could not be saved. */
  private unsaved(error: unknown): WeirError {
    const { stage } = this.context
    const more = { stage, cause: error }
    const message = `saving the state of '${stage}': ${messageOf(error)}`
    if (!this.isWanted || this.saves) return new WeirError('WEIR_STAGE_FAILED', message, { ...more, hint: codecHint })
    this.on = 'a copy'
    this.saves = true
    const hint = 'The epoch is read again, and from now on a copy of its group is saved with each record first.'
    return new WeirError('WEIR_STAGE_FAILED', message, { ...more, hint, atOnce: true })
  }
}

const codecHint =
  "Have the codec of the aggregate make plain data of it (objects, arrays, Map, Set, Date, bigint, bytes), or set the stage's option onError, for such records to go elsewhere."

/** What throws as it saves is told so; what throws as it loads, whoever loads tells. */
function telling(codec: StoreCodec<unknown>, told: (error: unknown) => WeirError): StoreCodec<unknown> {
  const { version, changes, apply, size } = codec
  const guarded = (make: (value: unknown) => unknown) => (value: unknown) => {
    try {
      return make(value)
    } catch (error) {
      throw told(error)
    }
  }
  return {
    version,
    save: guarded((value) => codec.save(value)),
    unkept: told,
    load: (saved, under) => codec.load(saved, under),
    ...(changes && { changes: guarded((value) => changes.call(codec, value)) }),
    ...(apply && { apply: (value, changed, under) => apply.call(codec, value, changed, under) }),
    ...(size && { size: (value) => size.call(codec, value) }),
  }
}
