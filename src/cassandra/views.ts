import { catchError, filter, from, ignoreElements, lastValueFrom, mergeMap, type Observable, throwError } from 'rxjs'
import {
  type Clock,
  putRow,
  refusedError,
  type ViewClaim,
  type ViewContent,
  type ViewStorage,
  type ViewWrite,
} from '../model/index.js'
import type { CassandraClient, Statement } from './client.js'
import type { CassandraConnection } from './connection.js'
import { createOnce } from './create-once.js'

/** How much a batch may have: a node refuses what it could not keep in half a segment of its log. */
const mostPerBatch = { rows: 100, characters: 1_000_000 } as const
const batchesAtOnce = 16

const createParts = `
  CREATE TABLE weir_view_parts (
    view_name text, part text, generation bigint, fence bigint, sequence bigint, at bigint, writes bigint,
    PRIMARY KEY (view_name, part)
  )`

// Removed keys are kept in mind for four hours: a node that was away for longer than that has to be repaired first.
const createRows = `
  CREATE TABLE weir_view_rows (
    view_name text, part text, tbl text, key text, value text,
    PRIMARY KEY ((view_name, part), tbl, key)
  ) WITH gc_grace_seconds = 14400`

const place = 'view_name = ? AND part = ?'
const insertRow =
  'INSERT INTO weir_view_rows (view_name, part, tbl, key, value) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?'
const deleteRow = `DELETE FROM weir_view_rows USING TIMESTAMP ? WHERE ${place} AND tbl = ? AND key = ?`
const deleteRows = `DELETE FROM weir_view_rows USING TIMESTAMP ? WHERE ${place}`
const readPart = `SELECT generation, fence, sequence, writes FROM weir_view_parts WHERE ${place}`
const firstClaim =
  'INSERT INTO weir_view_parts (view_name, part, generation, fence, writes) VALUES (?, ?, ?, ?, 0) IF NOT EXISTS'
const nextClaim = `UPDATE weir_view_parts SET generation = ?, fence = ? WHERE ${place} IF fence = ?`
const finish = `UPDATE weir_view_parts SET sequence = ?, at = ?, writes = ? WHERE ${place} IF fence = ?`

/**
 * By how much a claim is ahead of the one before, at least: by more than what is written under one needs. As microseconds it
 * is less than the time from one claim to the next, so that it is the clock that goes ahead and not this, beyond all numbers.
 */
const claimAhead = 2 ** 20

interface PartRow {
  readonly part: string
  readonly generation: bigint
  readonly fence: bigint
  readonly sequence: bigint | null
  readonly at: bigint | null
  readonly writes: bigint
}

interface KeyRow {
  readonly tbl: string
  readonly key: string
  readonly value: string
}

/** A part as this process has claimed it. */
interface Held {
  readonly generation: number
  readonly fence: number
  /** How many writes have begun under this claim. */
  made: number
}

/**
 * Views in the tables `weir_view_parts` and `weir_view_rows`. Of two writes to a row Cassandra keeps the one with the
 * later time: here that is no time of a clock, but counts up with each claim and write. Whoever lost a part is behind in
 * that order, so that nothing it still writes is seen.
 */
export class CassandraViews implements ViewStorage {
  private readonly held = new Map<string, Held>()

  constructor(
    private readonly connection: CassandraConnection,
    private readonly clock: Clock,
  ) {}

  open(): Observable<never> {
    return this.run('opening the storage of views', async (client) => {
      await createOnce(client, createParts, 'weir_view_parts')
      await createOnce(client, createRows, 'weir_view_rows')
    }).pipe(ignoreElements())
  }

  claim(claim: ViewClaim): Observable<number | undefined> {
    return this.run(`claiming a part of view ${claim.view}`, async (client) => {
      for (;;) {
        const [row] = await client.query<PartRow>(readPart, [claim.view, claim.part])
        const fence = await this.take(client, claim, row)
        if (fence === undefined) continue
        this.held.set(nameOf(claim), { generation: claim.generation, fence, made: 0 })
        return row === undefined || row.sequence === null ? undefined : Number(row.sequence)
      }
    })
  }

