import type { DataReader } from './data.js'
import { EventDraft } from './draft.js'
import { CloudEventError, shown } from './error.js'
import type { CloudEvent } from './event.js'
import { closeObject, comma, type JsonCursor, JsonToken, openObject, quote } from './json-cursor.js'
import type { Name, Names } from './names.js'

const integer = /^-?\d+$/

/**
 * Reads the event that comes next in a JSON text, and goes past it. Its data is not parsed on the way.
 * Errors: `CloudEventError` when the JSON is no event, SyntaxError when it is no JSON, with the cursor anywhere then.
 */
export function readStructured(cursor: JsonCursor, names: Names, reader: DataReader): CloudEvent {
  if (cursor.peek() !== openObject) throw noObject(cursor.value())
  const draft = new EventDraft()
  let data: string | undefined
  let base64: string | null | undefined
  cursor.expect(openObject)
  if (!cursor.takes(closeObject)) {
    do {
      const name = names.read(cursor)
      if (name.text === 'data') {
        if (data !== undefined) draft.fault('data', 'it is given twice')
        data = cursor.value(reader.isRaw && cursor.copies)
      } else if (name.text === 'data_base64') {
        if (base64 !== undefined) draft.fault('data_base64', 'it is given twice')
        base64 = base64Of(cursor, draft)
      } else readAttribute(name, cursor, draft)
    } while (cursor.takes(comma))
    cursor.expect(closeObject)
  }
  return draft.finish(dataOf(data, base64 ?? undefined, draft, reader))
}

function dataOf(data: string | undefined, base64: string | undefined, draft: EventDraft, reader: DataReader): unknown {
  if (data !== undefined && base64 !== undefined)
    draft.fault('data_base64', 'it stands beside data: only one may be there')
  if (data !== undefined) return reader.fromJson(data, draft)
  return base64 === undefined ? undefined : reader.fromBase64(base64, draft)
}

function readAttribute({ text: name, values }: Name, cursor: JsonCursor, draft: EventDraft): void {
  if (cursor.peek() !== quote) return draft.set(name, valueOf(cursor.value()))
  const known = values?.read(cursor)
  if (known !== undefined) return draft.set(name, known, 'held')
  const text = cursor.string()
  const { isPlain } = cursor
  draft.set(name, text, isPlain ? 'plain' : 'nothing')
  if (isPlain && draft.isSound) values?.learn(text)
}

/** What JSON other than a text is as an attribute. */
function valueOf(json: string): unknown {
  if (json === 'null') return null
  if (json === 'true' || json === 'false') return json === 'true'
  // The sum is for a zero below zero.
  return integer.test(json) ? Number(json) + 0 : new JsonToken(json)
}

function base64Of(cursor: JsonCursor, draft: EventDraft): string | null {
  if (cursor.peek() === quote) return cursor.string()
  const json = cursor.value()
  if (json !== 'null') draft.fault('data_base64', `expected base64, got ${shown(new JsonToken(json))}`)
  return null
}

function noObject(json: string): CloudEventError {
  return new CloudEventError([{ path: '', message: `expected an object, got ${shown(new JsonToken(json))}` }])
}
