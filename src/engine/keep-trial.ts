import {
  messageOf,
  operate,
  place,
  type Store,
  type StoreBounds,
  type StoreCodec,
  type StorePartition,
  type StreamRecord,
  WeirError,
} from '../model/index.js'
import { type TaskStores, tagged } from '../state/index.js'

/**
 * Finds the records with which a stage puts into its stores what nobody can keep. That is found when the epoch is committed,
 * and by then nobody knows which record it was: so the first time the epoch is read again, at once, and from then on each
 * entry is looked at when it is touched. The record at fault is noted, the epoch is read once more, for nobody can undo what
 * the stage had changed by then, and the record is rejected before the stage sees it. A stage that keeps what can be kept
 * pays next to nothing. One object serves a stage for as long as its task lives.
 *
 * Stages that look after that themselves have a codec that says so (`StoreCodec.unkept`).
 */
export class KeepTrial {
  /** Whether the stage has stores that have to be looked after: then `sieve` stands before it. */
  isNeeded = false
  private isOn = false
  /** The names of records that are to be rejected when the epoch is read again, and why. */
  private readonly refused = new Map<string, WeirError>()
  private readonly names = new WeakMap<StreamRecord, string>()
  /** The record that the stage is at work on, where it works on one at a time. */
  private given: StreamRecord | undefined
  private last: { readonly origin: StreamRecord['origin']; readonly turn: number } | undefined

  constructor(
    private readonly stage: string,
    private readonly stores: TaskStores,
    private readonly reject: (record: StreamRecord, error: unknown) => void,
  ) {}

  /** As `TaskStores.declare`. */
  declare<V>(name: string, codec: StoreCodec<V>, bounds?: StoreBounds): Store<V> {
    if (codec.unkept !== undefined) return this.stores.declare(name, codec, bounds)
    const store = this.stores.declare(name, this.telling(codec), bounds)
    this.isNeeded = true
    const tried = (part: StorePartition<V>, record: StreamRecord | undefined) =>
      this.isOn ? this.tried(part, record, name, codec) : part
    return {
      name,
      of: (topic, partition) => tried(store.of(topic, partition), this.given),
      for: (record) => tried(store.for(record), record),
      partitions: () => each(store.partitions(), (part) => tried(part, this.given)),
    }
  }

  /** Keeps records from the stage that it can't keep. */
  readonly sieve = operate<StreamRecord, StreamRecord>((output) => {
    this.last = undefined
    return {
      next: (record) => {
        if (this.isOn && !this.passes(record)) return
        this.given = record
        try {
          output.next(record)
        } finally {
          this.given = undefined
        }
      },
    }
  })

  /** What comes now may be others at the same places: the epoch was committed, or what it had is not read again. */
  forget(): void {
    this.refused.clear()
  }

  private passes(record: StreamRecord): boolean {
    const { origin } = record
    // What was made of many records has no place, and nothing that tells it from another one when it comes again.
    if (origin.offset < 0) return true
    const turn = this.last?.origin === origin ? this.last.turn + 1 : 0
    this.last = { origin, turn }
    const name = `${place(origin)} ${turn}`
    this.names.set(record, name)
    const error = this.refused.get(name)
    if (error !== undefined) this.reject(record, error)
    return error === undefined
  }

  private tried<V>(
    part: StorePartition<V>,
    record: StreamRecord | undefined,
    name: string,
    codec: StoreCodec<V>,
  ): StorePartition<V> {
    const keep = (value: V) => {
      try {
        tagged(codec.save(value))
      } catch (cause) {
        throw this.refuse(record, this.error(`keeping the state of '${name}': ${messageOf(cause)}`, cause))
      }
    }
    return {
      partition: part.partition,
      segment: (segment) => part.segment(segment),
      segments: () => part.segments(),
      get: (segment, key) => part.get(segment, key),
      delete: (segment, key) => part.delete(segment, key),
      dropSegment: (segment) => part.dropSegment(segment),
      add: (segment, key, value) => {
        keep(value)
        return part.add(segment, key, value)
      },
      touch: (entry) => {
        keep(entry.value)
        part.touch(entry)
      },
    }
  }

  /** What has to be thrown at a record that can't be kept. */
  private refuse(record: StreamRecord | undefined, error: WeirError): WeirError {
    const known = record && (this.names.get(record) ?? (this.given && this.names.get(this.given)))
    if (known === undefined || this.refused.has(known)) return error
    this.refused.set(known, error)
    return again(error, 'The epoch is read again, without this record.')
  }

  private error(message: string, cause: unknown): WeirError {
    return new WeirError('WEIR_STAGE_FAILED', message, { stage: this.stage, cause, hint: plainHint })
  }

  /** What has to be thrown when it turns out at the commit. */
  private unkept(cause: unknown): WeirError {
    const error = this.error(messageOf(cause), cause)
    if (this.isOn) return error
    this.isOn = true
    return again(error, 'The epoch is read again, and from now on what is kept is tried with each record.')
  }

  private telling<V>(codec: StoreCodec<V>): StoreCodec<V> {
    const isOn = () => this.isOn
    const { version, changes, apply, size } = codec
    const guarded = (make: (value: V) => unknown) => (value: V) => {
      try {
        return make.call(codec, value)
      } catch (error) {
        throw this.unkept(error)
      }
    }
    const told = changes && guarded(changes)
    return {
      version,
      save: guarded((value) => codec.save(value)),
      load: (saved, under) => codec.load(saved, under),
      unkept: (error: unknown) => this.unkept(error),
      // Whoever saves all of a value to try it leaves no changes to tell.
      get changes() {
        return isOn() ? undefined : told
      },
      ...(apply && { apply: (value: V, changed: unknown, under) => apply.call(codec, value, changed, under) }),
      ...(size && { size: (value: V) => size.call(codec, value) }),
    } as StoreCodec<V>
  }
}

function* each<T>(all: Iterable<T>, make: (one: T) => T): Generator<T> {
  for (const one of all) yield make(one)
}

function again(error: WeirError, hint: string): WeirError {
  return new WeirError('WEIR_STAGE_FAILED', error.message, { ...error.place, cause: error, hint, atOnce: true })
}

const plainHint =
  "Keep plain data (objects, arrays, Map, Set, Date, bigint, bytes), give the store a codec that makes such of it, or set the stage's option onError, for such records to go elsewhere."
