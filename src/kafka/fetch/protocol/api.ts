import { MalformedError } from './malformed.js'
import { Reader } from './reader.js'
import { Writer } from './writer.js'

/** One kind of request with its answer. */
export interface Api<Q, S> {
  readonly name: string
  readonly key: number
  /** The versions that are spoken, oldest first. */
  readonly versions: readonly [oldest: number, newest: number]
  /** From which version on headers and fields are flexible. */
  readonly flexibleFrom: number
  write(to: Writer, request: Q, version: number): void
  read(from: Reader, version: number): S
}

/** What a message never is where its flexible versions are not spoken. */
export const neverFlexible = Number.POSITIVE_INFINITY

/** Brokers answer it in a way that those understand who don't know yet what they speak. */
export const apiVersionsKey = 18

/** A request as it goes over the wire, its length in front. */
export function encodeRequest<Q>(
  api: Api<Q, unknown>,
  version: number,
  correlation: number,
  client: string,
  request: Q,
): Buffer {
  const isFlexible = version >= api.flexibleFrom
  const to = new Writer(isFlexible)
  to.int16(api.key)
  to.int16(version)
  to.int32(correlation)
  to.classicString(client)
  to.tags()
  api.write(to, request, version)
  return to.framed()
}

/** Which request is answered. `answer` is without its length. */
export function correlationOf(answer: Buffer): number {
  if (answer.length < 4) throw new MalformedError('corrupt', `a broker's answer has ${answer.length} bytes`)
  return answer.readInt32BE(0)
}

/** An answer without its length. What it tells may be a view into it. Errors: `MalformedError`. */
export function decodeAnswer<S>(api: Api<never, S>, version: number, answer: Buffer): S {
  const from = new Reader(answer, version >= api.flexibleFrom)
  from.int32()
  if (api.key !== apiVersionsKey) from.tags()
  return api.read(from, version)
}
