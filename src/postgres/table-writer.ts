import type { ClientBase } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { columnsOf, type Row, type Table, UnencodableError, type Write } from '../sql/index.js'
import { CopyText } from './copy-text.js'
import { columnText, textOf } from './encode.js'
import { quoted, quotedTable } from './identifiers.js'
import { type Column, readColumns, takesCopy } from './table-columns.js'

export interface TableOptions {
  readonly table: string
  /** The columns by which a row replaces the one that is there; undefined inserts only. */
  readonly key: readonly string[] | undefined
  /** From how many rows on COPY is used; it can't replace rows. */
  readonly copyFrom: number
}

/** Writes rows to a table by the types that its catalog tells. */
export class TableWriter implements Table<ClientBase> {
  private readonly statements = new Map<string, string>()

  private constructor(
    private readonly options: TableOptions,
    private readonly columns: ReadonlyMap<string, Column>,
    private readonly takesCopy: boolean,
  ) {}

  /** Errors: 42P01 when there is no such table. */
  static async open(client: ClientBase, options: TableOptions): Promise<TableWriter> {
    const { table } = options
    return new TableWriter(options, await readColumns(client, table), await takesCopy(client, table))
  }

  prepare(rows: readonly Row[]): Write<ClientBase> {
    const columns = columnsOf(rows[0] ?? {}, this.columns, this.options.table)
    const generated = columns.find(({ isGenerated }) => isGenerated)
    if (generated !== undefined)
      throw new UnencodableError(new TypeError('the database computes it of others'), generated.name)
    if (columns.length === 0) return (client) => this.writeDefaults(client, rows.length)
    const { key, copyFrom: threshold } = this.options
    return this.takesCopy && key === undefined && rows.length >= threshold
      ? this.copying(columns, rows)
      : this.inserting(columns, rows)
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
        stream.once('error', reject)
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
   * arrays of arrays apart altogether, so those go as text.
   */
  private makeStatement(columns: readonly Column[]): string {
    const names = columns.map(({ name }) => quoted(name))
    const arrays = columns.map(({ isArray, type }, index) => `$${index + 1}::${isArray ? 'text' : type}[]`)
    const values = columns.map(({ isArray, type }, index) => `${names[index]}${isArray ? `::${type}` : ''}`)
    const insert = `INSERT INTO ${quotedTable(this.options.table)} (${names.join(', ')})`
    // As COPY does without being told.
    const overriding = columns.some(({ isNumbered }) => isNumbered) ? ' OVERRIDING SYSTEM VALUE' : ''
    const select = `SELECT ${values.join(', ')} FROM unnest(${arrays.join(', ')}) AS rows(${names.join(', ')})`
    return `${insert}${overriding} ${select}${this.conflict(columns)}`
  }

  private conflict(columns: readonly Column[]): string {
    const { key } = this.options
    if (key === undefined) return ''
    const changes = columns
      .filter(({ name }) => !key.includes(name))
      .map(({ name }) => `${quoted(name)} = excluded.${quoted(name)}`)
    const action = changes.length === 0 ? 'NOTHING' : `UPDATE SET ${changes.join(', ')}`
    return ` ON CONFLICT (${key.map(quoted).join(', ')}) DO ${action}`
  }
}
