import { messageOf } from '../../../model/index.js'
import type { BlobFault } from '../blob-fault.js'
import { httpFault, isStrange, type KnownAnswers, StrangeAnswer } from '../http-faults.js'

const checkKey = "Check the key and its secret, or what the SDK's chain of credentials finds."

const known: KnownAnswers = {
  NoSuchBucket: ['WEIR_BLOB_REFUSED', 'Create the bucket, or correct its name.'],
  InvalidAccessKeyId: ['WEIR_BLOB_REFUSED', checkKey],
  SignatureDoesNotMatch: ['WEIR_BLOB_REFUSED', checkKey],
  InvalidToken: ['WEIR_BLOB_REFUSED', checkKey],
  // Of versitygw, with 404: nothing is missing there.
  XAdminUserNotFound: ['WEIR_BLOB_REFUSED', checkKey],
  ExpiredToken: ['WEIR_BLOB_REFUSED', 'Renew the token.'],
  CredentialsProviderError: ['WEIR_BLOB_REFUSED', checkKey],
  AccessDenied: ['WEIR_BLOB_REFUSED', 'Grant the key s3:PutObject, s3:GetObject and s3:ListBucket on the bucket.'],
  // The SDK has learnt from the answer what the time is, and the next request has it.
  RequestTimeTooSkewed: ['WEIR_BLOB_UNREACHABLE', "Set this machine's clock."],
  PermanentRedirect: ['WEIR_BLOB_REFUSED', 'Correct the region.'],
  AuthorizationHeaderMalformed: ['WEIR_BLOB_REFUSED', 'Correct the region.'],
  NoSuchUpload: ['WEIR_BLOB_MISSING'],
  NoSuchKey: ['WEIR_BLOB_MISSING'],
  PreconditionFailed: ['WEIR_BLOB_CONFLICT'],
  // Of a store that lies on a file system.
  ObjectParentIsFile: ['WEIR_BLOB_CONFLICT', 'A file lies where a folder has to be: move it away.'],
  ExistingObjectIsDirectory: ['WEIR_BLOB_CONFLICT', 'A folder lies where a file has to be: move it away.'],
  // Two requests for one name met: the later one will see what became of the earlier.
  ConditionalRequestConflict: ['WEIR_BLOB_UNREACHABLE'],
  OperationAborted: ['WEIR_BLOB_UNREACHABLE'],
  RequestTimeout: ['WEIR_BLOB_UNREACHABLE'],
  SlowDown: ['WEIR_BLOB_UNREACHABLE'],
}

interface SdkError {
  readonly name?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> }
}

/** Sorts what the SDK throws. */
export function s3Fault(doing: string, error: unknown): BlobFault {
  const { name = '', $metadata, $response } = error as SdkError
  const status = $response?.statusCode ?? $metadata?.httpStatusCode
  const retryAfter = $response?.headers?.['retry-after']
  // What the SDK can't read.
  if (status !== undefined && isStrange(status) && /Deserialization error/.test(messageOf(error)))
    return httpFault(doing, new StrangeAnswer(), { status, name: '', message: '' }, known)
  const called = status !== undefined || name in known ? name : ''
  return httpFault(doing, error, { status, name: called, message: messageOf(error), retryAfter }, known)
}
