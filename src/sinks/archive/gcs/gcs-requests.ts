import type * as sdk from '@google-cloud/storage'
import { EMPTY, type Observable, of } from 'rxjs'
import { type Clock, messageOf } from '../../../model/index.js'
import { loadPeer } from '../../../model/optional-peer.js'
import { Asking } from '../asking.js'
import type { BlobFault } from '../blob-fault.js'
import type { BlobEntry, ByteRange } from '../blob-store.js'
import { StrangeAnswer } from '../http-faults.js'
import type { BlobRequests, Page, Unfinished, Upload } from '../requests.js'
import { addressBelow, pageItems, partBytes } from '../store-shape.js'
import { GcsError, gcsFault } from './faults.js'
import type { GcsOptions } from './options.js'

const usualEndpoint = 'https://storage.googleapis.com'
const listed = 'items(name,size),nextPageToken'

interface Listed {
  readonly items?: readonly { readonly name: string; readonly size: string }[]
  readonly nextPageToken?: string
}

/**
 * A bucket of Google's. The client finds the credentials; what is asked goes by `fetch`, in the JSON interface: the client
 * has no way to end a request, and repeats some by itself.
 */
export class GcsRequests implements BlobRequests {
  readonly address: string
  readonly partBytes = partBytes
  private readonly ask: Asking
  private readonly root: string
  private readonly api: GcsApi

  constructor(options: GcsOptions, clock: Clock) {
    const { bucket, prefix, requestTimeout } = options
    this.root = prefix === '' ? '' : `${prefix}/`
    this.address = addressBelow(`gs://${bucket}`, prefix)
    this.ask = new Asking({
      address: this.address,
      timeoutMs: requestTimeout,
      clock,
      fault: (doing, error) => this.fault(doing, error),
    })
    this.api = new GcsApi(options, this.address)
  }

  put(name: string, body: Uint8Array): Observable<never> {
    return this.ask.done('writing', name, async (signal) => {
      const put = await this.api.callBucket('POST', this.api.uploadUrl('media', this.root + name), { body, signal })
      objectIn(put.text)
    })
  }

  begin(name: string): Observable<Upload> {
    return this.ask.one('writing', name, async (signal) => {
      const { answer } = await this.api.callBucket('POST', this.api.uploadUrl('resumable', this.root + name), {
        signal,
      })
      const session = answer.headers.get('location')
      if (session === null) throw new StrangeAnswer()
      return new GcsUpload(this.ask, this.api, name, session)
    })
  }

  stat(name: string): Observable<number> {
    return this.ask.many('looking at', name, async (signal) => {
      try {
        const url = this.api.objectUrl(this.root + name, { fields: 'size' })
        const { answer } = await this.api.call('GET', url, { signal })
        return [objectIn(await answer.text()).size]
      } catch (error) {
        if (gcsFault('', error).kind === 'WEIR_BLOB_MISSING') return []
        throw error
      }
    })
  }

  read(name: string, { from, to }: ByteRange): Observable<Uint8Array> {
    return this.ask.bytes('reading', name, async (signal) => {
      const headers = { range: `bytes=${from}-${to - 1}` }
      const url = this.api.objectUrl(this.root + name, { alt: 'media' })
      const { answer } = await this.api.call('GET', url, { headers, signal })
      return (answer.body ?? []) as AsyncIterable<Uint8Array>
    })
  }

  list(prefix: string, from?: string): Observable<Page<BlobEntry>> {
    return this.ask.one('listing', prefix, async (signal) => {
      const more = from === undefined ? {} : { pageToken: from }
      const url = this.api.bucketUrl({
        prefix: this.root + prefix,
        fields: listed,
        maxResults: String(pageItems),
        ...more,
      })
      const { answer } = await this.api.callBucket('GET', url, { signal })
      const { items = [], nextPageToken } = jsonIn<Listed>(await answer.text())
      return {
        items: items.map(({ name, size }) => ({ name: name.slice(this.root.length), bytes: Number(size) })),
        next: nextPageToken,
      }
    })
  }

  remove(name: string): Observable<never> {
    return this.ask.done('removing', name, async (signal) => {
      try {
        await this.api.call('DELETE', this.api.objectUrl(this.root + name), { signal })
      } catch (error) {
        if (gcsFault('', error).kind !== 'WEIR_BLOB_MISSING') throw error
      }
    })
  }

  /** Google throws uploads away by itself that did not end within a week, and lists none. */
  unfinished(): Observable<Page<Unfinished>> {
    return of({ items: [] })
  }

  close(): Observable<never> {
    return EMPTY
  }

  /** A client keeps the credentials that it has found, also when others lie there since. */
  private fault(doing: string, error: unknown): BlobFault {
    const fault = gcsFault(doing, error)
    if (fault.kind === 'WEIR_BLOB_REFUSED') this.api.forget()
    return fault
  }
}

/** Its parts must come in order, each beginning where the store says that the one before has ended. */
class GcsUpload implements Upload {
  constructor(
    private readonly ask: Asking,
    private readonly api: GcsApi,
    private readonly name: string,
    private readonly session: string,
  ) {}

  part(index: number, bytes: Uint8Array): Observable<never> {
    return this.ask.done('writing', this.name, (signal) => this.put(index * partBytes, bytes, '*', signal))
  }

  complete(index: number, bytes: Uint8Array): Observable<never> {
    const start = index * partBytes
    return this.ask.done('writing', this.name, (signal) => this.put(start, bytes, String(start + bytes.length), signal))
  }

