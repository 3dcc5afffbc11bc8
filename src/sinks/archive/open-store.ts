import { z } from 'zod'
import { AzureRequests } from './azure/azure-requests.js'
import { azureOptions } from './azure/options.js'
import type { BlobStore } from './blob-store.js'
import { Blobs } from './blobs.js'
import { FileRequests } from './file/file-requests.js'
import { fileOptions } from './file/options.js'
import { GcsRequests } from './gcs/gcs-requests.js'
import { gcsOptions } from './gcs/options.js'
import type { BlobRequests } from './requests.js'
import { Resilient } from './resilient.js'
import { s3Options } from './s3/options.js'
import { S3Requests } from './s3/s3-requests.js'
import { addressBelow } from './store-shape.js'
import type { ResilienceContext } from './trying.js'

/** Where files go, and how to get there. */
export const storeOptions = z.discriminatedUnion('backend', [fileOptions, s3Options, azureOptions, gcsOptions])

export type StoreOptions = z.output<typeof storeOptions>

/** Opens a store. Nothing is asked of it before there is something to do; its client is loaded then, too. */
export function openStore(options: StoreOptions, context: ResilienceContext): BlobStore {
  return new Blobs(new Resilient(requestsOf(options, context), context))
}

/** Where it is, for people: `s3://bucket/prefix`. */
export function addressOf(options: StoreOptions): string {
  switch (options.backend) {
    case 'file':
      return options.path
    case 's3':
      return addressBelow(`s3://${options.bucket}`, options.prefix)
    case 'azure':
      return addressBelow(`azure://${options.container}`, options.prefix)
    case 'gcs':
      return addressBelow(`gs://${options.bucket}`, options.prefix)
  }
}

function requestsOf(options: StoreOptions, { clock }: ResilienceContext): BlobRequests {
  switch (options.backend) {
    case 'file':
      return new FileRequests(options, clock)
    case 's3':
      return new S3Requests(options, clock)
    case 'azure':
      return new AzureRequests(options, clock)
    case 'gcs':
      return new GcsRequests(options, clock)
  }
}
