import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { addAbortSignal } from 'node:stream'
import type * as sdk from '@azure/storage-blob'
import { EMPTY, type Observable, of } from 'rxjs'
import type { Clock } from '../../../model/index.js'
import { loadPeer } from '../../../model/optional-peer.js'
import { Asking } from '../asking.js'
import type { BlobFault } from '../blob-fault.js'
import type { BlobEntry, ByteRange } from '../blob-store.js'
import type { BlobRequests, Page, Unfinished, Upload } from '../requests.js'
import { addressBelow, pageItems, partBytes } from '../store-shape.js'
import { azureFault } from './faults.js'
import type { AzureOptions } from './options.js'

const onlyNew = { conditions: { ifNoneMatch: '*' } }

/** A container of Azure's blob storage. */
export class AzureRequests implements BlobRequests {
  readonly address: string
  readonly partBytes = partBytes
  private readonly ask: Asking
  private readonly root: string
  private container: sdk.ContainerClient | undefined

  constructor(
    private readonly options: AzureOptions,
    clock: Clock,
  ) {
    const { container, prefix, requestTimeout } = options
    this.root = prefix === '' ? '' : `${prefix}/`
    this.address = addressBelow(`azure://${container}`, prefix)
    this.ask = new Asking({
      address: this.address,
      timeoutMs: requestTimeout,
      clock,
      fault: (doing, error) => this.fault(doing, error),
    })
  }

  put(name: string, bytes: Uint8Array): Observable<never> {
    return this.ask.done('writing', name, async (abortSignal) => {
      const blob = this.blob(name)
      try {
        await blob.upload(bufferOf(bytes), bytes.length, { ...onlyNew, abortSignal })
      } catch (error) {
        if (azureFault('', error).kind !== 'WEIR_BLOB_CONFLICT') throw error
        // It may be that only blocks lie there which nobody has committed.
        await this.upload(name).finish(0, bytes, abortSignal)
      }
    })
  }

  /** Nothing has to be asked for it. */
  begin(name: string): Observable<Upload> {
    return this.ask.one('writing', name, () => Promise.resolve(this.upload(name)))
  }

  stat(name: string): Observable<number> {
    return this.ask.many('looking at', name, async (abortSignal) => {
      try {
        return [(await this.blob(name).getProperties({ abortSignal })).contentLength ?? 0]
      } catch (error) {
        if (azureFault('', error).kind === 'WEIR_BLOB_MISSING') return []
        throw error
      }
    })
  }

  read(name: string, { from, to }: ByteRange): Observable<Uint8Array> {
    return this.ask.bytes('reading', name, async (abortSignal) => {
      // A stream that the SDK mends by itself would hide what is cut.
      const found = await this.blob(name).download(from, to - from, { abortSignal, maxRetryRequests: 0 })
      return addAbortSignal(abortSignal, found.readableStreamBody as IncomingMessage)
    })
  }

  list(prefix: string, from?: string): Observable<Page<BlobEntry>> {
    return this.ask.one('listing', prefix, async (abortSignal) => {
      const asked = this.open().listBlobsFlat({ prefix: this.root + prefix, abortSignal })
      const pages = asked.byPage({ maxPageSize: pageItems, ...(from === undefined ? {} : { continuationToken: from }) })
      const { value: page } = (await pages.next()) as IteratorResult<
        sdk.ContainerListBlobFlatSegmentResponse,
        undefined
      >
      const items = (page?.segment.blobItems ?? []).map(({ name, properties }) => ({
        name: name.slice(this.root.length),
        bytes: properties.contentLength ?? 0,
      }))
      return { items, next: page?.continuationToken || undefined }
    })
  }

  remove(name: string): Observable<never> {
    return this.ask.done('removing', name, (abortSignal) => this.blob(name).deleteIfExists({ abortSignal }))
  }

  /** Azure throws blocks away by itself that were not committed within a week, and takes no request to do so. */
  unfinished(): Observable<Page<Unfinished>> {
    return of({ items: [] })
  }

  close(): Observable<never> {
    return EMPTY
  }

  /** A client keeps the identity that it has found, also when there is another since. */
  private fault(doing: string, error: unknown): BlobFault {
    const fault = azureFault(doing, error)
    if (fault.kind === 'WEIR_BLOB_REFUSED') this.container = undefined
    return fault
  }

  private upload(name: string): AzureUpload {
    return new AzureUpload(this.ask, () => this.blob(name), name)
  }

  private blob(name: string): sdk.BlockBlobClient {
    return this.open().getBlockBlobClient(this.root + name)
  }

  private open(): sdk.ContainerClient {
    this.container ??= openContainer(this.options, this.address)
    return this.container
  }
}

class AzureUpload implements Upload {
  /** All who write a blob share its blocks until one of them commits: each has ids of its own, all of one length. */
  private readonly writer = randomBytes(12).toString('hex')
  private readonly staged = new Set<number>()

  constructor(
    private readonly ask: Asking,
    private readonly blob: () => sdk.BlockBlobClient,
    private readonly name: string,
  ) {}

  part(index: number, bytes: Uint8Array): Observable<never> {
    return this.ask.done('writing', this.name, (signal) => this.stage(index, bytes, signal))
  }

  complete(index: number, bytes: Uint8Array): Observable<never> {
    return this.ask.done('writing', this.name, (signal) => this.finish(index, bytes, signal))
  }

  /** See `unfinished`. */
  abort(): Observable<never> {
    return EMPTY
  }

  async finish(index: number, bytes: Uint8Array, abortSignal: AbortSignal): Promise<void> {
    if (bytes.length > 0) await this.stage(index, bytes, abortSignal)
    const ids = [...this.staged].map((part) => this.idOf(part))
    await this.blob().commitBlockList(ids, { ...onlyNew, abortSignal })
  }

  private async stage(index: number, bytes: Uint8Array, abortSignal: AbortSignal): Promise<void> {
    if (this.staged.has(index)) return
    await this.blob().stageBlock(this.idOf(index), bufferOf(bytes), bytes.length, { abortSignal })
    this.staged.add(index)
  }

  private idOf(index: number): string {
    return Buffer.from(`${this.writer}-${String(index).padStart(5, '0')}`).toString('base64')
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

interface Identity {
  readonly DefaultAzureCredential: new () => sdk.ContainerClient['credential']
}

function openContainer({ container, connectionString, url = '' }: AzureOptions, address: string): sdk.ContainerClient {
  const loaded = loadPeer<typeof sdk>('@azure/storage-blob', address)
  // Whoever asks tries again, and has a deadline of his own.
  const once = { retryOptions: { maxTries: 1 } }
  if (connectionString !== undefined)
    return loaded.BlobServiceClient.fromConnectionString(connectionString, once).getContainerClient(container)
  if (new URL(url).search !== '')
    return new loaded.BlobServiceClient(url, undefined, once).getContainerClient(container)
  const { DefaultAzureCredential } = loadPeer<Identity>('@azure/identity', address)
  return new loaded.BlobServiceClient(url, new DefaultAzureCredential(), once).getContainerClient(container)
}
