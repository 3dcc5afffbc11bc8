import { z } from 'zod'
import { asWeirError, defineOperator, fn, type Operator, operate, type StreamRecord } from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

/** How many values a record may become, before the first is passed on. */
const mostValues = 1_000_000

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
          values = listOf(project(record.value, record))
        } catch (error) {
          return context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
        }
        for (const value of values) output.next(record.with(value))
      },
    })),
})

/** Errors with a RangeError where there is no end of them: a record must not take all memory. */
function listOf(made: Iterable<unknown>): readonly unknown[] {
  if (Array.isArray(made)) return made
  const values: unknown[] = []
  for (const value of made) {
    if (values.length === mostValues) throw new RangeError(`it makes more than ${mostValues} values of one record`)
    values.push(value)
  }
  return values
}

/**
 * Makes none, one or many values of each value, in order; key, time, headers and origin stay.
 * All values of a record are made before the first is passed on, so that one which is rejected halfway leaves none
 * behind, and a record that becomes more than a million is rejected. A dead letter of one of them is the record that they were made of, as its source read it: replayed, it makes all of
 * them again. A record for which `project` throws is rejected with WEIR_STAGE_FAILED; by default that ends the epoch.
 */
export function flatMap<V, W>(project: Project<V, W>, options: RejectingStage = {}): Operator<V, W> {
  return flatMapDefinition.declare({ ...options, project })
}
