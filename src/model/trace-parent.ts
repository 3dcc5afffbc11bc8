/** W3C Trace Context: version, trace id, parent id, flags; what later versions append is not for this one to read. */
const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
/** Longer ones are of no version that is known. */
const longest = 256

export interface TraceParent {
  readonly traceId: string
  /** As it is passed on: of version 00, 55 characters. */
  readonly text: string
}

/** What a `traceparent` header says; undefined when it does not hold, and is then to be ignored. */
export function traceParentOf(header: string | readonly string[] | undefined): TraceParent | undefined {
  if (typeof header !== 'string' || header.length > longest) return undefined
  const [, version, traceId = '', parentId = '', flags = '', more] = pattern.exec(header) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined
  return { traceId, text: `00-${traceId}-${parentId}-${flags}` }
}
