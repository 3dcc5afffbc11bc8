import { describeError, type ErrorDetails, WeirError } from '../../model/index.js'

/** What may come of a request to a blob store. */
export type BlobFaultCode =
  | 'WEIR_BLOB_UNREACHABLE'
  | 'WEIR_BLOB_REFUSED'
  | 'WEIR_BLOB_MISSING'
  | 'WEIR_BLOB_CONFLICT'
  | 'WEIR_BLOB_NAME'

interface BlobFaultDetails extends ErrorDetails {
  readonly retryAfterMs?: number
}

/** Why a request to a blob store failed. */
export class BlobFault extends WeirError {
  /** How long the store asks to be left alone, ms. */
  readonly retryAfterMs: number

  constructor(
    readonly kind: BlobFaultCode,
    message: string,
    { retryAfterMs = 0, ...details }: BlobFaultDetails = {},
  ) {
    super(kind, message, details)
    this.retryAfterMs = retryAfterMs
  }

  /** Whether the same request may do better later, by itself or because somebody has mended something. */
  get isPassing(): boolean {
    return this.kind === 'WEIR_BLOB_UNREACHABLE' || this.kind === 'WEIR_BLOB_REFUSED'
  }

  /** What failed, and what to do, in whole sentences. */
  get told(): string {
    const text = describeError(this)
    return text.endsWith('.') ? text : `${text}.`
  }
}
