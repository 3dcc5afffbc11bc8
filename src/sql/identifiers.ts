/** How a database quotes names. */
export interface Quoting {
  /** A name as it is spelled in the catalog, quoted. */
  quoted(name: string): string
  /** `table`, `schema.table`, or parts quoted already (`"a.b".c`), with every part quoted. */
  quotedTable(table: string): string
}

export function quoting(mark: '"' | '`'): Quoting {
  const parts = new RegExp(`${mark}(?:[^${mark}]|${mark}${mark})+${mark}|[^.${mark}]+`, 'g')
  const quoted = (name: string) => `${mark}${name.replaceAll(mark, mark + mark)}${mark}`
  const quotedTable = (table: string) =>
    (table.match(parts) ?? []).map((part) => (part.startsWith(mark) ? part : quoted(part))).join('.')
  return { quoted, quotedTable }
}
