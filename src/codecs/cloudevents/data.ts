import { z } from 'zod'
import { type BigIntegers, messageOf, parseJson, usualDepth } from '../../model/index.js'
import { utf8Text } from '../utf8.js'
import { base64Bytes } from './base64.js'
import type { EventDraft } from './draft.js'
import { shown } from './error.js'
import { JsonCursor, JsonToken } from './json-cursor.js'
import { type MediaType, mediaTypeOf } from './media-type.js'

export interface DataOptions {
  readonly data: 'parsed' | 'raw'
  readonly depth: number
  readonly bigIntegers: BigIntegers
}

/** What stages that read events can be told of their data. */
export const dataOptions = {
  data: z
    .enum(['parsed', 'raw'])
    .default('parsed')
    .describe('Whether data that is JSON is parsed, or stays the text that it is.'),
  depth: z.int().min(1).default(usualDepth).describe('How deep arrays and objects may nest in the data.'),
  bigIntegers: z
    .enum(['reject', 'bigint', 'text'])
    .default('reject')
    .describe('What becomes of integers in parsed data that a number would alter, most of those beyond 2^53.'),
}

const json: MediaType = { kind: 'json', isUtf8: true }

/** The media type of data; of data in a JSON event, what does not say it is JSON. */
export function mediaTypeOfData(datacontenttype: string | undefined): MediaType {
  return (datacontenttype === undefined ? undefined : mediaTypeOf(datacontenttype)) ?? json
}

/** Reads the data of events by its media type, the same in whichever mode it comes. What is wrong with it goes to the draft. */
export class DataReader {
  private last: string | undefined
  private lastType = json

  constructor(private readonly options: DataOptions) {}

  /** Whether JSON stays the text that it is. */
  get isRaw(): boolean {
    return this.options.data === 'raw'
  }

  /** Data as the JSON text that a member of an event is. */
  fromJson(text: string, draft: EventDraft): unknown {
    if (this.typeOf(draft).kind === 'json') return this.json(text, draft)
    if (text.startsWith('"')) return JSON.parse(text)
    draft.fault('data', `expected a text, for its media type is not JSON, got ${shown(new JsonToken(text))}`)
    return undefined
  }

  fromBase64(text: string, draft: EventDraft): unknown {
    const bytes = base64Bytes(text)
    if (bytes === undefined) draft.fault('data_base64', `expected base64, got ${shown(text)}`)
    return bytes === undefined ? undefined : this.fromBytes(bytes, draft)
  }

  /** Data as its bytes. Without a media type it stays bytes. */
  fromBytes(bytes: Buffer, draft: EventDraft): unknown {
    if (draft.datacontenttype === undefined) return bytes
    const { kind, isUtf8 } = this.typeOf(draft)
    if (kind === 'bytes') return bytes
    const text = kind === 'json' || isUtf8 ? utf8Text(bytes) : undefined
    if (kind === 'text') return text ?? bytes
    if (text !== undefined) return this.checkedJson(bytes, text, draft)
    draft.fault('data', 'expected JSON, but it is no UTF-8')
    return undefined
  }

  private typeOf({ datacontenttype }: EventDraft): MediaType {
    if (datacontenttype !== this.last) {
      this.last = datacontenttype
      this.lastType = mediaTypeOfData(datacontenttype)
    }
    return this.lastType
  }

  private checkedJson(bytes: Buffer, text: string, draft: EventDraft): unknown {
    try {
      return this.json(jsonOf(bytes, text, this.options.depth), draft)
    } catch (error) {
      draft.fault('data', `expected JSON: ${messageOf(error)}`)
      return undefined
    }
  }

  /** The text is known to be JSON, and to nest no deeper than it may. */
  private json(text: string, draft: EventDraft): unknown {
    if (this.isRaw) return text
    try {
      return parseJson(text, { depth: false, bigIntegers: this.options.bigIntegers })
    } catch (error) {
      draft.fault('data', messageOf(error))
      return undefined
    }
  }
}

/** The one value that a text is, without what white space is around it. Errors: SyntaxError. */
export function jsonOf(bytes: Buffer, text: string, depth: number): string {
  const cursor = new JsonCursor(bytes, text, depth)
  const value = cursor.value()
  cursor.end()
  return value
}
