import type { IncomingMessage } from 'node:http'
import { addAbortSignal } from 'node:stream'
import type * as sdk from '@aws-sdk/client-s3'
import { defer, EMPTY, type Observable } from 'rxjs'
import { type Clock } from '../../../model/index.js'
import { loadPeer } from '../../../model/optional-peer.js'
import { Asking } from '../asking.js'
import type { BlobFault } from '../blob-fault.js'
import type { BlobEntry, ByteRange } from '../blob-store.js'
import { StrangeAnswer } from '../http-faults.js'
import type { BlobRequests, Page, Unfinished, Upload } from '../requests.js'
import { addressBelow, partBytes } from '../store-shape.js'
import { s3Fault } from './faults.js'
import type { S3Options } from './options.js'

/** How long it may take until there is a connection, ms. */
const connectMs = 10_000

/** The SDK passes it on to what reads files of credentials, once for the whole process otherwise; its types don't tell. */
const freshFiles = { ignoreCache: true } as object

interface Opened {
  readonly sdk: typeof sdk
  readonly client: sdk.S3Client
}

/** A bucket of Amazon's, or of any store that speaks as Amazon's does and knows `If-None-Match`. */
export class S3Requests implements BlobRequests {
  readonly address: string
  readonly partBytes = partBytes
  private readonly ask: Asking
  private readonly root: string
  private opened: Opened | undefined

  constructor(
    private readonly options: S3Options,
    clock: Clock,
  ) {
    const { bucket, prefix, requestTimeout } = options
    this.root = prefix === '' ? '' : `${prefix}/`
    this.address = addressBelow(`s3://${bucket}`, prefix)
    this.ask = new Asking({
      address: this.address,
      timeoutMs: requestTimeout,
      clock,
      fault: (doing, error) => this.fault(doing, error),
    })
  }

  put(name: string, bytes: Uint8Array): Observable<never> {
    return this.ask.done('writing', name, async (abortSignal) => {
      const { sdk, client } = this.open()
      const file = { ...this.object(name), Body: bytes, IfNoneMatch: '*' }
      ofStore((await client.send(new sdk.PutObjectCommand(file), { abortSignal })).ETag)
    })
  }

  begin(name: string): Observable<Upload> {
    return this.ask.one('writing', name, async (abortSignal) => {
      const { sdk, client } = this.open()
      const begun = await client.send(new sdk.CreateMultipartUploadCommand(this.object(name)), { abortSignal })
      return this.upload(name, ofStore(begun.UploadId))
    })
  }

  stat(name: string): Observable<number> {
    return this.ask.many('looking at', name, async (abortSignal) => {
      const { sdk, client } = this.open()
      try {
        return [(await client.send(new sdk.HeadObjectCommand(this.object(name)), { abortSignal })).ContentLength ?? 0]
      } catch (error) {
        if (error instanceof sdk.S3ServiceException && error.$metadata.httpStatusCode === 404) return []
        throw error
      }
    })
  }

  read(name: string, { from, to }: ByteRange): Observable<Uint8Array> {
    return this.ask.bytes('reading', name, async (abortSignal) => {
      const { sdk, client } = this.open()
      const part = { ...this.object(name), Range: `bytes=${from}-${to - 1}` }
      const { Body } = await client.send(new sdk.GetObjectCommand(part), { abortSignal })
      // The SDK itself minds the signal no longer than until the headers are there.
      return addAbortSignal(abortSignal, Body as IncomingMessage)
    })
  }

  list(prefix: string, from?: string): Observable<Page<BlobEntry>> {
    return this.ask.one('listing', prefix, async (abortSignal) => {
      const { sdk, client } = this.open()
      const asked = { Bucket: this.options.bucket, Prefix: this.root + prefix, ContinuationToken: from }
      const found = await client.send(new sdk.ListObjectsV2Command(asked), { abortSignal })
      ofStore(found.Name ?? found.KeyCount ?? found.IsTruncated)
      const items = (found.Contents ?? []).map(({ Key, Size = 0 }) => ({ name: this.nameOf(Key), bytes: Size }))
      return { items, next: found.NextContinuationToken }
    })
  }

  remove(name: string): Observable<never> {
    return this.ask.done('removing', name, (abortSignal) => {
      const { sdk, client } = this.open()
      return client.send(new sdk.DeleteObjectCommand(this.object(name)), { abortSignal })
    })
  }

