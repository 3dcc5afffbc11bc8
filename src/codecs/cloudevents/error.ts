import { WeirError } from '../../model/index.js'
import { JsonToken } from './json-cursor.js'

/** What is wrong with an attribute, or the data. */
export interface CloudEventFault {
  /** `time`, `data`, `extensions.traceparent`; empty for the event as a whole. */
  readonly path: string
  readonly message: string
}

/** How many faults the text of an error names: no event of anybody has more. */
const mostNamed = 100
const mostShown = 60

/** An event that is none, with all that is wrong with it. */
export class CloudEventError extends WeirError {
  constructor(
    readonly faults: readonly CloudEventFault[],
    doing: 'reading' | 'writing' = 'reading',
    hint?: string,
  ) {
    super('WEIR_RECORD_NO_CLOUDEVENT', `${doing} a CloudEvent: ${textOf(faults)}`, hint === undefined ? {} : { hint })
  }
}

function textOf(faults: readonly CloudEventFault[]): string {
  const named = faults
    .slice(0, mostNamed)
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    .join('; ')
  return faults.length > mostNamed ? `${named}; and ${faults.length - mostNamed} more` : named
}

/** A value in an error: its beginning, in characters that can be printed. */
export function shown(value: unknown): string {
  if (value instanceof JsonToken) return begun(value.text)
  if (typeof value === 'string') return JSON.stringify(begun(value))
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

function begun(text: string): string {
  return text.length > mostShown ? `${text.slice(0, mostShown)}…` : text
}
