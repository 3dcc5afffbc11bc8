import { type Clock, parseJson } from '../../model/index.js'
import { retryAfterMs } from '../../model/retry-after.js'
import { withoutLogin } from '../../model/url-login.js'
import { boundedText } from '../internal/bounded-text.js'

interface PollerOptions {
  readonly url: string
  readonly everyMs: number
  readonly timeoutMs: number
  /** How large the document may be, bytes. */
  readonly maxBytes: number
  readonly clock: Clock
}

/** Asks for one document again and again, as its server wants to be asked. */
export class Poller {
  /** When it may be asked for next, a time of the clock's scheduler. */
  dueAt = 0
  private etag: string | undefined
  private modified: string | undefined
  private controller = new AbortController()

  private readonly asked: ReturnType<typeof withoutLogin>

  constructor(private readonly options: PollerOptions) {
    this.asked = withoutLogin(options.url)
  }

  /** The document, or undefined when it is the same as before. Errors: whatever kept it from coming. */
  async poll(): Promise<{ readonly body: unknown } | undefined> {
    const { everyMs, timeoutMs, clock } = this.options
    this.dueAt = clock.scheduler.now() + everyMs
    const late = new AbortController()
    const timer = clock.scheduler.schedule(() => late.abort(new Error(`nothing came for ${timeoutMs} ms`)), timeoutMs)
    try {
      return await this.ask(AbortSignal.any([this.controller.signal, late.signal]))
    } finally {
      timer.unsubscribe()
    }
  }

  private async ask(signal: AbortSignal): Promise<{ readonly body: unknown } | undefined> {
    const { everyMs, maxBytes, clock } = this.options
    const response = await fetch(this.asked.url, { headers: { ...this.asked.headers, ...this.headers() }, signal })
    const { headers } = response
    const pauseMs = retryAfterMs(headers.get('retry-after'), headers.get('date'), clock.now())
    if (pauseMs > everyMs) this.dueAt = clock.scheduler.now() + pauseMs
    if (response.status !== 200) {
      await response.body?.cancel()
      if (response.status === 304) return undefined
      throw new Error(`it answered ${response.status}`)
    }
    // An item that nests too deep is that item's fault.
    const body = parseJson(await boundedText(response, maxBytes), { depth: false, bigIntegers: 'bigint' })
    // Only now: a document that was cut off is asked for in full again.
    this.etag = headers.get('etag') ?? undefined
    this.modified = headers.get('last-modified') ?? undefined
    return { body }
  }

  /** Has the next answer be the whole document, changed or not. */
  forget(): void {
    this.etag = undefined
    this.modified = undefined
  }

  /** Gives up the request that is under way. */
  abort(): void {
    this.controller.abort()
    this.controller = new AbortController()
  }

  private headers(): Record<string, string> {
    return {
      accept: 'application/json',
      ...(this.etag === undefined ? {} : { 'if-none-match': this.etag }),
      ...(this.modified === undefined ? {} : { 'if-modified-since': this.modified }),
    }
  }
}
