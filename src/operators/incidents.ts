import { z } from 'zod'
import {
  asWeirError,
  type Configurable,
  type Duration,
  defineOperator,
  duration,
  fn,
  groupKeyOf,
  type Operator,
  type OperatorContext,
  operate,
  PartitionMap,
  type RejectionPolicy,
  recordKeyOf,
  rejectionPolicy,
  type StageMetric,
  type Store,
  type StoreKey,
  type StorePartition,
  StreamRecord,
  someTime,
  storeKeyOf,
} from '../model/index.js'
import { Course, type CourseSettings, courseCodec, type Notice } from './internal/course.js'
import { type IncidentLevel, type LevelOf, type Limit, levelBy } from './internal/limits.js'

export type { IncidentLevel } from './internal/limits.js'

/** What is told of an incident: from when it opens until it resolves. */
export interface Incident<V = unknown> {
  /** The same for all that is told of one incident. With `notice` it is another one for each, and the same again after a replay. */
  readonly id: string
  /** The key of its records; bytes that are no text as hexadecimal digits, and null for records that have none. */
  readonly key: string | null
  /** `changed` is its level, up or down. */
  readonly status: 'opened' | 'changed' | 'reminded' | 'resolved'
  /** The last one that was bad. */
  readonly level: 'warn' | 'error'
  /** Since when records told that it is bad. */
  readonly since: Date
  readonly openedAt: Date
  /** The time of the record that it is told for. */
  readonly at: Date
  /** Counts what is told of it, from 1. */
  readonly notice: number
  /** Whether it resolved because nothing more was heard of its key. */
  readonly silent: boolean
  /** That of the record; undefined where it is silent. */
  readonly value: V | undefined
}

const limit = z
  .strictObject({
    of: fn<Limit<unknown>['of']>().describe('the number; null or undefined where the record does not tell it'),
    warn: z.number().optional().describe("from where on it is 'warn'"),
    error: z.number().optional().describe("from where on it is 'error'"),
  })
  .refine(({ warn = Number.NEGATIVE_INFINITY, error = Number.POSITIVE_INFINITY }) => warn <= error, {
    path: ['warn'],
    error: 'expected no more than `error`',
  })

/** One of several may be left to the environment, which says neither. */
const limits = z
  .array(limit)
  .min(1)
  .refine((all) => all.some(({ warn, error }) => warn !== undefined || error !== undefined), {
    error: 'expected `warn` or `error` in one of them: without either it is never bad',
  })

const open: StageMetric = {
  name: 'incidents_open',
  help: 'Incidents that are open.',
  kind: 'gauge',
  shown: 'incidents',
}

export const incidentsDefinition = defineOperator({
  name: 'incidents',
  summary: 'Makes one incident of many records that tell that something is bad: it opens, is told again, and resolves.',
  options: z.strictObject({
    name: z.string().min(1).describe('names the stage and its store: state is found again by it'),
    level: z
      .union([fn<LevelOf<unknown>>(), limits], 'expected a function, or limits')
      .describe(
        "how bad it is by a record: 'ok', 'warn' or 'error', undefined where the record does not tell; or limits, of which the worst counts",
      ),
    openAfter: duration.default(0).describe('how long it has to be bad before an incident opens'),
    resolveAfter: duration
      .default(0)
      .describe('how long it has to be good, or better, before the incident resolves, or its level goes down'),
    remindEvery: someTime.optional().describe('how often one that stays as it is is told again; never if not given'),
    silentAfter: someTime
      .optional()
      .describe('after how long without a record of its key an incident resolves; never if not given'),
    onError: rejectionPolicy.default('fail').describe('what becomes of a record that `level` throws at'),
  }),
  stores: ({ name }) => [name],
  metrics: [open],
  timed: () => true,
  build: ({ name, level, ...settings }, context) => {
    const levelOf = typeof level === 'function' ? level : levelBy(level)
    const store = context.store(name, courseCodec)
    context.measures?.(() => [{ metric: open, value: openIn(store) }])
    const { silentAfter } = settings
    return operate<StreamRecord, StreamRecord>((output) => {
      const last = new PartitionMap<StreamRecord>()
      return {
        next(record) {
          const level = told(record, levelOf, context)
          if (level === 'rejected') return
          const { topic, partition } = record.origin
          if (silentAfter !== undefined) last.set(topic, partition, record)
          const notice = taken(store.for(record), storeKeyOf(record.key), level, record.timestamp, settings)
          if (notice !== undefined) output.next(incidentOf(record, storeKeyOf(record.key), notice, record.value))
        },
        // Only now: after a pause of all records, the others of this moment were still to come.
        complete() {
          for (const record of last.values()) {
            for (const [key, notice] of silenced(store.for(record), streamTimeOf(record), silentAfter)) {
              output.next(incidentOf(record, key, notice, undefined))
            }
          }
        },
      }
    })
  },
})

