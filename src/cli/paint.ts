import { styleText } from 'node:util'
import { printableLine } from '../model/index.js'
import type { Io, Output } from './io.js'

type Style = Parameters<typeof styleText>[0]

/** Colours text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

/** Colours for a terminal that wants them (see no-color.org). */
export function painter({ isTTY }: Output, { env }: Io): Paint {
  return isTTY && !env['NO_COLOR'] ? colored : (_, text) => text
}

/** Whether this stream wants colours was asked already; left to itself, `styleText` asks `process.stdout`. */
function colored(style: Style, text: string): string {
  return styleText(style, text, { validateStream: false })
}

/** Rows of text from anywhere as aligned columns. */
export function table(given: readonly (readonly string[])[]): string[] {
  const rows = given.map((row) => row.map(printableLine))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  )
}
