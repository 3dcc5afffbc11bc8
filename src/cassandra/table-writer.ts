import { from, lastValueFrom, mergeMap } from 'rxjs'
import { UnencodableError, WeirError } from '../model/index.js'
import { columnsOf, type Row, type Table, type Write } from '../sql/index.js'
import type { CassandraClient, Column, Statement, TableShape } from './client.js'
import { encode } from './encode.js'
import { quoted, quotedTable } from './identifiers.js'
import type { Consistency } from './options.js'

/** How many rows of a partition share a statement: their size is what a node has in memory at once. */
const rowsPerBatch = 100

export interface TableOptions {
  readonly table: string
  /** Undefined for what the connection says. */
  readonly consistency: Consistency | undefined
  /** How many statements run at once. */
  readonly writers: number
}

/** Writes rows to a table: those of a partition together, and to several partitions at once. */
export class TableWriter implements Table<CassandraClient> {
  /** A row replaces the one with the same primary key, and there is no other way to write one. */
  readonly key: readonly string[]

  private constructor(
    private readonly options: TableOptions,
    private readonly shape: TableShape,
    private readonly types: CassandraClient['types'],
  ) {
    this.key = shape.primaryKey
  }

  /** Errors: WEIR_CONFIG_INVALID when there is no such table, or it has counters. */
  static async open(client: CassandraClient, options: TableOptions): Promise<TableWriter> {
    const shape = await client.table(options.table)
    if (shape === undefined) throw missingTable(options.table)
    const counter: number = client.types.dataTypes.counter
    for (const { name, type } of shape.columns.values()) if (type === counter) throw isCounter(options.table, name)
    return new TableWriter(options, shape, client.types)
  }

  prepare(rows: readonly Row[]): Write<CassandraClient> {
    const columns = columnsOf(rows[0] ?? {}, this.shape.columns, this.options.table)
    this.refuseKeyless(columns)
    const names = columns.map(({ name }) => quoted(name))
    const query = `INSERT INTO ${quotedTable(this.options.table)} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`
    const groups = this.byPartition(rows, columns, query)
    return (client) => this.write(client, groups)
  }

  private async write(client: CassandraClient, groups: readonly (readonly Statement[])[]): Promise<void> {
    const { writers, consistency } = this.options
    const written$ = from(groups).pipe(mergeMap((group) => client.write(group, consistency), writers))
    try {
      await lastValueFrom(written$, { defaultValue: undefined })
    } catch (error) {
      // The driver's word for values that do not fit their columns.
      throw error instanceof TypeError || error instanceof RangeError ? new UnencodableError(error) : error
    }
  }

  /** One statement may have rows of one partition only: then a single node has all of them. */
  private byPartition(rows: readonly Row[], columns: readonly Column[], query: string): Statement[][] {
    const open = new Map<string, Statement[]>()
    const groups: Statement[][] = []
    const seen = new Set<string>()
    for (const row of rows) {
      const params = columns.map((column) => encode(row[column.name], column, this.types))
      this.refuseRepeated(this.placeOf(this.shape.primaryKey, columns, params), seen)
      const partition = this.placeOf(this.shape.partitionKey, columns, params)
      const group = open.get(partition)
      if (group !== undefined && group.length < rowsPerBatch) group.push({ query, params })
      else {
        const begun = [{ query, params }]
        open.set(partition, begun)
        groups.push(begun)
      }
    }
    return groups
  }

  private placeOf(key: readonly string[], columns: readonly Column[], params: readonly unknown[]): string {
    return JSON.stringify(key.map((name) => String(params[columns.findIndex((column) => column.name === name)])))
  }

  /** Rows that are written at the same moment, and only look different here, would leave the larger of their values. */
  private refuseRepeated(key: string, seen: Set<string>): void {
    if (seen.has(key)) throw new UnencodableError(new TypeError('two rows with one primary key'))
    seen.add(key)
  }

  private refuseKeyless(columns: readonly Column[]): void {
    const names = columns.map(({ name }) => name)
    const absent = this.key.filter((name) => !names.includes(name))
    if (absent.length > 0)
      throw new UnencodableError(new TypeError(`the row has no ${absent.join(', ')}, which its primary key needs`))
  }
}

function missingTable(table: string): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `opening table ${table}: it does not exist`, {
    hint: 'Create the table, or give the sink `create`.',
  })
}

function isCounter(table: string, column: string): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `opening table ${table}: '${column}' is a counter`, {
    hint: 'What a replay adds again would count twice. Make it a bigint, and write what the count has come to.',
  })
}