/** A number, and from where on it is bad. */
export interface IncidentLimit<V> extends Pick<Limit<V>, 'of'> {
  readonly warn?: Configurable<number | undefined>
  readonly error?: Configurable<number | undefined>
}

/**
 * Makes incidents of records that tell, again and again, how something is: one for each key for as long as it is bad. It is
 * told when it opens, when its level changes, again each `remindEvery`, and when it resolves; all other records end here.
 * A level goes up at once. It goes down, and to `ok`, when it has been lower for `resolveAfter`, so that what goes up and
 * down is one incident.
 *
 * The key is that of the record, so put `keyBy` before it where the source gives another. State is kept, in a store of the
 * given name, of what is bad and of nothing else, and it commits with the epoch: neither a crash nor a replay opens an incident
 * twice, and what is told again then has the same `id` and `notice`.
 *
 * Time is that of the records: all this is looked at when one comes. An incident of whose key nothing comes any more stays
 * open, unless `silentAfter` resolves it, at the end of an epoch, by the time of other records of its partition.
 */
export function incidents<V>(
  name: string,
  options: Configurable<{
    /** How often an incident that stays as it is is told again. Default: never. */
    readonly remindEvery?: Duration
    /** How long it has to be bad before an incident opens. Default 0. */
    readonly openAfter?: Duration
    /** How long it has to be good, or better, before the incident resolves, or its level goes down. Default 0. */
    readonly resolveAfter?: Duration
    /** After how long without a record of its key an incident resolves, as `silent`. Default: never. */
    readonly silentAfter?: Duration
    /** What becomes of a record that `level` throws at. Default `fail`. */
    readonly onError?: RejectionPolicy
  }> & {
    /**
     * How bad it is by a record; undefined where the record does not tell, and all stays as it is. Or limits of numbers:
     * the worst counts, and a record that does not tell all of them is never `ok`.
     */
    readonly level: LevelOf<V> | readonly IncidentLimit<V>[]
  },
): Operator<V, Incident<V>> {
  return incidentsDefinition.declare({ ...options, name })
}

function told(
  record: StreamRecord,
  levelOf: LevelOf<unknown>,
  context: OperatorContext,
): IncidentLevel | undefined | 'rejected' {
  try {
    const level: unknown = levelOf(record.value, record)
    if (level === undefined || level === 'ok' || level === 'warn' || level === 'error') return level
    throw new TypeError(`level: expected 'ok', 'warn', 'error' or undefined, and got ${JSON.stringify(level)}`)
  } catch (error) {
    context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
    return 'rejected'
  }
}

function openIn(store: Store<Course>): number {
  let count = 0
  for (const part of store.partitions())
    for (const { value: course } of part.segment(0)?.values() ?? []) if (course.isOpen) count++
  return count
}

/** Takes in what a record tells of its key. Of what is good nothing is kept. */
function taken(
  part: StorePartition<Course>,
  key: StoreKey,
  level: IncidentLevel | undefined,
  at: number,
  settings: CourseSettings,
): Notice | undefined {
  const known = part.get(0, key)
  if (known === undefined) {
    if (level === undefined || level === 'ok') return undefined
    const course = new Course(level, at)
    const notice = course.take(level, at, settings)
    part.add(0, key, course)
    return notice
  }
  const notice = known.value.take(level, at, settings)
  if (known.value.isOver) part.delete(0, key)
  else part.touch(known)
  return notice
}

/** Ends those of which nothing was heard for so long. */
function* silenced(part: StorePartition<Course>, now: number, afterMs = Number.POSITIVE_INFINITY) {
  for (const [key, { value: course }] of [...(part.segment(0) ?? [])]) {
    if (now - course.heardAt < afterMs) continue
    const notice = course.end(now)
    part.delete(0, key)
    if (notice !== undefined) yield [key, notice] as const
  }
}

function streamTimeOf({ timestamp, behindMs }: StreamRecord): number {
  return timestamp + behindMs
}

function incidentOf(
  { origin, timestamp, headers, behindMs }: StreamRecord,
  stored: StoreKey,
  notice: Notice,
  value: unknown,
): StreamRecord<Incident> {
  const key = nameOf(stored)
  const { status, level, number, silent } = notice
  const [since, openedAt, at] = [notice.since, notice.openedAt, notice.at].map((ms) => new Date(ms)) as [
    Date,
    Date,
    Date,
  ]
  const id = `${key ?? ''}@${openedAt.toISOString()}`
  const incident = { id, key, status, level, since, openedAt, at, notice: number, silent, value }
  return new StreamRecord(recordKeyOf(stored), incident, timestamp, headers, origin, behindMs)
}

function nameOf(stored: StoreKey): string | null {
  const key = groupKeyOf(stored)
  if (key === null) return null
  return Buffer.isBuffer(key) ? key.toString('hex') : String(key)
}
