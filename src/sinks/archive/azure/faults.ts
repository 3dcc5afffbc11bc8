import { messageOf } from '../../../model/index.js'
import type { BlobFault } from '../blob-fault.js'
import { httpFault, isStrange, type KnownAnswers, StrangeAnswer } from '../http-faults.js'

const checkKey = "Check the connection string, the signature or the identity, and this machine's clock."

const known: KnownAnswers = {
  ContainerNotFound: ['WEIR_BLOB_REFUSED', 'Create the container, or correct its name.'],
  ContainerBeingDeleted: ['WEIR_BLOB_REFUSED', 'Create the container again.'],
  AuthenticationFailed: ['WEIR_BLOB_REFUSED', checkKey],
  InvalidAuthenticationInfo: ['WEIR_BLOB_REFUSED', checkKey],
  NoAuthenticationInformation: ['WEIR_BLOB_REFUSED', checkKey],
  CredentialUnavailableError: ['WEIR_BLOB_REFUSED', checkKey],
  AuthenticationError: ['WEIR_BLOB_REFUSED', checkKey],
  // Of all ways that `@azure/identity` knows, none.
  AggregateAuthenticationError: ['WEIR_BLOB_REFUSED', checkKey],
  AuthorizationFailure: [
    'WEIR_BLOB_REFUSED',
    `${checkKey} The firewall of the account may keep this address out, too.`,
  ],
  AuthorizationPermissionMismatch: ['WEIR_BLOB_REFUSED', 'Grant the role Storage Blob Data Contributor.'],
  AccountIsDisabled: ['WEIR_BLOB_REFUSED', 'Enable the account.'],
  BlobNotFound: ['WEIR_BLOB_MISSING'],
  // Whoever committed first has thrown away the blocks of all others.
  InvalidBlockList: ['WEIR_BLOB_MISSING'],
  BlobAlreadyExists: ['WEIR_BLOB_CONFLICT'],
  ConditionNotMet: ['WEIR_BLOB_CONFLICT'],
  BlobImmutableDueToPolicy: ['WEIR_BLOB_CONFLICT'],
}

interface RestError {
  readonly name?: string
  readonly code?: string
  readonly statusCode?: number
  /** What an answer without a body has in place of a code: one to HEAD. */
  readonly details?: { readonly errorCode?: string }
  readonly response?: { readonly headers?: { get(name: string): string | undefined } }
}

/** Sorts what the SDK throws. */
export function azureFault(doing: string, error: unknown): BlobFault {
  const { name = '', details, code = details?.errorCode ?? name, statusCode: status, response } = error as RestError
  // What is of Azure has a code of its own, and what is not the SDK runs into.
  const isOther = status === undefined ? error instanceof TypeError : isStrange(status) && code === 'RestError'
  if (isOther) return httpFault(doing, new StrangeAnswer(), { status, name: '', message: '' }, known)
  const retryAfter = response?.headers?.get('retry-after')
  const called = status !== undefined || code in known ? code : ''
  return httpFault(doing, error, { status, name: called, message: firstLine(messageOf(error)), retryAfter }, known)
}

/** What follows are ids, and times. */
function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}
