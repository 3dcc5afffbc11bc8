import { type Header, isPlainObject, jsonOf as jsonTextOf, messageOf, wellFormed } from '../../model/index.js'
import { jsonOf, mediaTypeOfData } from './data.js'
import { EventDraft, isAttribute } from './draft.js'
import { CloudEventError, shown } from './error.js'
import type { CloudEvent } from './event.js'

/** An event as it goes into a Kafka record. */
export interface Written {
  readonly value: Buffer | null
  readonly headers: readonly Header[]
}

/** Data in one of the forms in which it is written. */
interface WrittenData {
  readonly form: 'json' | 'text' | 'bytes'
  readonly value: string | Buffer
}

const structuredHeaders: readonly Header[] = [{ 'content-type': 'application/cloudevents+json' }]

/** Writes events. Text for JSON is that JSON where data is raw. Errors: `CloudEventError` with all that is wrong with one. */
export class EventWriter {
  constructor(
    private readonly options: {
      readonly mode: 'structured' | 'binary'
      readonly data: 'parsed' | 'raw'
      readonly depth: number
    },
  ) {}

  write(given: unknown): Written {
    const draft = draftOf(given)
    const data = this.dataOf((given as CloudEvent).data, draft)
    const event = draft.finish(undefined, 'writing')
    return this.options.mode === 'binary' ? binary(event, data) : structured(event, data)
  }

  private dataOf(data: unknown, draft: EventDraft): WrittenData | undefined {
    if (data === undefined) return undefined
    if (data instanceof Uint8Array)
      return { form: 'bytes', value: Buffer.from(data.buffer, data.byteOffset, data.byteLength) }
    const { kind, isUtf8 } = mediaTypeOfData(draft.datacontenttype)
    if (kind === 'json') return this.jsonOf(data, draft)
    const form = 'text'
    if (typeof data !== 'string') draft.fault('data', `expected text or bytes for its media type, got ${shown(data)}`)
    else if (this.options.mode === 'structured') return { form, value: data }
    else if (!isUtf8) draft.fault('data', 'expected bytes for its media type, which is of another charset than UTF-8')
    else if (!data.isWellFormed()) draft.fault('data', 'text with half of a surrogate pair has no UTF-8')
    else return { form, value: data }
    return undefined
  }

  private jsonOf(data: unknown, draft: EventDraft): WrittenData | undefined {
    const { data: form, depth } = this.options
    try {
      if (form === 'parsed') return { form: 'json', value: jsonTextOf(data) }
      if (typeof data === 'string') return { form: 'json', value: jsonOf(Buffer.from(wellFormed(data)), data, depth) }
      draft.fault('data', `expected JSON as text, for it is raw, got ${shown(data)}`)
    } catch (error) {
      draft.fault('data', `expected JSON: ${messageOf(error)}`)
    }
    return undefined
  }
}

/** The event as one JSON text. */
function structured({ extensions, ...attributes }: CloudEvent, data: WrittenData | undefined): Written {
  const envelope = JSON.stringify({ ...attributes, ...extensions })
  const text = data === undefined ? envelope : `${envelope.slice(0, -1)},${memberOf(data)}}`
  return { value: Buffer.from(text), headers: structuredHeaders }
}

function memberOf({ form, value }: WrittenData): string {
  if (form === 'json') return `"data":${value as string}`
  return form === 'text' ? `"data":${JSON.stringify(value)}` : `"data_base64":"${(value as Buffer).toString('base64')}"`
}

/** The data as it is, and all attributes as headers. */
function binary({ extensions, datacontenttype, ...attributes }: CloudEvent, data: WrittenData | undefined): Written {
  const headers: Header[] = Object.entries({ ...attributes, ...extensions }).map(([name, value]) => ({
    [`ce_${name}`]: String(value),
  }))
  // What is JSON in an event of JSON without saying so has to say so here.
  const contentType = datacontenttype ?? (data?.form === 'json' ? 'application/json' : undefined)
  if (contentType !== undefined) headers.push({ 'content-type': contentType })
  const value = data?.value ?? null
  return { value: typeof value === 'string' ? Buffer.from(value) : value, headers }
}

function draftOf(event: unknown): EventDraft {
  if (!isPlainObject(event))
    throw new CloudEventError([{ path: '', message: `expected an event, got ${shown(event)}` }], 'writing')
  const draft = new EventDraft()
  for (const [name, value] of Object.entries(event)) {
    if (value === undefined || name === 'data') continue
    if (name === 'extensions') addExtensions(value, draft)
    else if (isAttribute(name)) draft.set(name, value)
    else draft.fault(name, 'the specification has no such attribute: extensions go into `extensions`')
  }
  if (event['specversion'] === undefined) draft.set('specversion', '1.0')
  return draft
}

function addExtensions(extensions: unknown, draft: EventDraft): void {
  if (!isPlainObject(extensions)) return draft.fault('extensions', `expected an object, got ${shown(extensions)}`)
  for (const [name, value] of Object.entries(extensions)) {
    if (isAttribute(name)) draft.fault(name, 'it is an attribute of the specification, and no extension')
    else if (value !== undefined) draft.extend(name, value)
  }
}
