import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { traceParentOf } from '../model/index.js'

const idPattern = /^[\x21-\x7e]{1,128}$/

/** The id that follows a request through logs and records: the caller's own, else its trace id, else a new one. */
export function correlationIdOf(headers: IncomingHttpHeaders): string {
  return (
    usable(headers['x-correlation-id']) ??
    traceParentOf(headers['traceparent'])?.traceId ??
    usable(headers['x-request-id']) ??
    randomUUID()
  )
}

function usable(id: string | string[] | undefined): string | undefined {
  return typeof id === 'string' && idPattern.test(id) ? id : undefined
}
