import type { Subscriber } from 'rxjs'
import { z } from 'zod'
import { areAggregates } from '../aggregates/combine.js'
import { type Aggregates, combine, type Results } from '../aggregates/index.js'
import {
  type CombinedRecord,
  type Configurable,
  type Duration,
  defineOperator,
  fn,
  type GroupKey,
  type Handlers,
  type Key,
  type Operator,
  type OperatorContext,
  operate,
  type PartialResult,
  type RejectionPolicy,
  rejectionPolicy,
  type Setting,
  type Store,
  type StreamRecord,
  someTime,
  textOf,
} from '../model/index.js'
import { Changed, type Present } from './internal/changed.js'
import { Combining, combiningCodec, SentPartitions } from './internal/combining.js'
import { Gone } from './internal/gone.js'
import { type GroupScope, type GroupSettings, Groups } from './internal/groups.js'
import { Merging, slotsCodec } from './internal/merging.js'
import { Slices } from './internal/slices.js'
import { Trial } from './internal/trial.js'
import { type Aggregated, type Windowed, type WindowSpec, windowOptions, windowText } from './windows.js'

type Given = z.output<typeof shape>

const shape = z.strictObject({
  name: z.string().min(1).describe('names the stage and its store: state is found again by it'),
  of: z
    .custom<Aggregates<never>>(
      areAggregates,
      'expected an aggregate, such as count(), or several by name: { n: count() }',
    )
    .describe('an aggregate, or several by name'),
  by: z
    .union([z.literal('all'), fn<(value: unknown, record: StreamRecord) => GroupKey>()], "expected a function or 'all'")
    .optional()
    .describe(
      "the key of a group, or 'all' for one group; without it the key that keyBy gave, and one group without keyBy",
    ),
  window: windowOptions.optional().describe('the windows of event time; without them it sums up all time'),
  emit: z
    .enum(['final', 'changes', 'epoch'])
    .optional()
    .describe('one result when a window has closed, one for every record, or one for each group that an epoch changed'),
  late: rejectionPolicy.default('skip').describe('what becomes of a record whose windows have closed'),
  onError: rejectionPolicy
    .default('fail')
    .describe(
      'what becomes of a record that `by`, or the code of an aggregate, throws at, and of a result that it throws at',
    ),
  ttl: someTime
    .optional()
    .describe('without windows: how long a key stays that no record came for, by the stream time of its partition'),
  maxKeys: z
    .int()
    .positive()
    .optional()
    .describe('without windows: how many keys a partition has; for one more, the one without records for longest goes'),
  gone: z
    .enum(['silent', 'emit'])
    .default('silent')
    .describe('whether a key that ttl or maxKeys has let go gets a last result, whose value is undefined'),
})

const options = shape
  .refine((given) => !isBounded(given) || given.window === undefined, {
    path: ['window'],
    error: 'expected none beside ttl or maxKeys: a window that closes drops its keys',
  })
  .refine((given) => !isBounded(given) || given.by === recordKey, {
    path: ['by'],
    error:
      'expected recordKey, or a keyBy before: with ttl or maxKeys all records of a key have to meet in one partition',
  })
  .refine((given) => isBounded(given) || given.gone === 'silent', {
    path: ['gone'],
    error: 'expected ttl or maxKeys beside it: no key goes without them',
  })

export const aggregateDefinition = defineOperator({
  name: 'aggregate',
  summary: 'Sums up records by key and window of event time, in a store.',
  options,
  late: ({ late }) => late,
  global: true,
  // Other results are told at the end of the epoch, window by window.
  reorders: (given) => emitOf(given) !== 'changes',
  behindKey: (declared) => ('by' in declared && declared.by !== undefined ? declared : { ...declared, by: recordKey }),
  timed: ({ window, ttl }) => window !== undefined || ttl !== undefined,
  stores: ({ name }) => [name],
  detail: ({ window }) => (window === undefined ? 'all time' : windowText(window)),
  build: (given, context) => aggregating(given, context, 'task'),
  spread: {
    groups: ({ by = 'all' }) => (by === 'all' ? 'single' : by === recordKey ? 'record-key' : 'other'),
    uncombined: isBounded,
    alone: (given, context) => aggregating(given, context, 'partition'),
    met: (given, context) => aggregating(given, context, 'met'),
    combine: (given, context) => {
      const trial = new Trial(combine(given.of), context, given.onError !== 'fail')
      const { aggregate } = trial
      const store = context.store(given.name, combiningCodec(aggregate.codec))
      const sent = new SentPartitions()
      return operate<StreamRecord, StreamRecord>((output) => {
        const combining = new Combining(aggregate, store, sent, settingsOf(given), trial, context)
        return {
          next(record) {
            const ahead = combining.add(record)
            if (ahead !== undefined) output.next(ahead)
          },
          complete: () => {
            for (const partial of combining.due()) output.next(partial)
          },
        }
      })
    },
    merge: (given, context) => {
      const aggregate = combine(given.of)
      const store = context.store(given.name, slotsCodec(aggregate.codec))
      const settings = settingsOf(given)
      return operate<StreamRecord<PartialResult | CombinedRecord>, StreamRecord>((output) => {
        return telling(output, new Merging(aggregate, store, settings, context), given)
      }) as never
    },
  },
})

