import { styleText } from 'node:util'
import { printable, printableLine } from '../model/index.js'
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

const gap = '   '

/** Rows of text from anywhere as aligned columns. @param most How wide the table may be: its widest column gives way. */
export function table(given: readonly (readonly string[])[], most = Number.POSITIVE_INFINITY): string[] {
  const rows = given.map((row) => row.map(printableLine))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const width = widths.reduce((sum, each) => sum + each + gap.length, -gap.length)
  const widest = widths.indexOf(Math.max(...widths))
  if (width > most) widths[widest] = Math.max(narrowest, (widths[widest] ?? 0) - (width - most))
  return rows.map((row) =>
    row
      .map((cell, column) => shortened(cell, widths[column] ?? 0).padEnd(widths[column] ?? 0))
      .join(gap)
      .trimEnd(),
  )
}

/** No column gives way beyond this. */
const narrowest = 12

/** Both ends of a text: names differ at either. */
function shortened(text: string, length: number): string {
  if (text.length <= length) return text
  const end = Math.floor((length - 1) / 2)
  return `${text.slice(0, length - 1 - end)}…${text.slice(text.length - end)}`
}

/** JSON that a terminal shows and does not obey: read, it is the same. @param indent 0 for one line. */
export function shownJson(value: unknown, indent = 2): string {
  return printable(JSON.stringify(value, undefined, indent))
}

/** `1.2 MB` */
export function bytesText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return `${power === 0 ? bytes : (bytes / 1_000 ** power).toFixed(1)} ${units[power]}`
}

const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const
