import { filter as rxFilter } from 'rxjs'
import { z } from 'zod'
import { asWeirError, defineOperator, fn, type Operator, type StreamRecord } from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

export const filterDefinition = defineOperator({
  name: 'filter',
  summary: 'Lets only some records pass.',
  options: z.strictObject({
    predicate: fn<(value: unknown, record: StreamRecord) => boolean>().describe('Whether a record passes.'),
    ...rejectingStage,
  }),
  build: ({ predicate }, context) =>
    rxFilter((record) => {
      try {
        return predicate(record.value, record)
      } catch (error) {
        context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
        return false
      }
    }),
})

/**
 * Lets the records pass for which `predicate` holds; a type guard narrows what the next stage gets.
 * A record for which it throws is rejected with WEIR_STAGE_FAILED; by default that ends the epoch.
 */
export function filter<V, W extends V>(
  predicate: (value: V, record: StreamRecord<V>) => value is W,
  options?: RejectingStage,
): Operator<V, W>
export function filter<V>(
  predicate: (value: V, record: StreamRecord<V>) => boolean,
  options?: RejectingStage,
): Operator<V, V>
export function filter<V>(
  predicate: (value: V, record: StreamRecord<V>) => boolean,
  options: RejectingStage = {},
): Operator<V, V> {
  return filterDefinition.declare({ ...options, predicate })
}
