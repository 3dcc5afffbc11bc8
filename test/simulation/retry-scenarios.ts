import { z } from 'zod'
import {
  batch,
  defineOperator,
  type ErrorPolicy,
  errorPolicy,
  type Flow,
  flow,
  json,
  kafka,
  map,
  type Operator,
  operate,
  postgres,
  retry,
  type StreamRecord,
} from '../../src/index.js'
import type { SimulateOptions } from '../../src/testing/index.js'
import { refuses } from './accounted-scenarios.js'
import { inRows } from './accounting.js'
import { type Scenario, source, Visit, visits } from './visits.js'

const onError = retry({ tiers: ['2s', '5s'] })

/** Visits fail never, once, twice or three times; the last of these is once too often. */
const failing: Operator<Visit, Visit> = map(
  (visit: Visit, { origin }) => {
    if ((origin.retried?.attempts ?? 0) < visit.id % 4) throw new Error('away')
    return visit
  },
  { name: 'failing', onError },
)

/** Fails in every other second, whatever comes then: an epoch that is tried again fails others. */
const moody = defineOperator({
  name: 'moody',
  summary: 'Fails by the clock.',
  options: z.strictObject({ onError: errorPolicy }),
  build: (_, context) =>
    operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        const { now } = context.clock.scheduler
        if (Math.floor(now.call(context.clock.scheduler) / 1_000) % 2 === 0) context.reject(record, new Error('a mood'))
        else output.next(record)
      },
    })),
})
const moods = moody.declare({ onError: onError satisfies ErrorPolicy }) as Operator<Visit, Visit>

const table = <T>() => postgres.sink<T>({ table: 'results', row: (value) => ({ value }), onError })

/** Each record is in the results or in the dead letters at last: once, and never in both. */
function retried(name: string, tried: Flow, options: Partial<SimulateOptions> = {}): Scenario {
  return { name, flow: tried, options: { input: visits, accounts: inRows, ...options } }
}

export const retryScenarios: readonly Scenario[] = [
  retried('tried again, exactly once', flow(source, json(Visit), failing, moods, table())),
  retried(
    'tried again by a sink and in batches, exactly once',
    flow(source, json(Visit), moods, batch({ size: 4, every: '50ms' }), table<unknown>()),
    { refuses },
  ),
  retried(
    'tried again, in transactions',
    flow(source, json(Visit), failing, moods, kafka.sink({ topic: 'results', onError })).with({
      guarantee: 'exactly-once',
    }),
  ),
  retried(
    'tried again, at least once',
    // What an epoch has written that fails is not taken back: a mood would have it in the dead letters as well.
    flow(source, json(Visit), failing, kafka.sink({ topic: 'results', onError })),
  ),
]
