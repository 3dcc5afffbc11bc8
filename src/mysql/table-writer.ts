import { UnencodableError, WeirError } from '../model/index.js'
import { columnsOf, type Row, type Table, type Write } from '../sql/index.js'
import type { MysqlClient } from './client.js'
import { isOfTrigger } from './faults.js'
import { quoted, quotedTable } from './identifiers.js'
import { literalOf } from './literal.js'
import { type Column, isTransactional, isUnique, readTable } from './table-columns.js'

/** What the protocol adds to the text of a statement, with room to spare. */
const overhead = 64

export interface TableOptions {
  readonly table: string
  /** The columns by which a row replaces the one that is there; undefined inserts only. */
  readonly key: readonly string[] | undefined
}

/** Writes rows to a table, all of a batch in one INSERT. */
export class TableWriter implements Table<MysqlClient> {
  private constructor(
    private readonly options: TableOptions,
    private readonly columns: ReadonlyMap<string, Column>,
    /** What a statement may have, bytes. */
    private readonly limit: number,
    private readonly escape: (text: string) => string,
  ) {}

  /**
   * Errors: the server's when there is no such table; WEIR_CONFIG_INVALID when it knows no transactions, or `key` is not
   * unique in it.
   */
  static async open(client: MysqlClient, options: TableOptions): Promise<TableWriter> {
    const { table, key } = options
    const { columns, engine } = await readTable(client, table)
    if (!(await isTransactional(client, engine))) throw notTransactional(table, engine)
    if (key !== undefined && !(await isUnique(client, table, key))) throw notUnique(table, key)
    const [row] = await client.query<{ bytes: number }>('SELECT @@max_allowed_packet AS bytes')
    return new TableWriter(options, columns, Number(row?.bytes) - overhead, (text) => client.escape(text))
  }

  prepare(rows: readonly Row[]): Write<MysqlClient> {
    const columns = columnsOf(rows[0] ?? {}, this.columns, this.options.table)
    let statement = this.insert(columns)
    const conflict = this.conflict(columns)
    let bytes = Buffer.byteLength(statement) + Buffer.byteLength(conflict)
    for (let index = 0; index < rows.length; index++) {
      const tuple = `${index === 0 ? '' : ','}(${this.literals(columns, rows[index] as Row)})`
      bytes += Buffer.byteLength(tuple)
      if (bytes > this.limit) throw new UnencodableError(`more than the ${this.limit} bytes of max_allowed_packet`)
      statement += tuple
    }
    return (client) => client.query(statement + conflict)
  }

  isOfRow(error: unknown): boolean {
    return isOfTrigger(error, this.options.table)
  }

  private literals(columns: readonly Column[], row: Row): string {
    let text = ''
    for (let index = 0; index < columns.length; index++) {
      const column = columns[index] as Column
      text += (index === 0 ? '' : ',') + literalOf(row[column.name], column, this.escape)
    }
    return text
  }

  private insert(columns: readonly Column[]): string {
    return `INSERT INTO ${quotedTable(this.options.table)} (${columns.map(({ name }) => quoted(name)).join(', ')}) VALUES `
  }

  private conflict(columns: readonly Column[]): string {
    const { key } = this.options
    if (key === undefined) return ''
    const changed = columns.map(({ name }) => name).filter((name) => !key.includes(name))
    const changes = changed.map((name) => `${quoted(name)} = VALUES(${quoted(name)})`)
    // To change nothing has to be said too.
    const unchanged = key.slice(0, 1).map((name) => `${quoted(name)} = ${quoted(name)}`)
    return ` ON DUPLICATE KEY UPDATE ${(changes.length === 0 ? unchanged : changes).join(', ')}`
  }
}

function notUnique(table: string, key: readonly string[]): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `opening table ${table}: ${key.join(', ')} is no unique key of it`, {
    hint: 'An upsert needs a unique index on exactly the columns of `key`.',
  })
}

function notTransactional(table: string, engine: string | undefined): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `opening table ${table}: its engine ${engine} knows no transactions`, {
    hint: `Make it one that does: ALTER TABLE ${quotedTable(table)} ENGINE = InnoDB.`,
  })
}