  unfinished(from?: string): Observable<Page<Unfinished>> {
    return this.ask.one('looking for what was left behind in', '', async (abortSignal) => {
      const { sdk, client } = this.open()
      const [KeyMarker, UploadIdMarker] = from === undefined ? [] : (JSON.parse(from) as string[])
      const asked = { Bucket: this.options.bucket, Prefix: this.root, KeyMarker, UploadIdMarker }
      const found = await client.send(new sdk.ListMultipartUploadsCommand(asked), { abortSignal })
      const items = (found.Uploads ?? []).map(({ Key, UploadId, Initiated }) => {
        const name = this.nameOf(Key)
        return { name, since: Initiated?.getTime() ?? 0, drop: () => this.upload(name, UploadId).abort() }
      })
      const { NextKeyMarker, NextUploadIdMarker, IsTruncated = false } = found
      return { items, next: IsTruncated ? JSON.stringify([NextKeyMarker, NextUploadIdMarker]) : undefined }
    })
  }

  close(): Observable<never> {
    return defer(() => {
      this.opened?.client.destroy()
      this.opened = undefined
      return EMPTY
    })
  }

  /** A client keeps the credentials that it has found, also when others lie there since. */
  private fault(doing: string, error: unknown): BlobFault {
    const fault = s3Fault(doing, error)
    if (fault.kind === 'WEIR_BLOB_REFUSED') this.opened = undefined
    return fault
  }

  private upload(name: string, UploadId: string | undefined): S3Upload {
    return new S3Upload(this.ask, () => this.open(), name, { ...this.object(name), UploadId })
  }

  private object(name: string) {
    return { Bucket: this.options.bucket, Key: this.root + name }
  }

  private nameOf(key = ''): string {
    return key.slice(this.root.length)
  }

  private open(): Opened {
    this.opened ??= openClient(this.options, this.address)
    return this.opened
  }
}

interface Place {
  readonly Bucket: string
  readonly Key: string
  readonly UploadId: string | undefined
}

class S3Upload implements Upload {
  private readonly tags = new Map<number, string>()

  constructor(
    private readonly ask: Asking,
    private readonly open: () => Opened,
    private readonly name: string,
    private readonly place: Place,
  ) {}

  part(index: number, bytes: Uint8Array): Observable<never> {
    return this.ask.done('writing', this.name, (signal) => this.put(index, bytes, signal))
  }

  complete(index: number, bytes: Uint8Array): Observable<never> {
    return this.ask.done('writing', this.name, async (abortSignal) => {
      await this.put(index, bytes, abortSignal)
      const { sdk, client } = this.open()
      const Parts = [...this.tags].map(([part, ETag]) => ({ PartNumber: part + 1, ETag }))
      const all = { ...this.place, MultipartUpload: { Parts }, IfNoneMatch: '*' }
      const { ETag, Location } = await client.send(new sdk.CompleteMultipartUploadCommand(all), { abortSignal })
      ofStore(ETag ?? Location)
    })
  }

  abort(): Observable<never> {
    return this.ask.done('giving up', this.name, async (abortSignal) => {
      const { sdk, client } = this.open()
      try {
        await client.send(new sdk.AbortMultipartUploadCommand(this.place), { abortSignal })
      } catch (error) {
        if (!(error instanceof sdk.S3ServiceException) || error.name !== 'NoSuchUpload') throw error
      }
    })
  }

  private async put(index: number, bytes: Uint8Array, abortSignal: AbortSignal): Promise<void> {
    if (this.tags.has(index)) return
    const { sdk, client } = this.open()
    const part = { ...this.place, PartNumber: index + 1, Body: bytes }
    this.tags.set(index, ofStore((await client.send(new sdk.UploadPartCommand(part), { abortSignal })).ETag))
  }
}

/** What every answer of a store has: the SDK takes any page that says 200 for one. */
function ofStore<T>(value: T | undefined): T {
  if (value === undefined) throw new StrangeAnswer()
  return value
}

/** The SDK finds a region in many places, and refuses each request where it finds none. */
function foundRegion({ S3Client }: typeof sdk): () => Promise<string> {
  const { region } = new S3Client({}).config
  return () => region().catch(() => 'us-east-1')
}

function openClient(options: S3Options, address: string): Opened {
  const loaded = loadPeer<typeof sdk>('@aws-sdk/client-s3', address)
  const { region, endpoint, pathStyle = endpoint !== undefined, accessKeyId, secretAccessKey, sessionToken } = options
  const credentials =
    accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }
  const client = new loaded.S3Client({
    region: region ?? foundRegion(loaded),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...credentials,
    forcePathStyle: pathStyle,
    // Whoever asks tries again, and has a deadline of his own.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: connectMs, requestTimeout: 0 },
    ...freshFiles,
  })
  return { sdk: loaded, client }
}
