import type { SchemaRegistry } from '../../codecs/schema-registry.js'
import { headerBytes } from '../../codecs/wire-format.js'
import type { Message } from '../../kafka/client.js'
import { decodedLine } from '../decode.js'
import type { Range } from './range.js'

export interface FilterOptions {
  readonly key?: string
  readonly grep?: string
}

/** Which records are meant. */
export type RecordFilter = (message: Message, registry: SchemaRegistry | undefined) => boolean | Promise<boolean>

/** By time, by the text or `0x…` of the key, and by a text that is in the value, as it lies there or decoded. */
export function recordFilter(
  { key, grep }: FilterOptions,
  { since, until }: Pick<Range, 'since' | 'until'>,
): RecordFilter {
  const wanted = key === undefined ? undefined : keysOf(key)
  return (message, registry) => {
    const { timestamp = -1, value } = message
    if ((since !== undefined && timestamp < since) || (until !== undefined && timestamp >= until)) return false
    if (wanted !== undefined && !isKey(message.key, wanted)) return false
    return grep === undefined || has(value, grep, registry)
  }
}

/** What a key may be that looks like bytes in hex. */
function keysOf(text: string): readonly Buffer[] {
  const bytes = /^0x([\da-f]{2})+$/i.test(text) ? [Buffer.from(text.slice(2), 'hex')] : []
  return [Buffer.from(text), ...bytes]
}

function isKey(key: Message['key'], wanted: readonly Buffer[]): boolean {
  if (key === null || key === undefined) return false
  const bytes = typeof key === 'string' ? Buffer.from(key) : key
  return wanted.some((one) => one.equals(bytes))
}

function has(value: Buffer | null, text: string, registry: SchemaRegistry | undefined): boolean | Promise<boolean> {
  if (value === null) return false
  if (value.includes(text)) return true
  if (value[0] !== 0 || value.length < headerBytes || registry === undefined) return false
  return decodedLine(value, registry).then((shown) => shown.text.includes(text))
}
