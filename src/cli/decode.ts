import { firstValueFrom } from 'rxjs'
import { avroReader } from '../codecs/avro/values.js'
import { decodeJson } from '../codecs/json.js'
import type { SchemaRegistry } from '../codecs/schema-registry.js'
import { utf8Text } from '../codecs/utf8.js'
import { headerBytes, schemaIdOf } from '../codecs/wire-format.js'
import { jsonText, messageOf } from '../model/index.js'

/** A value as people read it. */
export interface Decoded {
  readonly format: 'null' | 'JSON' | 'Avro' | 'text' | 'bytes'
  readonly text: string
  /** Why it is shown as bytes. */
  readonly note?: string
}

/** How a value is written down. */
interface Layout {
  /** @param text As it was read; none where it was no text. */
  json(value: unknown, text: string | undefined): string
  bytes(bytes: Buffer): string
}

const anyNumbers = { bigIntegers: 'bigint', depth: 2_000 } as const

const indented: Layout = { json: indentedJson, bytes: hexLines }
const compact: Layout = {
  json: (value, text) => (text === undefined ? (jsonText(value) ?? '') : withoutSpace(text)),
  bytes: (bytes) => `0x${bytes.toString('hex')}`,
}

/** Reads a value by the schema of a registry that it names, or as JSON, or as text; and shows bytes where it is none. */
export function decoded(value: Buffer | null, registry: SchemaRegistry | undefined): Promise<Decoded> {
  return laidOut(value, registry, indented)
}

/** The same, JSON on one line and with its numbers as they are, and bytes as one number in hex. */
export function decodedLine(value: Buffer | null, registry: SchemaRegistry | undefined): Promise<Decoded> {
  return laidOut(value, registry, compact)
}

async function laidOut(value: Buffer | null, registry: SchemaRegistry | undefined, layout: Layout): Promise<Decoded> {
  if (value === null) return { format: 'null', text: 'null' }
  if (value[0] === 0 && value.length >= headerBytes) return registered(value, registry, layout)
  const text = utf8Text(value)
  if (text === undefined) return { format: 'bytes', text: layout.bytes(value) }
  try {
    return { format: 'JSON', text: layout.json(decodeJson(value, anyNumbers), text) }
  } catch {
    return { format: 'text', text }
  }
}

async function registered(value: Buffer, registry: SchemaRegistry | undefined, layout: Layout): Promise<Decoded> {
  const id = schemaIdOf(value)
  const bytes = (note: string): Decoded => ({
    format: 'bytes',
    text: layout.bytes(value),
    note: `schema ${id}: ${note}`,
  })
  if (registry === undefined) return bytes('name its registry with --registry, or SCHEMA_REGISTRY_URL')
  try {
    const { type, schema } = await firstValueFrom(registry.schema(id))
    if (type === 'AVRO') return { format: 'Avro', text: layout.json(avroReader(schema, undefined)(value), undefined) }
    const body = value.subarray(headerBytes)
    if (type === 'JSON') return { format: 'JSON', text: layout.json(decodeJson(body, anyNumbers), String(body)) }
    return bytes(`it is of type ${type}`)
  } catch (error) {
    return bytes(messageOf(error))
  }
}

/** As it was, where numbers would change. */
function indentedJson(value: unknown, text: string | undefined): string {
  try {
    return JSON.stringify(value, undefined, 2)
  } catch {
    return text ?? jsonText(value) ?? ''
  }
}

/** Texts as they are, and the space between. */
const textOrSpace = /"[^"\\]*(?:\\.[^"\\]*)*"|\s+/g

/** JSON without what may stand between its words. */
function withoutSpace(json: string): string {
  const text = json.charCodeAt(0) === 0xfeff ? json.slice(1) : json
  return text.replace(textOrSpace, (found) => (found.startsWith('"') ? found : ''))
}

const hexWidth = 16
const mostHex = 4_096

/** 16 bytes a line: the offset, the bytes, and what of them is ASCII. */
function hexLines(bytes: Buffer): string {
  const lines: string[] = []
  for (let at = 0; at < Math.min(bytes.length, mostHex); at += hexWidth) {
    const row = bytes.subarray(at, at + hexWidth)
    const hex = row.toString('hex').replace(/(..)(?=.)/g, '$1 ')
    const ascii = row.toString('latin1').replace(/[^\x20-\x7e]/g, '.')
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(hexWidth * 3 - 1)}  ${ascii}`)
  }
  if (bytes.length > mostHex) lines.push(`… ${(bytes.length - mostHex).toLocaleString('en')} bytes more`)
  return lines.join('\n')
}
