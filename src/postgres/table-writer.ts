import pg, { type ClientBase } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { columnsOf, type Row, type Table, UnencodableError, type Write } from '../sql/index.js'
import { CopyText } from './copy-text.js'
import { DayPartitions, type DaysOptions } from './day-partitions.js'
import { columnText, textOf } from './encode.js'
import { quoted, quotedTable } from './identifiers.js'
import { type Column, type Relation, readColumns, readRelation } from './table-columns.js'

export interface TableOptions {
  readonly table: string
  /** The columns by which a row replaces the one that is there; undefined inserts only. */
  readonly key: readonly string[] | undefined
  /** Whether the row that is there stays instead. */
  readonly keeps?: boolean
  /** From how many rows on COPY is used; it can't replace rows. */
  readonly copyFrom: number
  /** Where the table has a partition for each day, and those that rows need are made. */
  readonly days?: DaysOptions | undefined
}

const uniqueViolation = '23505'
/** For how many batches COPY is not tried again, where one of its rows was there already: what it wrote until then is waste. */
const cautiousFor = 50

/** Writes rows to a table by the types that its catalog tells. */
export class TableWriter implements Table<ClientBase> {
  private readonly statements = new Map<string, string>()
  /** How many batches are still written without COPY, because rows repeat. */
  private cautious = 0
  private readonly refusedCopies = new WeakSet<object>()
  private readonly days: DayPartitions | undefined

  private constructor(
    private readonly options: TableOptions,
    private readonly columns: ReadonlyMap<string, Column>,
    private readonly relation: Relation,
  ) {
    const { table, days } = options
    this.days = days === undefined ? undefined : new DayPartitions(table, days)
  }

  /** Errors: 42P01 when there is no such table. */
  static async open(client: ClientBase, options: TableOptions): Promise<TableWriter> {
    const { table } = options
    return new TableWriter(options, await readColumns(client, table), await readRelation(client, table))
  }

  prepare(rows: readonly Row[]): Write<ClientBase> {
    const columns = columnsOf(rows[0] ?? {}, this.columns, this.options.table)
    const generated = columns.find(({ isGenerated }) => isGenerated)
    if (generated !== undefined)
      throw new UnencodableError(new TypeError('the database computes it of others'), generated.name)
    if (columns.length === 0) return (client) => this.writeDefaults(client, rows.length)
    return this.copies(rows) ? this.copying(columns, rows) : this.inserting(columns, rows)
  }

  before(rows: readonly Row[]): Write<ClientBase> | undefined {
    return this.days?.before(rows)
  }

  /** COPY knows no conflicts: where a row is there already, the batch is inserted. */
  otherwise(error: unknown): boolean {
    const isRepeat = error instanceof pg.DatabaseError && error.code === uniqueViolation
    if (!isRepeat || this.options.keeps !== true || !this.refusedCopies.has(error)) return false
    this.cautious = cautiousFor
    return true
  }

  private copies(rows: readonly Row[]): boolean {
    const { key, keeps = false, copyFrom: threshold } = this.options
    if (!this.relation.takesCopy || rows.length < threshold || (key !== undefined && !keeps)) return false
    if (this.cautious === 0) return true
    this.cautious--
    return false
  }

  private inserting(columns: readonly Column[], rows: readonly Row[]): Write<ClientBase> {
    const statement = this.statement(columns)
    const arrays = columns.map((column) =>
      columnText(
        rows.map((row) => textOf(row[column.name], column)),
        column,
      ),
    )
    return (client) => client.query(statement, arrays)
  }

  private copying(columns: readonly Column[], rows: readonly Row[]): Write<ClientBase> {
    const statement = `COPY ${quotedTable(this.options.table)} (${columns.map(({ name }) => quoted(name)).join(', ')}) FROM STDIN`
    const copy = new CopyText()
    const last = columns.length - 1
    for (const row of rows) {
      for (let index = 0; index <= last; index++) {
        const column = columns[index] as Column
        copy.field(textOf(row[column.name], column), column, index === last)
      }
    }
    return (client) =>
      new Promise<void>((resolve, reject) => {
        const stream = client.query(copyFrom(statement))
        stream.once('error', (error) => {
          this.refusedCopies.add(error)
          reject(error)
        })
        stream.once('finish', resolve)
        stream.end(copy.sent)
      })
  }

  private async writeDefaults(client: ClientBase, rows: number): Promise<void> {
    for (let row = 0; row < rows; row++)
      await client.query(`INSERT INTO ${quotedTable(this.options.table)} DEFAULT VALUES`)
  }

  private statement(columns: readonly Column[]): string {
    const shape = columns.map(({ name }) => name).join()
    let statement = this.statements.get(shape)
    if (statement === undefined) this.statements.set(shape, (statement = this.makeStatement(columns)))
    return statement
  }

  /**
   * One array for each column, so that the length of a batch costs neither parameters nor parsing. `unnest` would take
   * arrays of arrays apart altogether, so those go as text. The server looks up the types of the others with each statement: a cast to
   * what a column was before somebody has widened it would cut values in silence.
   */
  private makeStatement(columns: readonly Column[]): string {
    const names = columns.map(({ name }) => quoted(name))
    const row = `(NULL::${this.relation.rowType})`
    const arrays = columns.map(({ isArray }, index) =>
      isArray ? `$${index + 1}::text[]` : `coalesce($${index + 1}, ARRAY[${row}.${names[index]}])`,
    )
    const values = columns.map(({ isArray, type }, index) => `${names[index]}${isArray ? `::${type}` : ''}`)
    const insert = `INSERT INTO ${quotedTable(this.options.table)} (${names.join(', ')})`
    // As COPY does without being told.
    const overriding = columns.some(({ isNumbered }) => isNumbered) ? ' OVERRIDING SYSTEM VALUE' : ''
    const select = `SELECT ${values.join(', ')} FROM unnest(${arrays.join(', ')}) AS rows(${names.join(', ')})`
    return `${insert}${overriding} ${select}${this.conflict(columns)}`
  }

  private conflict(columns: readonly Column[]): string {
    const { key, keeps = false } = this.options
    if (key === undefined) return ''
    const changes = columns
      .filter(({ name }) => !key.includes(name))
      .map(({ name }) => `${quoted(name)} = excluded.${quoted(name)}`)
    const action = keeps || changes.length === 0 ? 'NOTHING' : `UPDATE SET ${changes.join(', ')}`
    return ` ON CONFLICT (${key.map(quoted).join(', ')}) DO ${action}`
  }
}
