import type { IncomingHttpHeaders } from 'node:http'
import { messageOf } from '../model/index.js'

/** Why a body was not taken, with the status that says so. */
export class BodyError extends Error {
  constructor(
    readonly statusCode: 400 | 413 | 415,
    message: string,
  ) {
    super(message)
  }
}

/** `sendBeacon` and the like can only say text/plain. */
const jsonType = /^(application\/(.+\+)?json|text\/plain)\s*(;|$)/i

/** Reads a JSON body of at most `limit` bytes. Errors: `BodyError`. */
export async function readJson(
  headers: IncomingHttpHeaders,
  body: NodeJS.ReadableStream,
  limit: number,
): Promise<unknown> {
  checkType(headers)
  const bytes = await readBytes(headers, body, limit)
  // Chunked bodies announce no length; whoever counts bytes later reads it here.
  headers['content-length'] ??= String(bytes.length)
  return parse(bytes)
}

function checkType(headers: IncomingHttpHeaders): void {
  const type = headers['content-type']
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new BodyError(415, `a body in '${encoding}' is not understood, send it as it is`)
  if (type === undefined || jsonType.test(type)) return
  throw new BodyError(415, `a body of '${type}' is not understood, send JSON with 'content-type: application/json'`)
}

async function readBytes(headers: IncomingHttpHeaders, body: NodeJS.ReadableStream, limit: number): Promise<Buffer> {
  const tooLarge = new BodyError(413, `the body is larger than ${limit} bytes`)
  if (Number(headers['content-length'] ?? 0) > limit) throw tooLarge
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    body.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
      else reject(tooLarge)
    })
    body.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    body.on('error', reject)
  })
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new BodyError(400, `the body is no JSON: ${messageOf(error)}`)
  }
}
