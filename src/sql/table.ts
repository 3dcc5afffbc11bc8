import { UnencodableError } from '../model/index.js'
import { type Row, shapeOf } from './row-batch.js'

/** Writes prepared rows. */
export type Write<Client> = (client: Client) => Promise<unknown>

/** A table that rows are written to. */
export interface Table<Client> {
  /** The columns by which rows replace each other, where that is for the table to say. */
  readonly key?: readonly string[]
  /**
   * Prepares to write rows of one shape (the same columns) in one statement: all of them or none. What needs no
   * database is done at once, while that may still be busy with others.
   * Errors: `UnencodableError` when no statement can be made of these rows; of fewer of them it may.
   */
  prepare(rows: readonly Row[]): Write<Client>
  /** What has to be done before such rows can be written, if anything: what is in place stays, whatever becomes of the rows. */
  before?(rows: readonly Row[]): Write<Client> | undefined
  /** Whether rows that were refused so are to be prepared again, because they are then written in another way. */
  otherwise?(error: unknown): boolean
  /** Whether a statement that this table takes was refused for what a trigger did with one of its rows, though it looks otherwise. */
  isOfRow?(error: unknown): boolean
}

/**
 * What the catalog knows of the columns that rows of this shape have. Errors: `UnencodableError` when the table lacks one
 * of them.
 */
export function columnsOf<C>(row: Row, columns: ReadonlyMap<string, C>, table: string): C[] {
  return shapeOf(row).map((name) => columns.get(name) ?? missing(name, columns, table))
}

function missing(name: string, columns: ReadonlyMap<string, unknown>, table: string): never {
  const known = [...columns.keys()].join(', ')
  throw new UnencodableError(new TypeError(`table ${table} has no column '${name}'; its columns are ${known}`))
}
