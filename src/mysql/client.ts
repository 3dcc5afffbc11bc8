import type { PoolConnection, QueryOptions, RowDataPacket } from 'mysql2/promise'

/** How much later than the server the client gives up on a statement: then the server is out of reach. */
const answerGraceMs = 5_000

/** One session of the server. */
export class MysqlClient {
  constructor(
    private readonly connection: PoolConnection,
    /** How long a statement may take, ms; 0 is for ever. */
    private readonly statementMs: number,
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

  /** Whether the server ends the session when it hears nothing for as long as a statement may take. */
  async limitIdleness(isLimited: boolean): Promise<void> {
    if (this.statementMs === 0) return
    await this.query(`SET SESSION wait_timeout = ${isLimited ? Math.ceil(this.statementMs / 1_000) : 'DEFAULT'}`)
  }

  /** Text as a literal. */
  escape(text: string): string {
    return this.connection.escape(text)
  }

  private limited(sql: string): QueryOptions {
    return this.statementMs === 0 ? { sql } : { sql, timeout: this.statementMs + answerGraceMs }
  }
}