/** Where all records of a group come by: each source partition keeps a partial, and `scope` says which are merged. */
function aggregating(given: Given, context: OperatorContext, scope: GroupScope) {
  const trial = new Trial(combine(given.of), context, given.onError !== 'fail')
  const { aggregate } = trial
  const settings = settingsOf(given)
  const { ttl, maxKeys } = given
  const gone = given.gone === 'emit' ? new Gone() : undefined
  const store = context.store(given.name, aggregate.codec, { ttl, maxKeys, gone: gone && ((key) => gone.add(key)) })
  // What is bounded partition by partition is told so too.
  const told = settings.isBounded && scope === 'task' ? 'partition' : scope
  let isWarned = false
  const withheld = () => {
    if (!isWarned) context.log.warn(withheldText)
    isWarned = true
  }
  return operate<StreamRecord, StreamRecord>((output) => {
    gone?.clear()
    const groups = new Groups(aggregate, store, settings, context, trial, { scope: told, withheld })
    const handlers = telling(output, groups, given)
    return gone === undefined ? handlers : tellingGone(output, gone, store, handlers)
  })
}

const withheldText =
  "records without a key are one group, and partitions of their topic are in other processes: their results are withheld until one process has all of them. Give them a key by keyBy, or group by: 'all'"

/** Tells results, and at the end of the epoch the keys that went. */
function tellingGone(
  output: Subscriber<StreamRecord>,
  gone: Gone,
  store: Store<unknown>,
  { next, complete }: Handlers<StreamRecord>,
): Handlers<StreamRecord> {
  return {
    next(record) {
      gone.by(record)
      next(record)
    },
    complete() {
      complete?.()
      for (const result of gone.results(store)) output.next(result)
    },
  }
}

function isBounded({ ttl, maxKeys }: Pick<Given, 'ttl' | 'maxKeys'>): boolean {
  return ttl !== undefined || maxKeys !== undefined
}

interface Grouping<V> {
  add(record: StreamRecord<V>): boolean
  /** Undefined where it is withheld. */
  present(record: StreamRecord<V>): Present | undefined
  close(): Iterable<StreamRecord>
}

/** Takes records into groups, and tells their results when it should. */
function telling<V>(output: Subscriber<StreamRecord>, groups: Grouping<V>, given: Given): Handlers<StreamRecord<V>> {
  const emit = emitOf(given)
  const changed = new Changed()
  return {
    next(record) {
      if (!groups.add(record) || emit === 'final') return
      const present = groups.present(record)
      if (present === undefined) return
      if (emit === 'epoch') return changed.add(present)
      for (const window of present.windows()) {
        const result = present.result(window)
        if (result !== undefined) output.next(result)
      }
    },
    complete() {
      for (const result of changed.results()) output.next(result)
      for (const result of groups.close()) output.next(result)
    },
  }
}

function settingsOf(given: Given): GroupSettings {
  const { window } = given
  const by = given.by === 'all' ? undefined : given.by
  const emitsChanges = emitOf(given) !== 'final'
  return { by, slices: window && new Slices(window), emitsChanges, isBounded: isBounded(given) }
}

function emitOf({ window, emit = window === undefined ? 'changes' : 'final' }: Given) {
  return emit
}

/**
 * Groups by the key of the record itself: what its topic is partitioned by, or what `keyBy` gave it. Where it is the
 * topic's own key, all records of a group lie in one partition, so that no internal topic is needed.
 *
 * Records without a key are one group, which lies in all partitions. Where several processes share the topic none of them has
 * all of it, so its results are withheld, with a warning, until one has all partitions: give such records a key by `keyBy`,
 * or group by `'all'`.
 *
 * Keys that are UTF-8 are told as text, and others as the bytes that they are; `Buffer.from(key)` makes bytes of either.
 */
export function recordKey(_value: unknown, { key }: StreamRecord): Key {
  return Buffer.isBuffer(key) ? textOf(key) : key
}

