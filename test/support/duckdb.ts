import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { ReadRow } from './archive-rows.js'

/** DuckDB, with a folder for files to read. */
export class DuckDb {
  private readonly folder = mkdtempSync(join(tmpdir(), 'weir-parquet-'))
  private files = 0

  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
  ) {}

  static async start(): Promise<DuckDb> {
    const instance = await DuckDBInstance.create(':memory:')
    return new DuckDb(instance, await instance.connect())
  }

  /**
   * Puts a file there. Returns its path, which no file had before: DuckDB remembers what it read of a file, and does not
   * notice another one of the same size and second.
   */
  file(bytes: Uint8Array): string {
    const path = join(this.folder, `${this.files++}.parquet`)
    writeFileSync(path, bytes)
    return path
  }

  async query<R>(sql: string): Promise<R[]> {
    const reader = await this.connection.runAndReadAll(sql)
    return reader.getRowObjectsJson() as R[]
  }

  /** All that lies in some files, in its order. */
  async rows(...paths: string[]): Promise<ReadRow[]> {
    const rows = await this.query<Record<string, string>>(`
      SELECT * REPLACE (
        epoch_us(time)::VARCHAR AS time,
        epoch_us(kafka_timestamp)::VARCHAR AS kafka_timestamp,
        kafka_offset::VARCHAR AS kafka_offset,
        lower(hex(data_bytes)) AS data_bytes,
        lower(hex(kafka_key)) AS kafka_key,
        to_json(list_transform(map_entries(extensions), lambda e: [e.key, e.value]))::VARCHAR AS extensions,
        to_json(list_transform(kafka_headers, lambda h: [h.name, lower(hex(h.value))]))::VARCHAR AS kafka_headers
      ) FROM read_parquet([${paths.map((path) => `'${path}'`).join()}])`)
    return rows.map(({ extensions = '', kafka_headers = '', ...row }) => {
      const inner = { extensions: JSON.parse(extensions), kafka_headers: JSON.parse(kafka_headers) } as object
      return { ...row, ...inner } as unknown as ReadRow
    })
  }

  close(): void {
    this.connection.closeSync()
    this.instance.closeSync()
    rmSync(this.folder, { recursive: true })
  }
}
