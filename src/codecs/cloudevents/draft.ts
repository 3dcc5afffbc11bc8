import { CloudEventError, type CloudEventFault, shown } from './error.js'
import type { CloudEvent, Extension } from './event.js'
import { mediaTypeOf } from './media-type.js'
import { isAllowed } from './text.js'
import { isTimestamp } from './timestamp.js'
import { isAbsoluteUri, isUriReference } from './uri.js'

/** What has come of an attribute: nothing yet, that it is unset, or a text. */
type Given = string | null | undefined

/** What the text of an attribute has to be. */
interface Rule {
  readonly expected: string
  /** A plain text is one of printable ASCII. */
  holds(text: string, isPlain: boolean): boolean
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

const filled: Rule = {
  expected: 'a text that is not empty, without control characters, noncharacters and halves of surrogate pairs',
  holds: (text, isPlain) => text !== '' && (isPlain || isAllowed(text)),
}
const rules = {
  source: {
    expected: 'a URI-reference that is not empty',
    holds: remembering((text) => text !== '' && isUriReference(text)),
  },
  specversion: { expected: '"1.0", for no other version is read', holds: (text) => text === '1.0' },
  time: { expected: 'a date and time by RFC 3339, with its offset', holds: isTimestamp },
  datacontenttype: { expected: 'a media type', holds: remembering((text) => mediaTypeOf(text) !== undefined) },
  dataschema: { expected: 'an absolute URI, without a fragment', holds: remembering(isAbsoluteUri) },
} satisfies Record<string, Rule>

const names = new Set(['id', 'source', 'specversion', 'type', 'subject', 'time', 'datacontenttype', 'dataschema'])
const nameOfExtension = /^[a-z\d]+$/

/** Whether the specification has an attribute of that name. */
export function isAttribute(name: string): boolean {
  return names.has(name)
}

/** An event while its attributes come in. Each is checked, and what is wrong is told at the end, all at once. */
export class EventDraft {
  private faults: CloudEventFault[] | undefined = undefined
  private id: Given = undefined
  private source: Given = undefined
  private specversion: Given = undefined
  private type: Given = undefined
  private subject: Given = undefined
  private time: Given = undefined
  private contentType: Given = undefined
  private dataschema: Given = undefined
  private readonly extensions: Record<string, Extension> = {}
  private unset: Set<string> | undefined = undefined

  /** The media type of the data, where it is told and is one. */
  get datacontenttype(): string | undefined {
    return this.contentType ?? undefined
  }

  /** Takes an attribute; null says that it is not set. */
  set(name: string, value: unknown, isPlain = false): void {
    switch (name) {
      case 'id':
        this.id = this.checked(name, this.id, value, filled, isPlain)
        break
      case 'source':
        this.source = this.checked(name, this.source, value, rules.source)
        break
      case 'specversion':
        this.specversion = this.checked(name, this.specversion, value, rules.specversion)
        break
      case 'type':
        this.type = this.checked(name, this.type, value, filled, isPlain)
        break
      case 'subject':
        this.subject = this.checked(name, this.subject, value, filled, isPlain)
        break
      case 'time':
        this.time = this.checked(name, this.time, value, rules.time)
        break
      case 'datacontenttype':
        this.contentType = this.checked(name, this.contentType, value, rules.datacontenttype)
        break
      case 'dataschema':
        this.dataschema = this.checked(name, this.dataschema, value, rules.dataschema)
        break
      default:
        this.extend(name, value, isPlain)
    }
  }

  /** Takes an extension; null says that it is not set. */
  extend(name: string, value: unknown, isPlain = false): void {
    if (!nameOfExtension.test(name)) {
      this.fault('', `${shown(name)} can't name an attribute: expected letters from a to z and digits`)
    } else if (name === 'data' || isAttribute(name)) this.fault(name, 'no extension may have this name')
    else if (Object.hasOwn(this.extensions, name) || this.unset?.has(name) === true)
      this.fault(name, 'it is given twice')
    else if (value === null) {
      this.unset ??= new Set()
      this.unset.add(name)
    } else if (isExtension(value, isPlain)) this.extensions[name] = value
    else
      this.fault(name, `expected a boolean, an integer of 32 bits or a text of allowed characters, got ${shown(value)}`)
  }

  fault(path: string, message: string): void {
    this.faults ??= []
    this.faults.push({ path, message })
  }

  /** The event, with this data where it is not undefined. Errors: `CloudEventError`. */
  finish(data: unknown, doing?: 'reading' | 'writing', hint?: string): CloudEvent {
    const id = this.required('id')
    const source = this.required('source')
    this.required('specversion')
    const type = this.required('type')
    if (this.faults !== undefined) throw new CloudEventError(this.faults, doing, hint)
    const event = { id, source, specversion: '1.0', type } as Mutable<CloudEvent>
    const { subject, time, contentType, dataschema } = this
    if (typeof subject === 'string') event.subject = subject
    if (typeof time === 'string') event.time = time
    if (typeof contentType === 'string') event.datacontenttype = contentType
    if (typeof dataschema === 'string') event.dataschema = dataschema
    event.extensions = this.extensions
    if (data !== undefined) event.data = data
    return event
  }

  private required(name: 'id' | 'source' | 'specversion' | 'type'): string {
    const value = this[name]
    if (typeof value === 'string') return value
    this.fault(name, 'it is missing')
    return ''
  }

  private checked(name: string, before: Given, value: unknown, rule: Rule, isPlain = false): string | null {
    if (before !== undefined) this.fault(name, 'it is given twice')
    else if (value === null) return null
    else if (typeof value === 'string' && rule.holds(value, isPlain)) return value
    else this.fault(name, `expected ${rule.expected}, got ${shown(value)}`)
    return before ?? ''
  }
}

function isExtension(value: unknown, isPlain: boolean): value is Extension {
  if (typeof value === 'string') return isPlain || isAllowed(value)
  return typeof value === 'boolean' || (typeof value === 'number' && (value | 0) === value)
}

/** The same check, which knows the text again that held last: the events of a stream share a source, a type, a schema. */
function remembering(check: (text: string) => boolean): (text: string) => boolean {
  let last: string | undefined
  return (text) => {
    if (text === last) return true
    if (!check(text)) return false
    last = text
    return true
  }
}
