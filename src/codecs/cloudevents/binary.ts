import type { DataReader } from './data.js'
import { EventDraft } from './draft.js'
import type { CloudEvent } from './event.js'
import type { EventHeaders } from './headers.js'
import { mediaTypeOf } from './media-type.js'

const hint = 'An event that is JSON as a whole has the content type application/cloudevents+json.'

/**
 * Reads an event whose attributes are headers and whose data is all of the message: null is no data, and so is an empty
 * message where no media type says that it can be empty. Errors: `CloudEventError`.
 */
export function readBinary(value: Buffer | null, headers: EventHeaders, reader: DataReader): CloudEvent {
  const draft = new EventDraft()
  const given = new Map<string, string>()
  for (const { name, value, problem } of headers.attributes()) {
    if (problem !== undefined) draft.fault(name, problem)
    // A header that comes again is none the worse.
    else if (given.get(name) !== value) draft.set(name, value)
    given.set(name, value)
  }
  const data = value === null || isNone(value, draft) ? undefined : reader.fromBytes(value, draft)
  return draft.finish(data, 'reading', headers.isEvent ? undefined : hint)
}

function isNone(value: Buffer, { datacontenttype }: EventDraft): boolean {
  if (value.length > 0) return false
  return datacontenttype === undefined || mediaTypeOf(datacontenttype)?.kind === 'json'
}
