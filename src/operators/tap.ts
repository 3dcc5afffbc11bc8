import { filter } from 'rxjs'
import { z } from 'zod'
import { asWeirError, defineOperator, fn, type Operator, type StreamRecord } from '../model/index.js'
import { type RejectingStage, rejectingStage } from './internal/stage-options.js'

type Effect<V> = (value: V, record: StreamRecord<V>) => void

export const tapDefinition = defineOperator({
  name: 'tap',
  summary: 'Looks at each record and lets it pass.',
  options: z.strictObject({
    effect: fn<Effect<unknown>>().describe('Called with each record; what it returns is not used.'),
    ...rejectingStage,
  }),
  build: ({ effect }, context) =>
    filter((record) => {
      try {
        effect(record.value, record)
        return true
      } catch (error) {
        context.reject(record, asWeirError(error, 'WEIR_STAGE_FAILED'))
        return false
      }
    }),
})

/**
 * Calls `effect` with each record and lets it pass unchanged. The effect is not part of the commit: a replayed epoch
 * calls it again. A record for which it throws is rejected with WEIR_STAGE_FAILED; by default that ends the epoch.
 */
export function tap<V>(effect: Effect<V>, options: RejectingStage = {}): Operator<V, V> {
  return tapDefinition.declare({ ...options, effect })
}
