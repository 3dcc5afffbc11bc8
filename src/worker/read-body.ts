import type { IncomingMessage } from 'node:http'
import { type ExactJson, exactNumbers, messageOf, nestsDeeper, parseJson, usualDepth } from '../model/index.js'
import type { Budget } from './budget.js'

/** Why a body was not taken, with the status that says so. */
export class BodyError extends Error {
  constructor(
    readonly statusCode: 400 | 413 | 415 | 503,
    message: string,
  ) {
    super(message)
  }
}

/** `sendBeacon` and the like can only say text/plain. */
const jsonType = /^(application\/(.+\+)?json|text\/plain)\s*(;|$)/i

/** What a body holds, as a request has it. */
export interface ReadBody {
  readonly body: unknown
  readonly exact?: ExactJson
  readonly bytes: number
}

/** A body, and the room that it takes until it is let go of. */
export class Body {
  private held = 0

  constructor(
    private readonly request: IncomingMessage,
    private readonly budget: Budget,
  ) {}

  /** Reads JSON of at most `limit` bytes, nested no deeper than `depth`. Errors: `BodyError`. */
  async json(limit: number, depth = usualDepth): Promise<ReadBody> {
    checkType(this.request)
    const { body, bytes } = await this.bytes(limit)
    return { ...parse(body, depth), bytes }
  }

  /** Reads at most `limit` bytes, of whatever type. Errors: `BodyError`. */
  async bytes(limit: number): Promise<ReadBody & { readonly body: Buffer }> {
    checkEncoding(this.request)
    const body = await this.read(limit)
    return { body, bytes: body.length }
  }

  release(): void {
    this.budget.give(this.held)
    this.held = 0
  }

  private async read(limit: number): Promise<Buffer> {
    const { request } = this
    const tooLarge = new BodyError(413, `the body is larger than ${limit} bytes`)
    if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      const refuse = (error: BodyError) => {
        // What still comes is read and forgotten, or the caller would not hear the answer.
        request.off('data', take).resume()
        reject(error)
      }
      const take = (chunk: Buffer) => {
        if (this.held + chunk.length > limit) return refuse(tooLarge)
        if (!this.budget.take(chunk.length, this.held))
          return refuse(new BodyError(503, 'too many requests are under way'))
        this.held += chunk.length
        chunks.push(chunk)
      }
      request.on('data', take)
      request.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
      request.on('error', reject)
      request.on('close', () => reject(new BodyError(400, 'the body ended early')))
    })
  }
}

function checkType({ headers }: IncomingMessage): void {
  const type = headers['content-type']
  if (type === undefined || jsonType.test(type)) return
  throw new BodyError(415, `a body of '${type}' is not understood, send JSON with 'content-type: application/json'`)
}

function checkEncoding({ headers }: IncomingMessage): void {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new BodyError(415, `a body in '${encoding}' is not understood, send it as it is`)
}

function parse(bytes: Buffer, depth: number): Pick<ReadBody, 'body' | 'exact'> {
  if (nestsDeeper(bytes, depth)) throw new BodyError(400, `the body nests deeper than ${depth} levels`)
  try {
    // A schema decides on what a number can't hold, and sinks write it as it came.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return { body: parseJson(text, { depth, bigIntegers: 'bigint' }), exact: exactNumbers(text) }
  } catch (error) {
    throw new BodyError(400, `the body is no JSON: ${messageOf(error)}`)
  }
}
