import { z } from 'zod'
import {
  asWeirError,
  type Configurable,
  type Duration,
  defineOperator,
  duration,
  fn,
  type Operator,
  operate,
  type StreamRecord,
  WeirError,
} from '../model/index.js'
import { isoReader } from './internal/iso-time.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Time = Date | string | number
type Selector<V> = (value: V, record: StreamRecord<V>) => Time

/** The furthest that a `Date` reaches, ms. */
const lastTime = 8.64e15

export interface EventTimeOptions extends RejectingStage {
  /** How far a record may trail the latest one before windows can have closed without it. Default `'0s'`. */
  readonly outOfOrder?: Duration
  /** After how long a partition that is read to its end no longer holds windows open. Default `'30s'`. */
  readonly idleAfter?: Duration
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
    ...rejectingStage,
  }),
  build: ({ selector, outOfOrder, idleAfter }, context) => {
    const { time } = context
    time.configure({ outOfOrderMs: outOfOrder, idleAfterMs: idleAfter })
    const readMs = timeReader()
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        let ms: number
        try {
          ms = readMs(selector(record.value, record))
        } catch (error) {
          return context.reject(record, asWeirError(error, 'WEIR_RECORD_NO_TIME'))
        }
        const { topic, partition } = record.origin
        output.next(record.at(ms, time.observe(topic, partition, ms)))
      },
    }))
  },
})

/**
 * Sets the event time of each record and moves the stream time of its partition; windows close by it.
 *
 * `selector` gives a Date, a text in ISO 8601 (UTC where it names no zone) or ms since the Unix epoch. A record from
 * which no time can be read is rejected with WEIR_RECORD_NO_TIME; by default it goes to the dead letters.
 */
export function eventTime<V>(selector: Selector<V>, options: Configurable<EventTimeOptions> = {}): Operator<V, V> {
  return eventTimeDefinition.declare({ ...options, selector })
}

function timeReader(): (time: Time) => number {
  const isoMs = isoReader()
  return (time) => {
    const ms = typeof time === 'string' ? isoMs(time) : time instanceof Date ? time.getTime() : time
    if (typeof ms === 'number' && ms >= -lastTime && ms <= lastTime) return Math.floor(ms)
    throw new WeirError('WEIR_RECORD_NO_TIME', `reading the event time: ${shown(time)} is no time`, {
      hint: 'Return a Date, a text in ISO 8601, or ms since the Unix epoch.',
    })
  }
}

function shown(time: unknown): string {
  if (typeof time === 'string') return `'${time.slice(0, 40)}'`
  return typeof time === 'number' || time === undefined || time === null ? String(time) : `this ${typeof time}`
}
