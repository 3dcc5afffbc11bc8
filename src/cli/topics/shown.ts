import type { SchemaRegistry } from '../../codecs/schema-registry.js'
import type { Message } from '../../kafka/client.js'
import { isTimestamp, place, printable, printableLine, timeText } from '../../model/index.js'
import { decodedLine } from '../decode.js'
import type { Paint } from '../paint.js'
import { headerEntries, textOrHex } from '../record-text.js'
import { countText } from '../stored.js'

export interface ShownOptions {
  readonly json?: boolean
  readonly full?: boolean
}

/** How many characters of a value, and of a key, a line has. */
const [mostOfValue, mostOfKey] = [500, 100]

/** Writes records down, each on a line of its own: for people, or as JSON. */
export type Show = (message: Message, registry: SchemaRegistry | undefined) => Promise<string>

export function showing({ json = false, full = false }: ShownOptions, paint: Paint): Show {
  return json ? asJson : (message, registry) => asLine(message, registry, { full, paint })
}

async function asLine(
  message: Message,
  registry: SchemaRegistry | undefined,
  { full, paint }: { readonly full: boolean; readonly paint: Paint },
): Promise<string> {
  const { key, value, timestamp = -1 } = message
  const { format, text, note } = await decodedLine(value, registry)
  const shownKey = key === null || key === undefined ? '–' : shownPart(textOrHex(key), full ? undefined : mostOfKey)
  const shownValue =
    format === 'null' ? paint('dim', 'null') : shownPart(text, full ? undefined : mostOfValue, value?.length)
  return [
    paint('dim', place(message)),
    paint('dim', timeOf(timestamp)),
    paint('cyan', shownKey),
    shownValue,
    ...(note === undefined ? [] : [paint('yellow', `(${printableLine(note)})`)]),
  ].join('  ')
}

/** On one line, and no longer than that. @param bytes How many there are of it, where that is told. */
function shownPart(text: string, most: number | undefined, bytes?: number): string {
  if (most === undefined || text.length <= most) return printableLine(text)
  const size = bytes === undefined ? '' : ` (${countText(bytes, 'byte')}: --full shows all)`
  return `${printableLine(text.slice(0, most))}…${size}`
}

async function asJson(message: Message, registry: SchemaRegistry | undefined): Promise<string> {
  const { topic, partition, offset, key, value, timestamp = -1, headers } = message
  const { format, text, note } = await decodedLine(value, registry)
  const isJson = format === 'JSON' || format === 'Avro' || format === 'null'
  const told = {
    topic,
    partition,
    offset,
    time: isTimestamp(timestamp) ? timeText(timestamp) : null,
    key: key === null || key === undefined ? null : textOrHex(key),
    headers: headerEntries(headers),
    format,
    bytes: value?.length ?? 0,
    note,
  }
  // The value as it was written: parsed, some numbers would be others.
  return printable(`${JSON.stringify(told).slice(0, -1)},"value":${isJson ? text : JSON.stringify(text)}}`)
}

/** `–` where the record has none. */
export function timeOf(timestamp: number): string {
  return isTimestamp(timestamp) ? timeText(timestamp) : '–'
}
