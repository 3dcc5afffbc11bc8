const parts = /"(?:[^"]|"")+"|[^."]+/g

/** A name as it is spelled in the catalog, quoted. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `table`, `schema.table`, or parts quoted already (`"a.b".c`), with every part quoted. */
export function quotedTable(table: string): string {
  return (table.match(parts) ?? []).map((part) => (part.startsWith('"') ? part : quoted(part))).join('.')
}
