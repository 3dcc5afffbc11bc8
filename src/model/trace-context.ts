import { type Header, headerOf } from './record.js'

/** W3C Trace Context: version, trace id, parent id, flags; what later versions append is not for this one to read. */
const parentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
/** Longer ones are of no version that is known. */
const longestParent = 256

/** Of a member: its key, which may name a tenant, and its value. */
const member =
  /^([a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])$/
const [mostMembers, longestState] = [32, 8_192]

export interface TraceParent {
  readonly traceId: string
  /** Of the span that it was sent from. */
  readonly spanId: string
  /** 1 where that was sampled. */
  readonly flags: number
  /** As it is passed on: of version 00, 55 characters. */
  readonly text: string
}

/** The trace that something is a part of. */
export interface TraceContext extends TraceParent {
  /** What vendors add to it, as it is passed on; undefined where there is none, or it does not hold. */
  readonly state: string | undefined
}

/** What a `traceparent` header says; undefined when it does not hold, and is then to be ignored. */
export function traceParentOf(header: string | readonly string[] | undefined): TraceParent | undefined {
  if (typeof header !== 'string' || header.length > longestParent) return undefined
  const [, version, traceId = '', spanId = '', flags = '', more] = parentPattern.exec(header) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, flags: Number.parseInt(flags, 16), text: `00-${traceId}-${spanId}-${flags}` }
}

/** What a `tracestate` header says, several of them as one; undefined when it does not hold, and is then dropped. */
export function traceStateOf(header: string | readonly string[] | undefined): string | undefined {
  const text = typeof header === 'string' ? header : header?.join(',')
  if (text === undefined || text.length > longestState) return undefined
  const members = text
    .split(',')
    .map((each) => each.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((each) => each !== '')
  const keys = members.map((each) => member.exec(each)?.[1])
  if (keys.length === 0 || keys.length > mostMembers) return undefined
  return keys.includes(undefined) || new Set(keys).size < keys.length ? undefined : members.join(',')
}

/**
 * The trace that a record is a part of, by its headers `traceparent` and `tracestate` (W3C Trace Context); undefined where it
 * says none that holds.
 */
export function traceOf({ headers }: { readonly headers: readonly Header[] }): TraceContext | undefined {
  const parent = traceParentOf(headerOf(headers, 'traceparent'))
  return parent && { ...parent, state: traceStateOf(headerOf(headers, 'tracestate')) }
}

/** How a trace goes on. */
export function traceHeaders({
  text,
  state,
}: Pick<TraceContext, 'text' | 'state'>): readonly Readonly<Record<string, string>>[] {
  return state === undefined ? [{ traceparent: text }] : [{ traceparent: text }, { tracestate: state }]
}
