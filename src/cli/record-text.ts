import { plainText } from '../codecs/utf8.js'
import type { Message } from '../kafka/client.js'
import { printable, printableLine } from '../model/index.js'
import type { Paint } from './paint.js'
import { countText } from './stored.js'

/** A header as it is told. */
export interface HeaderEntry {
  readonly name: string
  readonly value: string | null
}

/** Bytes as the text that they are, or as hex. */
export function textOrHex(value: Buffer | string): string {
  return typeof value === 'string' ? value : (plainText(value) ?? `0x${value.toString('hex')}`)
}

/** Numbers of Spring's are bytes. */
export function headerEntries(headers: Message['headers']): readonly HeaderEntry[] {
  return (headers ?? []).flatMap((header) =>
    Object.entries(header as object).map(([name, value]: [string, Buffer | string | null]) => ({
      name,
      value: value === null ? null : textOrHex(value),
    })),
  )
}

/** One a line, and of each the first line. */
export function headerLines(headers: Message['headers']): string {
  return headerEntries(headers)
    .map(({ name, value }) => `${printableLine(name)}: ${printableLine(firstOf(value))}`)
    .join('\n')
}

function firstOf(text: string | null): string {
  if (text === null) return 'null'
  const [line = '', ...rest] = text.split('\n')
  return rest.length === 0 ? line : `${line} … ${countText(rest.length, 'line')} more`
}

/** A part of what is told of a record, under its name; nothing where there is none. */
export function part(name: string, text: string | undefined, paint: Paint): string[] {
  return text === undefined || text === '' ? [] : ['', paint('dim', name), printable(text)]
}
