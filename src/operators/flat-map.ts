import { z } from 'zod'
import { asWeirError, defineOperator, fn, type Operator, operate, type StreamRecord } from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Project<V, W> = (value: V, record: StreamRecord<V>) => Iterable<W>

export const flatMapDefinition = defineOperator({
  name: 'flatMap',
  summary: 'Makes any number of values of each value.',
  options: z.strictObject({
    project: fn<Project<unknown, unknown>>().describe('Makes the new values: an array, a set, a generator.'),
    ...rejectingStage,
  }),
  build: ({ project }, context) =>
    operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        let values: readonly unknown[]
        try {
          const made = project(record.value, record)
          values = Array.isArray(made) ? made : [...made]
        } catch (error) {
          return context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
        }
        for (const value of values) output.next(record.with(value))
      },
    })),
})

/**
 * Makes none, one or many values of each value, in order; key, time, headers and origin stay.
 * All values of a record are made before the first is passed on, so that one which is rejected halfway leaves none
 * behind. A dead letter of one of them is the record that they were made of, as its source read it: replayed, it makes all of
 * them again. A record for which `project` throws is rejected with WEIR_STAGE_FAILED; by default that ends the epoch.
 */
export function flatMap<V, W>(project: Project<V, W>, options: RejectingStage = {}): Operator<V, W> {
  return flatMapDefinition.declare({ ...options, project })
}
