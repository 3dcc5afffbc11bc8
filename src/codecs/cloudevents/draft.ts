import { CloudEventError, type CloudEventFault, shown } from './error.js'
import type { CloudEvent, Extension } from './event.js'
import { mediaTypeOf } from './media-type.js'
import { isAllowed } from './text.js'
import { isTimestamp } from './timestamp.js'
import { isAbsoluteUri, isUriReference } from './uri.js'

/** What has come of an attribute: nothing yet, that it is unset, or a text. */
type Given = string | null | undefined

/** What is known of a text: that it held before, that it is printable ASCII, or nothing. */
type Known = 'held' | 'plain' | 'nothing'

/** What the text of an attribute has to be. */
interface Rule {
  readonly expected: string
  holds(text: string, known: Known): boolean
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

const filled: Rule = {
  expected: 'a text that is not empty, without control characters, noncharacters and halves of surrogate pairs',
  holds: isFilled,
}
const rules = {
  id: filled,
  source: {
    expected: 'a URI-reference that is not empty',
    holds: remembering((text) => text !== '' && isUriReference(text)),
  },
  specversion: { expected: '"1.0", for no other version is read', holds: (text) => text === '1.0' },
  type: filled,
  subject: filled,
  time: { expected: 'a date and time by RFC 3339, with its offset', holds: isTimestamp },
  datacontenttype: { expected: 'a media type', holds: remembering((text) => mediaTypeOf(text) !== undefined) },
  dataschema: { expected: 'an absolute URI, without a fragment', holds: remembering(isAbsoluteUri) },
} satisfies Record<string, Rule>

const nameOfExtension = /^[a-z\d]+$/

/** Whether the specification has an attribute of that name. */
export function isAttribute(name: string): boolean {
  return Object.hasOwn(rules, name)
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

  /** Whether nothing is wrong with what has come so far. */
  get isSound(): boolean {
    return this.faults === undefined
  }

  /** Takes an attribute; null says that it is not set. */
  set(name: string, value: unknown, known: Known = 'nothing'): void {
    switch (name) {
      case 'id':
        this.id = this.checked(name, this.id, value, rules.id, known)
        break
      case 'source':
        this.source = this.checked(name, this.source, value, rules.source, known)
        break
      case 'specversion':
        this.specversion = this.checked(name, this.specversion, value, rules.specversion, known)
        break
      case 'type':
        this.type = this.checked(name, this.type, value, rules.type, known)
        break
      case 'subject':
        this.subject = this.checked(name, this.subject, value, rules.subject, known)
        break
      case 'time':
        this.time = this.checked(name, this.time, value, rules.time, known)
        break
      case 'datacontenttype':
        this.contentType = this.checked(name, this.contentType, value, rules.datacontenttype, known)
        break
      case 'dataschema':
        this.dataschema = this.checked(name, this.dataschema, value, rules.dataschema, known)
        break
      default:
        this.extend(name, value, known)
    }
  }

  /** Takes an extension; null says that it is not set. */
  extend(name: string, value: unknown, known: Known = 'nothing'): void {
    if (!nameOfExtension.test(name)) {
      this.fault('', `${shown(name)} can't name an attribute: expected letters from a to z and digits`)
    } else if (name === 'data') this.fault(name, 'no attribute may have this name')
    else if (Object.hasOwn(this.extensions, name) || this.unset?.has(name) === true)
      this.fault(name, 'it is given twice')
    else if (value === null) {
      this.unset ??= new Set()
      this.unset.add(name)
    } else if (isExtension(value, known)) this.extensions[name] = value
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

  private checked(name: string, before: Given, value: unknown, { holds, expected }: Rule, known: Known): Given {
    if (before !== undefined) {
      this.fault(name, 'it is given twice')
      return before
    }
    if (value === null) return null
    if (typeof value === 'string' && (known === 'held' || holds(value, known))) return value
    this.fault(name, `expected ${expected}, got ${shown(value)}`)
    return ''
  }
}

function isFilled(text: string, known: Known): boolean {
  return text !== '' && (known === 'plain' || isAllowed(text))
}

function isExtension(value: unknown, known: Known): value is Extension {
  if (typeof value === 'string') return known !== 'nothing' || isAllowed(value)
  return typeof value === 'boolean' || (typeof value === 'number' && (value | 0) === value)
}

/** The same check, which knows the text again that held last. */
function remembering(check: (text: string) => boolean): (text: string) => boolean {
  let last: string | undefined
  return (text) => {
    if (text === last) return true
    if (!check(text)) return false
    last = text
    return true
  }
}
