import { z } from 'zod'
import { defineOperator, isTimestamp, operate, type StreamRecord, WeirError } from '../model/index.js'

/**
 * Where windows are closed and no stage says what time records have: it is their source's timestamps, in order. Records
 * that have none are rejected.
 */
export const recordTime = defineOperator({
  name: 'recordTime',
  summary: 'Takes the timestamp of a record as its time.',
  options: z.strictObject({}),
  onError: 'dead-letter',
  times: true,
  build: (_, context) => {
    const { time } = context
    // As in Kafka Streams no window closes without a next record, but a partition that brings none holds up no other.
    time.configure({ outOfOrderMs: 0, idleAfterMs: 30_000, movesOn: false })
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        const { timestamp, origin } = record
        if (!isTimestamp(timestamp)) return context.reject(record, noTimeError(timestamp))
        const behindMs = time.observe(origin.topic, origin.partition, timestamp)
        output.next(behindMs === 0 ? record : record.at(timestamp, behindMs))
      },
    }))
  },
})

function noTimeError(timestamp: number): WeirError {
  const message = `reading the time of a record: its source gave none (${timestamp})`
  return new WeirError('WEIR_RECORD_NO_TIME', message, { hint: 'Take the time from its value, by eventTime.' })
}
