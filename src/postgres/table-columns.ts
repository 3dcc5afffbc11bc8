import type { ClientBase } from 'pg'
import { quotedTable } from './identifiers.js'

export interface Column {
  readonly name: string
  /** As a cast names it, without length or precision: a cast to `varchar(3)` would cut in silence. */
  readonly type: string
  readonly isArray: boolean
  readonly isJson: boolean
  readonly isTimeOfDay: boolean
  /** Computed of others: nobody may give it a value. */
  readonly isGenerated: boolean
  /** Numbered by the database, which takes other values only where it is told to. */
  readonly isNumbered: boolean
}

const query = `
  SELECT a.attname AS name, format_type(a.atttypid, -1) AS type, b.typcategory = 'A' AS "isArray",
    b.typname IN ('json', 'jsonb') AS "isJson", b.typname IN ('time', 'timetz') AS "isTimeOfDay",
    a.attgenerated <> '' AS "isGenerated", a.attidentity = 'a' AS "isNumbered"
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
  WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum`

/** The columns of a table, by name. Errors: 42P01 when there is no such table. */
export async function readColumns(client: ClientBase, table: string): Promise<ReadonlyMap<string, Column>> {
  const { rows } = await client.query<Column>(query, [quotedTable(table)])
  return new Map(rows.map((column) => [column.name, column]))
}

export interface Relation {
  /** The type of its rows, as a cast names it. */
  readonly rowType: string
  /** Whether rows may come by COPY: not where the database looks at each for this user, nor into a view. */
  readonly takesCopy: boolean
}

/** Errors: 42P01 when there is no such table. */
export async function readRelation(client: ClientBase, table: string): Promise<Relation> {
  const query = `SELECT reltype::regtype::text AS "rowType", relkind IN ('r', 'p') AND NOT row_security_active(oid) AS "takesCopy"
    FROM pg_class WHERE oid = $1::regclass`
  const { rows } = await client.query<Relation>(query, [quotedTable(table)])
  return rows[0] as Relation
}
