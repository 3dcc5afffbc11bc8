import type { Client, types } from 'cassandra-driver'
import type { Consistency } from './options.js'

export type Types = typeof types

/** A statement with its values, in the order of its question marks. */
export interface Statement {
  readonly query: string
  readonly params: readonly unknown[]
}

/** What the catalog knows of a table. */
export interface TableShape {
  /** By name. */
  readonly columns: ReadonlyMap<string, Column>
  /** The columns by which rows are spread over the nodes. */
  readonly partitionKey: readonly string[]
  /** All columns of the primary key. */
  readonly primaryKey: readonly string[]
}

export interface Column {
  readonly name: string
  /** A code of the driver's `dataTypes`. */
  readonly type: number
}

/** A session with a cluster; each statement goes to a node that has its rows. */
export class CassandraClient {
  constructor(
    private readonly client: Client,
    readonly types: Types,
    private readonly keyspace: string,
    private readonly consistency: Consistency,
  ) {}

  /** The rows of a statement, all pages of it. */
  async query<R>(query: string, params: readonly unknown[] = []): Promise<R[]> {
    const options = { prepare: true, isIdempotent: true, consistency: this.codeOf(this.consistency) }
    const rows: R[] = []
    for await (const row of await this.client.execute(query, [...params], options)) rows.push(row as unknown as R)
    return rows
  }

  /** Writes rows of one partition, which can all be written twice. */
  async write(statements: readonly Statement[], consistency = this.consistency): Promise<void> {
    const options = { prepare: true, isIdempotent: true, consistency: this.codeOf(consistency) }
    const [first] = statements
    if (first === undefined) return
    if (statements.length === 1) await this.client.execute(first.query, [...first.params], options)
    else {
      const queries = statements.map(({ query, params }) => ({ query, params: [...params] }))
      await this.client.batch(queries, { ...options, logged: false })
    }
  }

  /** Writes if the condition of the statement holds, and tells whether it did. */
  async compare(query: string, params: readonly unknown[]): Promise<boolean> {
    const serialConsistency = this.types.consistencies.localSerial
    const options = { prepare: true, consistency: this.codeOf(this.consistency), serialConsistency }
    return (await this.client.execute(query, [...params], options)).wasApplied()
  }

  /** Changes the schema; completes when all nodes that can be reached have it. */
  async define(statement: string): Promise<void> {
    await this.client.execute(statement)
  }

  /** Undefined when there is no such table. The keyspace may be part of its name. */
  async table(name: string): Promise<TableShape | undefined> {
    const dot = name.indexOf('.')
    const keyspace = dot < 0 ? this.keyspace : name.slice(0, dot)
    const found = await this.client.metadata.getTable(keyspace, name.slice(dot + 1))
    if (!found) return undefined
    const columns = found.columns.map(({ name, type }): [string, Column] => [name, { name, type: type.code }])
    const partitionKey = found.partitionKeys.map(({ name }) => name)
    const clusteringKey = found.clusteringKeys.map(({ name }) => name)
    return { columns: new Map(columns), partitionKey, primaryKey: [...partitionKey, ...clusteringKey] }
  }

  private codeOf(consistency: Consistency): number {
    return this.types.consistencies[consistency]
  }
}
