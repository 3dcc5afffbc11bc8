import { catchError, concatMap, defer, from, map, type Observable, of } from 'rxjs'
import { z } from 'zod'
import { type Check, checkOption, type PlannedCheck } from '../checks/check.js'
import type { CheckResult, CheckStatus } from '../checks/check-result.js'
import { broken, rangeText, type Severity } from '../checks/limits.js'
import {
  type Clock,
  type Configurable,
  defineOperator,
  type MetricReading,
  type Operator,
  type StageMetric,
  StreamRecord,
  timeText,
} from '../model/index.js'
import type { SqlReader, SqlRow } from '../sql/index.js'
import { type NamedStage, namedStage } from './internal/stage-options.js'

/** A check gives one number. */
const limits = { maxRows: 100, maxBytes: 65_536 }

const metrics: Readonly<Record<CheckStatus, StageMetric>> = {
  passed: metric('passed', 'Checks that passed in the last run.'),
  failed: metric('failed', 'Checks that failed in the last run.'),
  errored: metric('errored', 'Checks to which the database gave no value in the last run.'),
  skipped: metric('skipped', 'Checks that had nothing to judge in the last run.'),
}

export const checksDefinition = defineOperator({
  name: 'checks',
  summary: 'Makes checks of a database for each record, and tells what each has found.',
  connection: 'postgres',
  options: z.strictObject({
    connection: z.string().min(1).describe('The database.'),
    of: z
      .record(z.string().min(1), checkOption)
      .refine((all) => Object.keys(all).length > 0, 'expected a check, such as notNull({ … })')
      .describe('The checks, by their names.'),
    ...namedStage,
  }),
  metrics: Object.values(metrics),
  detail: ({ of: all }) => Object.keys(all).join(', '),
  build: ({ connection, of: all }, context) => {
    const database = context.connection<SqlReader>('postgres', connection)
    const tally = new Map<string, CheckStatus>()
    context.measures?.(() => readingsOf(tally))
    return concatMap((record) =>
      defer(() => {
        const run = new Run(database, context.clock)
        return from(Object.entries(all)).pipe(
          concatMap(([name, check]) => run.result(name, check, record)),
          map((result) => {
            tally.set(result.check, result.status)
            const { timestamp, headers, origin, behindMs } = record
            return new StreamRecord(result.check, result, timestamp, headers, origin, behindMs)
          }),
        )
      }),
    )
  },
})

/**
 * Makes checks of a database for each record that comes, one after the other in their order, and emits a result of each: under
 * the name of its check as the key, at the time of the record.
 *
 * A check `failed` when its value is beyond a limit, as a warning or as an error. Where the database gave no value, for
 * whatever reason, it `errored`: that is a result and no failure of the flow, for who waits for a database says nothing
 * meanwhile. Once the connection is lost the checks behind it are `skipped`, and so is one that found nothing to judge. The next
 * run is the next try.
 *
 * Checks see what is committed, and can't write. When an epoch is replayed they are made again.
 */
export function checks(
  connection: string,
  of: Configurable<Readonly<Record<string, Check>>>,
  options: NamedStage = {},
): Operator<unknown, CheckResult> {
  return checksDefinition.declare({ ...options, connection, of })
}

/** The checks of one record: they share what is known of the connection. */
class Run {
  /** The check that lost it. */
  private lostBy: string | undefined

  constructor(
    private readonly database: SqlReader,
    private readonly clock: Clock,
  ) {}

  result(check: string, planned: PlannedCheck, { timestamp }: StreamRecord): Observable<CheckResult> {
    return defer(() => {
      const began = this.clock.scheduler.now()
      return this.found(check, planned).pipe(
        map((found) => ({
          check,
          kind: planned.kind,
          ...found,
          at: timeText(timestamp),
          durationMs: Math.round(this.clock.scheduler.now() - began),
        })),
      )
    })
  }

  private found(check: string, planned: PlannedCheck): Observable<Found> {
    if (this.lostBy !== undefined) return of(skipped(`the database could not be reached: see '${this.lostBy}'`))
    const { query, values } = planned.measure
    return this.database.read(query, values, limits).pipe(
      map((rows) => judged(rows, planned)),
      catchError((error: unknown) => {
        const { faults } = this.database
        if (faults.of(error) === 'connection') this.lostBy = check
        return of(errored(`asking ${this.database.address}: ${faults.text(error)}`))
      }),
    )
  }
}

type Found = Pick<CheckResult, 'status' | 'severity' | 'value' | 'message'>

function judged([row]: readonly SqlRow[], { what, limits: given }: PlannedCheck): Found {
  const first = row === undefined ? null : (Object.values(row)[0] ?? null)
  if (first === null) return skipped(`nothing to judge: ${what}`)
  const value = numberOf(first)
  if (value === undefined)
    return errored(`the query gives ${JSON.stringify(first) ?? typeof first}, which is no number`)
  const shown = `${Math.round(value * 1_000) / 1_000} ${what}`
  const fault = broken(value, given)
  if (fault === undefined) return { status: 'passed', severity: null, value, message: shown }
  return { status: 'failed', severity: fault.severity, value, message: `${shown}: ${rangeText(fault.range)} may be` }
}

/** The driver reads numbers that JavaScript might not hold as text. */
function numberOf(value: unknown): number | undefined {
  if (typeof value !== 'number' && (typeof value !== 'string' || value.trim() === '')) return undefined
  const number = Number(value)
  return Number.isFinite(number) ? number : undefined
}

function errored(message: string): Found {
  const severity: Severity = 'error'
  return { status: 'errored', severity, value: null, message }
}

function skipped(message: string): Found {
  return { status: 'skipped', severity: null, value: null, message }
}

function metric(status: CheckStatus, help: string): StageMetric {
  return { name: `checks_${status}`, help, kind: 'gauge', shown: status === 'passed' ? 'checks passed' : status }
}

function readingsOf(tally: ReadonlyMap<string, CheckStatus>): readonly MetricReading[] {
  const statuses = [...tally.values()]
  return Object.entries(metrics).map(([status, metric]) => ({
    metric,
    value: statuses.filter((one) => one === status).length,
  }))
}
