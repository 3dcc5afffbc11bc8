import { messageOf } from '../../../model/index.js'
import type { BlobFault } from '../blob-fault.js'
import { httpFault, type KnownAnswers, StrangeAnswer } from '../http-faults.js'

/** An answer that is a no. */
export class GcsError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly reason: string,
    readonly retryAfter: string | null,
  ) {
    super(message)
  }
}

const known: KnownAnswers = {
  noBucket: ['WEIR_BLOB_REFUSED', 'Create the bucket, or correct its name, or the endpoint.'],
  noCredentials: [
    'WEIR_BLOB_REFUSED',
    "Give `keyFile`, set GOOGLE_APPLICATION_CREDENTIALS, or run where Google's metadata server is.",
  ],
  // By Google's own words a quota, and no right.
  rateLimitExceeded: ['WEIR_BLOB_UNREACHABLE'],
  userRateLimitExceeded: ['WEIR_BLOB_UNREACHABLE'],
}

/** Sorts what `fetch`, the client's credentials and the answers give. */
export function gcsFault(doing: string, error: unknown): BlobFault {
  if (error instanceof GcsError) {
    const { status, message, reason, retryAfter } = error
    const isBucket = status === 404 && /bucket/i.test(message)
    return httpFault(doing, error, { status, name: isBucket ? 'noBucket' : reason, message, retryAfter }, known)
  }
  if (error instanceof StrangeAnswer) return httpFault(doing, error, { status: 200, name: '', message: '' }, known)
  // `fetch` itself only says that it failed.
  const { cause = error } = error as { readonly cause?: unknown }
  return httpFault(doing, error, { status: undefined, name: '', message: messageOf(cause) }, known)
}
