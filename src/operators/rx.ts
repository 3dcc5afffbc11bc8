import { catchError, defer, filter, map, type OperatorFunction, throwError } from 'rxjs'
import { z } from 'zod'
import { asWeirError, defineOperator, fn, type Operator, type StreamRecord } from '../model/index.js'
import { remembering } from './internal/remembering.js'
import { type NamedStage, namedStage } from './internal/stage-options.js'

export const rxDefinition = defineOperator({
  name: 'rx',
  summary: 'Any RxJS operator, on the values of one epoch.',
  options: z.strictObject({
    operator: fn<OperatorFunction<unknown, unknown>>().describe('The RxJS operator, as `pipe` takes it.'),
    ...namedStage,
  }),
  warnings: ({ operator }) =>
    remembering(operator).map(({ operators, instead }) => ({
      message: `remembers records by ${operators}, and forgets them with every epoch`,
      hint: `What lasts: ${instead}.`,
    })),
  build:
    ({ operator }) =>
    (records$) =>
      defer(() => {
        let latest: StreamRecord | undefined
        return records$.pipe(
          map((record) => {
            latest = record
            return record.value
          }),
          operator,
          map((value) => latest?.with(value)),
          filter((record) => record !== undefined),
          catchError((error: unknown) => throwError(() => asWeirError(error, 'WEIR_STAGE_FAILED'))),
        )
      }),
})

/**
 * Any RxJS operator, or several in a `pipe`, on values: `rx(bufferCount(10))`. It sees one epoch: it is subscribed anew
 * for each, and what it remembers (`scan`, `distinct`, `pairwise`) ends with the epoch. `weir check` and the log warn of
 * those, and name the stage whose memory lasts; they can't see into operators that don't come from RxJS.
 *
 * A result takes key, time, headers and origin of the record that went in last: of the very one that is being worked on
 * when the operator answers at once, of the epoch's last when it answers at completion. A result that comes before the
 * epoch's first record (`startWith`, or `count()` of an empty epoch) belongs to no record and is left out. For work that
 * takes time take `mapAsync`, which keeps each result with its record.
 * An error ends the epoch with WEIR_STAGE_FAILED.
 */
export function rx<V, W>(operator: OperatorFunction<V, W>, options: NamedStage = {}): Operator<V, W> {
  return rxDefinition.declare({ ...options, operator })
}
