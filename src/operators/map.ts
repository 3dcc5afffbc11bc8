import { z } from 'zod'
import { asWeirError, defineOperator, fn, type Operator, operate, type StreamRecord } from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Project<V, W> = (value: V, record: StreamRecord<V>) => W

export const mapDefinition = defineOperator({
  name: 'map',
  summary: 'Makes another value of each value.',
  options: z.strictObject({
    project: fn<Project<unknown, unknown>>().describe('Makes the new value.'),
    ...rejectingStage,
  }),
  build: ({ project }, context) =>
    operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        let value: unknown
        try {
          value = project(record.value, record)
        } catch (error) {
          return context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
        }
        output.next(record.with(value))
      },
    })),
})

/**
 * Makes another value of each value; key, time, headers and origin stay.
 * A record for which `project` throws is rejected with WEIR_STAGE_FAILED; by default that ends the epoch.
 */
export function map<V, W>(project: Project<V, W>, options: RejectingStage = {}): Operator<V, W> {
  return mapDefinition.declare({ ...options, project })
}
