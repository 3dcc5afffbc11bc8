import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

const idPattern = /^[\x21-\x7e]{1,128}$/
const traceparentPattern = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/

/** The id that follows a request through logs and records: the caller's own, else its trace id, else a new one. */
export function correlationIdOf(headers: IncomingHttpHeaders): string {
  return (
    usable(headers['x-correlation-id']) ??
    traceIdOf(headers['traceparent']) ??
    usable(headers['x-request-id']) ??
    randomUUID()
  )
}

function usable(id: string | string[] | undefined): string | undefined {
  return typeof id === 'string' && idPattern.test(id) ? id : undefined
}

function traceIdOf(traceparent: string | string[] | undefined): string | undefined {
  return typeof traceparent === 'string' ? traceparentPattern.exec(traceparent)?.[1] : undefined
}