  abort(): Observable<never> {
    return this.ask.done('giving up', this.name, async (signal) => {
      try {
        await this.api.call('DELETE', this.session, { signal })
      } catch (error) {
        // 499 says that it is done.
        if (!(error instanceof GcsError) || ![404, 410, 499].includes(error.status)) throw error
      }
    })
  }

  /** The store may keep the first of the bytes only, and passes over those that it has. */
  private async put(start: number, bytes: Uint8Array, total: string, signal: AbortSignal): Promise<void> {
    const end = start + bytes.length
    for (let at = start; at < end; ) {
      const headers = { 'content-range': `bytes ${at}-${end - 1}/${total}` }
      const part = { body: bytes.subarray(at - start), headers, signal }
      const { answer, text } = await this.api.call('PUT', this.session, part)
      if (answer.status !== 308) return void objectIn(text)
      const kept = Number(/-(\d+)$/.exec(answer.headers.get('range') ?? '')?.[1] ?? -1) + 1
      if (kept <= at) throw new GcsError(`it has kept only ${kept} bytes`, 503, '', null)
      at = kept
    }
  }
}

interface Call {
  readonly body?: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

interface Answered {
  readonly answer: Response
  /** What it says, if it is none to GET: what nobody reads would hold the connection. */
  readonly text: string
}

class GcsApi {
  private storage: sdk.Storage | undefined

  constructor(
    private readonly options: GcsOptions,
    private readonly address: string,
  ) {}

  /** Errors: `GcsError`, and those of `fetch` and of the credentials. */
  async call(method: string, url: string, { body, headers = {}, signal }: Call): Promise<Answered> {
    const authorization = await this.authorization()
    // A 308 is no redirect here.
    const answer = await fetch(url, {
      method,
      headers: { ...headers, ...authorization },
      signal,
      redirect: 'manual',
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
    })
    if (answer.ok || answer.status === 308) return { answer, text: method === 'GET' ? '' : await answer.text() }
    throw errorOf(answer.status, await answer.text(), answer.headers.get('retry-after'))
  }

  /** The same for a URL that names no object that could be missing. */
  async callBucket(method: string, url: string, call: Call): Promise<Answered> {
    try {
      return await this.call(method, url, call)
    } catch (error) {
      if (!(error instanceof GcsError) || error.status !== 404) throw error
      throw new GcsError(error.message, 404, 'noBucket', null)
    }
  }

  /** Looks for credentials anew. */
  forget(): void {
    this.storage = undefined
  }

  uploadUrl(uploadType: string, name: string): string {
    return this.url('upload/storage', '', { uploadType, name, ifGenerationMatch: '0' })
  }

  objectUrl(name: string, query: Readonly<Record<string, string>> = {}): string {
    return this.url('storage', `/${encodeURIComponent(name)}`, query)
  }

  bucketUrl(query: Readonly<Record<string, string>>): string {
    return this.url('storage', '', query)
  }

  private url(service: string, object: string, query: Readonly<Record<string, string>>): string {
    const { endpoint = usualEndpoint, bucket } = this.options
    const base = endpoint.replace(/\/$/, '')
    return `${base}/${service}/v1/b/${encodeURIComponent(bucket)}/o${object}?${new URLSearchParams(query).toString()}`
  }

  private async authorization(): Promise<Readonly<Record<string, string>>> {
    const { endpoint, keyFile } = this.options
    const { Storage } = loadPeer<typeof sdk>('@google-cloud/storage', this.address)
    if (endpoint !== undefined && !isGoogles(endpoint)) return {}
    this.storage ??= new Storage(keyFile === undefined ? {} : { keyFilename: keyFile })
    try {
      return { authorization: `Bearer ${await this.storage.authClient.getAccessToken()}` }
    } catch (error) {
      throw credentialFault(error)
    }
  }
}

/** One of a region, or of a private network, takes the same credentials. */
function isGoogles(endpoint: string): boolean {
  return /(^|\.)googleapis\.com$/.test(new URL(endpoint).hostname)
}

/** Where there is no answer, or one of a server in trouble, it passes; all else is for somebody to mend. */
function credentialFault(error: unknown): unknown {
  const { code, status } = error as { readonly code?: unknown; readonly status?: unknown }
  const isPassing = /^E[A-Z_]+$/.test(String(code)) && code !== 'ENOENT'
  return isPassing || Number(status) >= 500 ? error : new GcsError(messageOf(error), 401, 'noCredentials', null)
}

/** What a store says of an object: how large it is, at least. */
function objectIn(text: string): { size: number } {
  const size = Number(jsonIn<{ size?: unknown }>(text).size ?? Number.NaN)
  if (Number.isNaN(size)) throw new StrangeAnswer()
  return { size }
}

function jsonIn<T>(text: string): T {
  try {
    return JSON.parse(text) as T
  } catch {
    throw new StrangeAnswer()
  }
}

interface ErrorBody {
  readonly error?: { readonly message?: string; readonly errors?: readonly { readonly reason?: string }[] }
}

/** What is in front of a store may answer with anything. */
function errorOf(status: number, text: string, retryAfter: string | null): GcsError {
  const { message, errors } = parsed(text).error ?? {}
  return new GcsError(message ?? text.slice(0, 200), status, errors?.[0]?.reason ?? '', retryAfter)
}

function parsed(text: string): ErrorBody {
  try {
    return JSON.parse(text) as ErrorBody
  } catch {
    return {}
  }
}
