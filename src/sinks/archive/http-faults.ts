import { messageOf, stackOf } from '../../model/index.js'
import { BlobFault, type BlobFaultCode } from './blob-fault.js'

/** What a store has answered with, as far as its client tells. */
export interface Answer {
  /** Undefined when there was none. */
  readonly status: number | undefined
  /** What the store calls its error; '' when it has no name. */
  readonly name: string
  readonly message: string
  readonly retryAfter?: string | null | undefined
}

/** What one kind of store answers with that its status alone does not tell, and what to do about it. */
export type KnownAnswers = Readonly<Record<string, readonly [BlobFaultCode, hint?: string] | undefined>>

const statuses: Readonly<Record<number, readonly [BlobFaultCode, hint?: string] | undefined>> = {
  401: ['WEIR_BLOB_REFUSED', 'Check the credentials.'],
  403: ['WEIR_BLOB_REFUSED', 'Check the credentials, and grant them the right to read, write and list there.'],
  404: ['WEIR_BLOB_MISSING'],
  408: ['WEIR_BLOB_UNREACHABLE'],
  410: ['WEIR_BLOB_MISSING'],
  412: ['WEIR_BLOB_CONFLICT'],
  425: ['WEIR_BLOB_UNREACHABLE'],
  429: ['WEIR_BLOB_UNREACHABLE'],
  501: ['WEIR_BLOB_REFUSED', 'The store lacks what Weir needs of it: to create a file only where there is none.'],
}

/** What answers is no store, whatever its status says: a page of somebody else's. */
export class StrangeAnswer extends Error {
  constructor() {
    super('the answer is none of a store')
  }
}

const strange =
  'Something else answers there: correct the endpoint, with its port and whether it is https:// or http://.'

/** Why there was no answer, by what the system and TLS call it, and what to do about it. */
const unreached: readonly (readonly [RegExp, hint: string])[] = [
  [/ENOTFOUND/, 'No host has that name: correct the endpoint, or look after the network.'],
  [/ECONNREFUSED/, 'Nothing listens there: start the store, or correct the endpoint.'],
  [/wrong version number/i, 'It speaks no TLS there: write http:// in place of https://, or another port.'],
  [/certificate has expired/i, 'Renew the certificate of the store.'],
  [/does not match certificate/i, 'Its certificate is for another name: correct the endpoint.'],
  [
    /self.signed certificate|unable to (verify the first|get (local )?issuer) certificate/i,
    'Let NODE_EXTRA_CA_CERTS name a file with the authority that has signed its certificate.',
  ],
]

/** The longest that a store may ask to be left alone, s. */
const longestRetryAfter = 600

/**
 * What failed in doing something. What passes by itself is no answer, one of a server in trouble, and too many requests;
 * of anything else that a store says no to it is somebody else who has to do something.
 */
export function httpFault(doing: string, error: unknown, answer: Answer, known: KnownAnswers): BlobFault {
  const { status, name, message } = answer
  if (error instanceof StrangeAnswer)
    return new BlobFault('WEIR_BLOB_REFUSED', `${doing}: ${error.message}`, { cause: error, hint: strange })
  const passes = status === undefined || status >= 500 || status < 400
  const otherwise = passes ? 'WEIR_BLOB_UNREACHABLE' : 'WEIR_BLOB_REFUSED'
  const [kind, hint = hintOf(answer)] = known[name] ?? statuses[status ?? 0] ?? [otherwise]
  const what = [status, name].filter(Boolean).join(' ')
  const text = message === name ? '' : message.trim()
  return new BlobFault(kind, `${doing}: ${[what, text].filter(Boolean).join(': ') || messageOf(error)}`, {
    cause: withoutRequest(error),
    retryAfterMs: retryAfterMs(answer.retryAfter),
    ...(hint === undefined ? {} : { hint }),
  })
}

function hintOf({ status, message }: Answer): string | undefined {
  return status === undefined ? unreached.find(([pattern]) => pattern.test(message))?.[1] : undefined
}

/** Whether an answer that is none of a store's own says by its status no more than that somebody else gave it. */
export function isStrange(status: number): boolean {
  return status < 500 && statuses[status]?.[0] !== 'WEIR_BLOB_UNREACHABLE' && status !== 401 && status !== 403
}

/** What clients throw holds their whole request, with signatures and tokens. */
function withoutRequest(error: unknown): Error {
  const cause = new Error(messageOf(error))
  cause.stack = stackOf(error)
  return cause
}

/** In seconds: stores that say anything say it so. */
function retryAfterMs(header: string | null | undefined): number {
  return /^\d+$/.test(header ?? '') ? Math.min(longestRetryAfter, Number(header)) * 1_000 : 0
}
