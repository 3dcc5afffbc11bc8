import type { PoolConnection, QueryOptions, RowDataPacket } from 'mysql2/promise'

/** One session of the server. */
export class MysqlClient {
  constructor(
    private readonly connection: PoolConnection,
    /** When to give up on the server, ms; 0 is never. */
    private readonly timeoutMs: number,
  ) {}

  /** The rows of a statement; values are put into its text. */
  async query<R>(sql: string, values?: unknown[]): Promise<R[]> {
    const [rows] = await this.connection.query<RowDataPacket[]>(this.limited(sql), values)
    return rows as R[]
  }

  /** The rows of a prepared statement; values are sent as they are, bytes as bytes. */
  async execute<R>(sql: string, values: (string | number | null | Uint8Array)[]): Promise<R[]> {
    const [rows] = await this.connection.execute<RowDataPacket[]>(this.limited(sql), values)
    return rows as R[]
  }

  /** Text as a literal. */
  escape(text: string): string {
    return this.connection.escape(text)
  }

  private limited(sql: string): QueryOptions {
    return this.timeoutMs === 0 ? { sql } : { sql, timeout: this.timeoutMs }
  }
}
