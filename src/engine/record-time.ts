import { z } from 'zod'
import { Ahead, defineOperator, isTimestamp, operate, type StreamRecord, WeirError } from '../model/index.js'

/** As that of `eventTime`, which is the stage for whoever means other times. */
const usualAheadMs = 3_600_000

/**
 * Where windows are closed and no stage says what time records have: it is their source's timestamps, in order. Records
 * that have none are rejected, and so are those that lie more than an hour ahead of the clock.
 */
export const recordTime = defineOperator({
  name: 'recordTime',
  summary: 'Takes the timestamp of a record as its time.',
  options: z.strictObject({}),
  onError: 'dead-letter',
  times: true,
  build: (_, context) => {
    const { time, clock } = context
    const ahead = new Ahead(usualAheadMs, clock)
    // As in Kafka Streams no window closes without a next record, but a partition that brings none holds up no other.
    time.configure({ outOfOrderMs: 0, idleAfterMs: 30_000, movesOn: false })
    return operate<StreamRecord, StreamRecord>((output) => {
      ahead.forget()
      return {
        next(record) {
          const { timestamp, origin } = record
          if (!isTimestamp(timestamp)) return context.reject(record, noTimeError(timestamp))
          const error = ahead.errorOf(timestamp, undefined)
          if (error !== undefined) return context.reject(record, error)
          const behindMs = time.observe(origin.topic, origin.partition, timestamp)
          output.next(behindMs === 0 ? record : record.at(timestamp, behindMs))
        },
      }
    })
  },
})

function noTimeError(timestamp: number): WeirError {
  const message = `reading the time of a record: its source gave none (${timestamp})`
  return new WeirError('WEIR_RECORD_NO_TIME', message, { hint: 'Take the time from its value, by eventTime.' })
}