interface Common<V, A extends Aggregates<V>, K extends GroupKey> {
  readonly of: A | Setting<A>
  /**
   * The key of the group that a record belongs to, or `all`: all records are one group. Without it the group is the
   * record's key behind a `keyBy`, and all records are one where there is none.
   */
  readonly by?: 'all' | ((value: NoInfer<V>, record: StreamRecord<NoInfer<V>>) => K)
  /** What becomes of a record whose windows have all closed. Default `skip`: counted and logged. */
  readonly late?: Configurable<RejectionPolicy>
  /**
   * What becomes of a record that `by`, or the code of an aggregate, throws at. Default `fail`. With another policy it is in
   * no group: the first time such code throws, the epoch is read again, and from then on each record is tried before it is
   * taken in, which costs as much again as taking it in; where what it throws depends on what its group has, as a copy of
   * the group does.
   *
   * Where `result` throws, or `merge` on the way to it, it is the result that goes by this: its dead letter has the group's
   * key and the window, `{ key, window, accumulated }`, with what was accumulated as it is stored. The records are in the
   * group; a window that was to be told once is over, and its other groups are told.
   *
   * A record whose group can't be saved with it goes by this too: the codec throws, or the group holds what can't be packed,
   * such as functions, symbols, instances of classes, and what contains itself. Where a codec throws at what it had
   * saved, the flow stops and says at which key: what is stored stays.
   */
  readonly onError?: Configurable<RejectionPolicy>
}

/** What keeps the state of all time from growing for ever. It needs a `keyBy` before, or `by: recordKey`. */
interface Bounded {
  /** How long a key stays that no record came for, by the stream time of its partition. */
  readonly ttl?: Duration
  /** How many keys each partition has, at most. */
  readonly maxKeys?: number
}

interface OfAllTime {
  readonly emit?: 'changes' | 'epoch'
  /** Whether a key that `ttl` or `maxKeys` has let go gets a last result, whose value is undefined. Default `silent`. */
  readonly gone?: 'silent' | 'emit'
}

/**
 * Sums up records by key, and by window of event time. State is kept in a store of the given name.
 *
 * With windows it emits one final result for each key and window, when the watermark has passed the window's end plus
 * its grace: at the end of the epoch in which that happens. `emit: 'changes'` emits the present result after every
 * record instead, and `emit: 'epoch'` that of each group which an epoch changed, once, at its end. Without windows the
 * default is `changes`. Where windows overlap (`hopping`), a record changes the result of each one that it counts in, so
 * `changes` emits as many for each record: for one up-to-date result of each key, `final` over a short advance is cheaper.
 *
 * Each source partition keeps a partial of its own; they are merged for a result. Where the source is shared among
 * processes, partials meet in an internal topic: one message for each source partition, window (of
 * hopping ones, slice of time) and key, and with
 * `emit: 'changes'` one for each of them that an epoch changed. With `by: recordKey` none is needed.
 *
 * Without windows, `ttl` forgets a key that no record came for so long (in event time), and `maxKeys` the one that had
 * none for longest whenever a partition has one more; a record that comes later begins anew. `weir_store_dropped_total`
 * counts the keys that are gone, and the log warns of a store that is full; with `gone: 'emit'` each of them gets a last
 * result too, at the end of the epoch, whose value is undefined: who keeps results, such as a `view`, can let go of it
 * as well. (`ttl` is then looked at whenever a record comes, and not between epochs.) What goes, and when, depends on the
 * records of a partition alone, like a bounded cache whose misses start from nothing: results of keys that stay are
 * exact, and the memory is that of `maxKeys` entries. For the heaviest of all keys, see `topK`.
 *
 * A record is late for a window when its own partition's watermark, or the one up to which results are out, has passed
 * that: so what is counted does not depend on where epochs are cut, nor on how partitions interleave. It is rejected when
 * it is late for all windows that its time lies in.
 */
export function aggregate<V, const A extends Aggregates<V>, K extends GroupKey = Key>(
  name: string,
  options: Common<V, A, K> & {
    readonly window: Configurable<WindowSpec>
    readonly emit?: 'final' | 'changes' | 'epoch'
  },
): Operator<V, Windowed<Results<A>, K>>
export function aggregate<V, const A extends Aggregates<V>, K extends GroupKey = Key>(
  name: string,
  options: Common<V, A, K> & Configurable<Bounded> & OfAllTime & { readonly gone: 'emit' },
): Operator<V, Aggregated<Results<A> | undefined, K>>
export function aggregate<V, const A extends Aggregates<V>, K extends GroupKey = Key>(
  name: string,
  options: Common<V, A, K> & Configurable<Bounded> & OfAllTime & { readonly gone?: 'silent' },
): Operator<V, Aggregated<Results<A>, K>>
export function aggregate(name: string, options: object): Operator<unknown, never> {
  return aggregateDefinition.declare({ name, ...options })
}
