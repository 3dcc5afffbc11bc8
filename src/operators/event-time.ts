import { z } from 'zod'
import {
  Ahead,
  asWeirError,
  type Configurable,
  type Duration,
  defineOperator,
  duration,
  fn,
  isoReader,
  isTime,
  type Operator,
  operate,
  type StreamRecord,
  WeirError,
} from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Time = Date | string | number
type Selector<V> = (value: V, record: StreamRecord<V>) => Time

export interface EventTimeOptions extends RejectingStage {
  /** How far a record may trail the latest one before windows can have closed without it. Default `'0s'`. */
  readonly outOfOrder?: Duration
  /** After how long a partition that is read to its end no longer holds windows open. Default `'30s'`. */
  readonly idleAfter?: Duration
  /**
   * How far the time of a record may lie ahead of the record's own timestamp, and that of the clock; what is beyond is
   * rejected with WEIR_RECORD_AHEAD and moves nothing. Default `'1h'`; `false` allows any time.
   */
  readonly maxAhead?: Duration | false
}

export const eventTimeDefinition = defineOperator({
  name: 'eventTime',
  summary: 'Takes the time of a record from its value, and moves stream time with it.',
  onError: 'dead-letter',
  options: z.strictObject({
    selector: fn<Selector<unknown>>().describe('The event time: a Date, ISO 8601 text or ms since the Unix epoch.'),
    outOfOrder: duration.default(0).describe('How far a record may trail the latest one of its partition.'),
    idleAfter: duration
      .default(30_000)
      .describe('After how long a partition that is read to its end no longer holds windows open.'),
    maxAhead: z
      .union([duration, z.literal(false)])
      .default(3_600_000)
      .describe(
        'How far the time of a record may lie ahead of its own timestamp, or of the clock; false: as far as it likes.',
      ),
    ...rejectingStage,
  }),
  times: true,
  build: ({ selector, outOfOrder, idleAfter, maxAhead }, context) => {
    const { time, clock } = context
    const ahead = new Ahead(maxAhead === false ? Number.POSITIVE_INFINITY : maxAhead, clock)
    time.configure({ outOfOrderMs: outOfOrder, idleAfterMs: idleAfter })
    const readMs = timeReader()
    return operate<StreamRecord, StreamRecord>((output) => {
      ahead.forget()
      return {
        next(record) {
          let ms: number
          try {
            ms = readMs(selector(record.value, record))
          } catch (error) {
            return context.reject(record, asWeirError(error, 'WEIR_RECORD_NO_TIME'))
          }
          const { topic, partition, timestamp } = record.origin
          const error = ahead.errorOf(ms, timestamp)
          if (error !== undefined) return context.reject(record, error)
          output.next(record.at(ms, time.observe(topic, partition, ms)))
        },
      }
    })
  },
})

/**
 * Sets the event time of each record and moves the stream time of its partition; windows close by it.
 *
 * `selector` gives a Date, a text in ISO 8601 (UTC where it names no zone) or ms since the Unix epoch. A record from
 * which no time can be read is rejected with WEIR_RECORD_NO_TIME, and one whose time lies more than `maxAhead` in the
 * future with WEIR_RECORD_AHEAD; by default they go to the dead letters, and move no time.
 *
 * Each input of a `merge` may have an `eventTime` of its own, or all have one behind it; two on one way are refused.
 */
export function eventTime<V>(selector: Selector<V>, options: Configurable<EventTimeOptions> = {}): Operator<V, V> {
  return eventTimeDefinition.declare({ ...options, selector })
}

function timeReader(): (time: Time) => number {
  const isoMs = isoReader()
  return (time) => {
    const ms = typeof time === 'string' ? isoMs(time) : time instanceof Date ? time.getTime() : time
    if (isTime(ms)) return Math.floor(ms)
    throw new WeirError('WEIR_RECORD_NO_TIME', `reading the event time: ${shown(time)} is no time`, {
      hint: 'Return a Date, a text in ISO 8601, or ms since the Unix epoch.',
    })
  }
}

function shown(time: unknown): string {
  if (typeof time === 'string') return `'${time.slice(0, 40)}'`
  return typeof time === 'number' || time === undefined || time === null ? String(time) : `this ${typeof time}`
}
