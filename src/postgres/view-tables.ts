import type { ClientBase } from 'pg'
import { catchError, filter, ignoreElements, type Observable, throwError } from 'rxjs'
import {
  type EpochTransaction,
  putRow,
  refusedError,
  type ViewClaim,
  type ViewContent,
  type ViewRow,
  type ViewStorage,
  type ViewTables,
  type ViewWrite,
} from '../model/index.js'
import { SqlTransaction } from '../sql/index.js'
import type { PostgresConnection } from './connection.js'
import { createOnce } from './create-once.js'

/** Keys may be longer than what an index takes, so it is over their digests. */
const createTables = `
  CREATE TABLE IF NOT EXISTS weir_view_parts (
    view text, part text, generation bigint NOT NULL, sequence bigint, at bigint NOT NULL DEFAULT 0,
    writes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (view, part)
  );
  CREATE TABLE IF NOT EXISTS weir_view_rows (
    view text NOT NULL, part text NOT NULL, tbl text NOT NULL, key text NOT NULL, value json NOT NULL
  );
  CREATE UNIQUE INDEX IF NOT EXISTS weir_view_keys ON weir_view_rows (view, part, tbl, md5(key))`

const claimPart = `
  INSERT INTO weir_view_parts AS p (view, part, generation) VALUES ($1, $2, $3)
  ON CONFLICT (view, part) DO UPDATE SET generation = excluded.generation
  RETURNING p.sequence`

const upsert = `
  INSERT INTO weir_view_rows (view, part, tbl, key, value)
  SELECT $1, $2, tbl, key, value::json FROM unnest($3::text[], $4::text[], $5::text[]) AS given(tbl, key, value)
  ON CONFLICT (view, part, tbl, md5(key)) DO UPDATE SET value = excluded.value`

/** Finds one row after the other: a join reads all rows of a large view, whatever the index. */
const remove = `
  DELETE FROM weir_view_rows WHERE ctid = ANY (ARRAY(
    SELECT found.ctid FROM unnest($3::text[], $4::text[]) AS given(tbl, key), LATERAL (
      SELECT r.ctid FROM weir_view_rows r
      WHERE r.view = $1 AND r.part = $2 AND r.tbl = given.tbl AND md5(r.key) = md5(given.key) LIMIT 1
    ) AS found
  ))`

interface PartRow {
  readonly part: string
  readonly generation: string
  readonly sequence: string | null
  readonly at: string
  readonly writes: string
}

interface KeyRow {
  readonly tbl: string
  readonly key: string
  readonly value: unknown
}

/** Views in the tables `weir_view_parts` and `weir_view_rows`, whose column `value` is JSON. */
class PostgresViews implements ViewStorage {
  constructor(private readonly connection: PostgresConnection) {}

  open(): Observable<never> {
    return this.run('opening the storage of views', (client) =>
      createOnce(client, createTables, 'weir_view_parts', 'weir_view_rows'),
    ).pipe(ignoreElements())
  }

  claim({ view, part, generation }: ViewClaim): Observable<number | undefined> {
    return this.run(`claiming a part of view ${view}`, async (client) => {
      const { rows } = await client.query<Pick<PartRow, 'sequence'>>(claimPart, [view, part, generation])
      const sequence = rows[0]?.sequence ?? null
      return sequence === null ? undefined : Number(sequence)
    })
  }

  write(write: ViewWrite, transaction?: EpochTransaction): Observable<never> {
    const doing = `writing view ${write.view}`
    const written$ =
      transaction instanceof SqlTransaction
        ? this.failing(
            doing,
            (transaction as SqlTransaction<ClientBase>).run((client) => put(client, write)),
          )
        : this.run(doing, (client) => alone(client, write))
    return written$.pipe(ignoreElements())
  }

  read(view: string, known?: string): Observable<ViewContent> {
    return this.run(`reading view ${view}`, async (client) => {
      const parts = await client.query<PartRow>('SELECT * FROM weir_view_parts WHERE view = $1 ORDER BY part', [view])
      const tag = JSON.stringify(parts.rows.map(({ part, generation, writes }) => [part, generation, writes]))
      if (tag === known) return undefined
      const { rows } = await client.query<KeyRow>('SELECT tbl, key, value FROM weir_view_rows WHERE view = $1', [view])
      const at = Math.max(0, ...parts.rows.map((row) => Number(row.at)))
      const isWhole = parts.rows.some(({ sequence }) => sequence !== null)
      return { tag, at, isWhole, tables: tablesOf(rows) }
    }).pipe(filter((content) => content !== undefined))
  }

  private run<T>(doing: string, work: (client: ClientBase) => Promise<T>): Observable<T> {
    return this.failing(doing, this.connection.run(work))
  }

  private failing<T>(doing: string, result$: Observable<T>): Observable<T> {
    const { faults } = this.connection
    return result$.pipe(
      catchError((error: unknown) =>
        throwError(() => faults.as(error, doing, 'WEIR_SINK_UNREACHABLE', 'WEIR_SINK_UNREACHABLE')),
      ),
    )
  }
}

/** Views in PostgreSQL; their writes can join the transactions of checkpoints in the same database. */
export function postgresViews(connection: PostgresConnection): ViewStorage {
  return new PostgresViews(connection)
}

async function alone(client: ClientBase, write: ViewWrite): Promise<void> {
  await client.query('BEGIN')
  try {
    await put(client, write)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

async function put(client: ClientBase, write: ViewWrite): Promise<void> {
  const { view, part, generation, sequence, replaces, rows, removed, at } = write
  const held = await client.query<Pick<PartRow, 'generation'>>(
    'SELECT generation FROM weir_view_parts WHERE view = $1 AND part = $2 FOR UPDATE',
    [view, part],
  )
  const now = held.rows[0]?.generation
  if (Number(now) !== generation) throw refusedError(write, now === undefined ? undefined : Number(now))
  if (replaces) await client.query('DELETE FROM weir_view_rows WHERE view = $1 AND part = $2', [view, part])
  if (removed.length > 0) await client.query(remove, [view, part, ...columnsOf(removed)])
  if (rows.length > 0)
    await client.query(upsert, [view, part, ...columnsOf(rows), rows.map(({ value }) => JSON.stringify(value))])
  await client.query(
    'UPDATE weir_view_parts SET sequence = $3, at = $4, writes = writes + 1 WHERE view = $1 AND part = $2',
    [view, part, sequence, at],
  )
}

function columnsOf(rows: readonly Pick<ViewRow, 'table' | 'key'>[]): [string[], string[]] {
  return [rows.map(({ table }) => table), rows.map(({ key }) => escaped(key))]
}

function tablesOf(rows: readonly KeyRow[]): ViewTables {
  const tables = new Map<string, Map<string, unknown>>()
  for (const { tbl, key, value } of rows) putRow(tables, { table: tbl, key: unescaped(key), value })
  return tables
}

/** Text of PostgreSQL can't hold the character 0. */
function escaped(key: string): string {
  return key.replaceAll('\\', '\\\\').replaceAll('\0', '\\0')
}

function unescaped(key: string): string {
  return key.includes('\\') ? key.replace(/\\(.)/g, (_, escape) => (escape === '0' ? '\0' : '\\')) : key
}