  write(write: ViewWrite): Observable<never> {
    return this.run(`writing view ${write.view}`, async (client) => {
      const [row] = await client.query<PartRow>(readPart, [write.view, write.part])
      const held = this.held.get(nameOf(write))
      if (
        held === undefined ||
        row === undefined ||
        Number(row.fence) !== held.fence ||
        held.generation !== write.generation
      )
        throw refused(write, row)
      held.made++
      await putRows(client, write, held.fence + 2 * held.made)
      const { view, part, sequence, at } = write
      const isDone = await client.compare(finish, [sequence, at, Number(row.writes) + 1, view, part, held.fence])
      if (!isDone) throw refused(write, (await client.query<PartRow>(readPart, [view, part]))[0])
    }).pipe(ignoreElements())
  }

  read(view: string, known?: string): Observable<ViewContent> {
    return this.run(`reading view ${view}`, async (client) => {
      const parts = await client.query<PartRow>('SELECT * FROM weir_view_parts WHERE view_name = ?', [view])
      // A claim changes nothing of what is shown, and comes every few seconds. Writes of a log that was cut count again.
      const tag = JSON.stringify(parts.map(({ part, writes, at }) => [part, String(writes), String(at)]))
      if (tag === known) return undefined
      const tables = new Map<string, Map<string, unknown>>()
      for (const { part } of parts) await readTables(client, [view, part], tables)
      const at = Math.max(0, ...parts.map((row) => Number(row.at ?? 0)))
      return { tag, at, isWhole: parts.some(({ sequence }) => sequence !== null), tables }
    }).pipe(filter((content) => content !== undefined))
  }

  /** The fence of the claim; undefined when somebody else was faster. */
  private async take(client: CassandraClient, claim: ViewClaim, row: PartRow | undefined): Promise<number | undefined> {
    const { view, part, generation } = claim
    // Tables that were thrown away begin behind all that they had.
    const fence = Math.max(this.clock.now() * 1_000, Number(row?.fence ?? 0) + claimAhead)
    const isTaken =
      row === undefined
        ? await client.compare(firstClaim, [view, part, generation, fence])
        : await client.compare(nextClaim, [generation, fence, view, part, row.fence])
    return isTaken ? fence : undefined
  }

  private run<T>(doing: string, work: (client: CassandraClient) => Promise<T>): Observable<T> {
    return this.connection
      .run(work)
      .pipe(
        catchError((error: unknown) =>
          throwError(() => this.connection.faults.as(error, doing, 'WEIR_SINK_UNREACHABLE', 'WEIR_SINK_UNREACHABLE')),
        ),
      )
  }
}

/** What was there goes at `order`, so that all that is written stays. */
async function putRows(client: CassandraClient, { view, part, replaces, rows, removed }: ViewWrite, order: number) {
  if (replaces) await client.write([{ query: deleteRows, params: [order, view, part] }])
  const statements = [
    ...removed.map(({ table, key }) => ({ query: deleteRow, params: [order + 1, view, part, table, key] })),
    ...rows.map(({ table, key, value }) => ({
      query: insertRow,
      params: [view, part, table, key, JSON.stringify(value), order + 1],
    })),
  ]
  const batches$ = from([...batchesOf(statements)])
  await lastValueFrom(batches$.pipe(mergeMap((batch) => client.write(batch), batchesAtOnce)), {
    defaultValue: undefined,
  })
}

function* batchesOf(statements: readonly Statement[]): Generator<readonly Statement[]> {
  let batch: Statement[] = []
  let characters = 0
  for (const statement of statements) {
    batch.push(statement)
    for (const param of statement.params) if (typeof param === 'string') characters += param.length
    if (batch.length < mostPerBatch.rows && characters < mostPerBatch.characters) continue
    yield batch
    batch = []
    characters = 0
  }
  if (batch.length > 0) yield batch
}

async function readTables(
  client: CassandraClient,
  place: readonly [view: string, part: string],
  tables: Map<string, Map<string, unknown>>,
): Promise<void> {
  const rows = await client.query<KeyRow>(
    'SELECT tbl, key, value FROM weir_view_rows WHERE view_name = ? AND part = ?',
    place,
  )
  for (const { tbl, key, value } of rows) putRow(tables, { table: tbl, key, value: JSON.parse(value) })
}

function refused(claim: ViewClaim, row: PartRow | undefined) {
  return refusedError(claim, row === undefined ? undefined : Number(row.generation))
}

function nameOf({ view, part }: ViewClaim): string {
  return JSON.stringify([view, part])
}
