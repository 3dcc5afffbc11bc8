import type { ClientBase } from 'pg'
import { type Clock, isoReader, WeirError } from '../model/index.js'
import type { Row, Write } from '../sql/index.js'
import { quotedTable } from './identifiers.js'

export interface DaysOptions {
  /** The column by which the table is partitioned. */
  readonly column: string
  readonly clock: Pick<Clock, 'now'>
}

const dayMs = 86_400_000
/** A clock that is wrong must not fill the table with partitions of days to come. */
const daysAhead = 2
/** The server cuts longer names. */
const longestName = 63

/** Makes the partitions of the days that rows are of. */
export class DayPartitions {
  /** Days since 1970 that nothing more has to be done for. */
  private readonly known = new Set<number>()
  private readonly read = isoReader()

  constructor(
    private readonly table: string,
    private readonly options: DaysOptions,
  ) {}

  /** What has to be done before these rows can be written. What no partition takes the database refuses. */
  before(rows: readonly Row[]): Write<ClientBase> | undefined {
    const today = Math.floor(this.options.clock.now() / dayMs)
    const last = today + daysAhead
    // What tells no time may get that of the server.
    const missing = new Set<number>(this.known.has(today) ? [] : [today])
    for (const row of rows) {
      const day = this.dayOf(row[this.options.column])
      if (day <= last && !this.known.has(day)) missing.add(day)
    }
    if (missing.size === 0) return undefined
    return async (client) => {
      for (const day of [...missing].sort((one, other) => one - other)) {
        await this.make(client, day)
        this.known.add(day)
      }
    }
  }

  private dayOf(value: unknown): number {
    if (value instanceof Date) return Math.floor(value.getTime() / dayMs)
    return typeof value === 'string' ? Math.floor(this.read(value) / dayMs) : Number.NaN
  }

  /**
   * A table of its own, which is then attached: made as a partition at once, it would wait for all who write to the table, and
   * they for it.
   */
  private async make(client: ClientBase, day: number): Promise<void> {
    const [from, to] = [day, day + 1].map((one) => new Date(one * dayMs).toISOString().slice(0, 10))
    const name = this.nameOf(from as string)
    const table = quotedTable(this.table)
    const { rows } = await client.query<{ readonly takes: boolean; readonly isThere: boolean }>(
      `SELECT relkind = 'p' AS takes, to_regclass($2) IS NOT NULL AS "isThere" FROM pg_class WHERE oid = $1::regclass`,
      [table, name],
    )
    if (rows[0]?.takes === false) throw notPartitioned(this.table)
    if (rows[0]?.isThere === true) return
    // Others may make it meanwhile, and another partition may have the day already: whoever made that one knows why.
    await client.query(
      `SELECT pg_advisory_xact_lock(hashtext('weir.create'));
      DO $make$ BEGIN
        CREATE TABLE ${name} (LIKE ${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);
        ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM ('${from} 00:00Z') TO ('${to} 00:00Z');
      EXCEPTION WHEN duplicate_table OR invalid_object_definition THEN NULL;
      END $make$`,
    )
  }

  private nameOf(day: string): string {
    const suffix = `_${day.replaceAll('-', '')}`
    const parts = /^(.*\.)?([^.]+)$/.exec(this.table)
    const [, schema = '', table = this.table] = parts ?? []
    return quotedTable(`${schema}${table.slice(0, longestName - suffix.length)}${suffix}`)
  }
}

function notPartitioned(table: string): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `making partitions of table ${table}: it is not partitioned`, {
    hint: 'Make it anew as a partitioned table, or leave `days` out.',
  })
}
