import type { Batch, StreamRecord } from '../model/index.js'

/** A row to write: what each column gets. A column that is undefined is left to its default, or as it was. */
export type Row = Readonly<Record<string, unknown>>

/** The columns that a row has a value for. */
export function shapeOf(row: Row): string[] {
  return Object.keys(row).filter((name) => row[name] !== undefined)
}

/** A row on its way to the table, with where to find what made it, so that it can be rejected. */
export class PendingRow {
  constructor(
    readonly row: Row,
    private readonly members: Pick<Batch, 'record'>,
    private readonly index: number,
    /** The rows that this one was merged from, oldest first. */
    readonly merged?: readonly PendingRow[],
  ) {}

  get record(): StreamRecord {
    return this.members.record(this.index)
  }

  /** The same with what its fields are now. Errors with what one of them throws when it is read. */
  settled(): PendingRow {
    return new PendingRow({ ...this.row }, this.members, this.index, this.merged)
  }

  /** The one row that leaves the table as both would, one after the other. */
  mergedWith(later: PendingRow): PendingRow {
    const changes = Object.entries(later.row).filter(([, value]) => value !== undefined)
    const row = { ...this.row, ...Object.fromEntries(changes) }
    return new PendingRow(row, later.members, later.index, [...(this.merged ?? [this]), later])
  }
}

/**
 * Makes of upserts that follow each other one for each key: one statement can't replace a row twice. The last value of
 * a column wins, as if each had been written alone.
 */
export function mergeByKey(rows: readonly PendingRow[], key: readonly string[]): readonly PendingRow[] {
  const byKey = new Map<string | PendingRow, PendingRow>()
  for (const pending of rows) {
    const id = keyOf(pending.row, key) ?? pending
    const earlier = byKey.get(id)
    byKey.set(id, earlier?.mergedWith(pending) ?? pending)
  }
  return byKey.size === rows.length ? rows : [...byKey.values()]
}

/** Splits rows by the columns that they have: a statement has one list of columns. */
export function byShape(rows: readonly PendingRow[]): readonly (readonly PendingRow[])[] {
  const groups = new Map<string, PendingRow[]>()
  let shape: readonly string[] | undefined
  let group: PendingRow[] = []
  for (const pending of rows) {
    if (shape === undefined || !hasShape(pending.row, shape)) {
      shape = shapeOf(pending.row)
      const name = JSON.stringify(shape)
      group = groups.get(name) ?? []
      groups.set(name, group)
    }
    group.push(pending)
  }
  return [...groups.values()]
}

/** Nearly every row looks like the one before it, and this tells without making anything. */
function hasShape(row: Row, shape: readonly string[]): boolean {
  let index = 0
  for (const name in row) if (name !== shape[index++] || row[name] === undefined) return false
  return index === shape.length
}

/** Undefined when a part of the key is null: such rows are all different to the database. */
function keyOf(row: Row, key: readonly string[]): string | undefined {
  const parts = key.map((name) => row[name])
  if (parts.some((part) => part === null || part === undefined)) return undefined
  try {
    return JSON.stringify(parts.map((part) => (hasNoJson(part) ? String(part) : part)))
  } catch {
    // No key of any row that can be written: what writes it tells so.
    return undefined
  }
}

/** NaN and the infinities JSON would all take for null, and so for one key. */
function hasNoJson(part: unknown): boolean {
  return typeof part === 'bigint' || (typeof part === 'number' && !Number.isFinite(part))
}
