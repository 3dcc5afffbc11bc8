import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { HttpReply } from '../model/index.js'

export interface GateOptions {
  /** What callers have to show; undefined asks for nothing. */
  readonly token?: string | undefined
  /** More of them, by the names of those who have them. */
  readonly tokens?: Readonly<Record<string, string>> | undefined
  /** The other origins whose pages may call, as browsers tell them, or `*`. */
  readonly origins?: readonly string[] | undefined
}

/** Why somebody is not let in. */
export interface Refusal extends HttpReply {
  readonly refused: 'token' | 'origin' | 'host'
}

/** A token as it is compared, and whose it is. */
interface Known {
  readonly digest: Buffer
  readonly name: string | undefined
}

/** Decides who may call the port: whoever shows a token, and from pages those of known origins. */
export class Gate {
  private readonly tokens: readonly Known[]
  private readonly origins: ReadonlySet<string>
  private isLocal = false

  constructor({ token, tokens = {}, origins = [] }: GateOptions) {
    this.tokens = [
      ...(token === undefined ? [] : [{ digest: digest(token), name: undefined }]),
      ...Object.entries(tokens).map(([name, each]) => ({ digest: digest(each), name })),
    ]
    this.origins = new Set(origins)
  }

  /**
   * Only this machine reaches the port, so that whoever calls is trusted where no token is asked for. A page of anywhere can
   * have its own name lead to this machine, and then it calls under that name.
   */
  keepLocal(): void {
    this.isLocal = this.tokens.length === 0
  }

  /** Whether a caller may not do what it asks for. @param isOpen Whether that takes no token. */
  refusal(request: IncomingMessage, isOpen: boolean): Refusal | undefined {
    if (this.isLocal && !this.isOwn(request)) return misled
    if (!this.isWelcome(request)) return forbidden
    return isOpen || this.isKnown(request) ? undefined : unauthorized
  }

  /** Whose token a caller shows; undefined where it shows none, or one that has no name. */
  nameOf({ headers }: IncomingMessage): string | undefined {
    return this.tokens.length === 0 ? undefined : this.shown(headers)?.name
  }

  /** What lets the page of another origin read the answer. */
  headers({ headers: { origin } }: IncomingMessage): Readonly<Record<string, string>> {
    if (this.origins.size === 0) return {}
    return {
      vary: 'origin',
      ...(origin !== undefined && this.isListed(origin)
        ? {
            'access-control-allow-origin': origin,
            'access-control-expose-headers': 'x-correlation-id, weir-as-of, retry-after',
          }
        : {}),
    }
  }

  /** The answer to a browser that asks whether a page may call; undefined for any other request. */
  preflight({ method, headers }: IncomingMessage): HttpReply | undefined {
    const asked = headers['access-control-request-method']
    if (method !== 'OPTIONS' || asked === undefined || headers.origin === undefined) return undefined
    if (!this.isListed(headers.origin)) return forbidden
    return {
      status: 204,
      headers: {
        'access-control-allow-methods': 'GET, HEAD, POST',
        'access-control-allow-headers':
          'authorization, content-type, x-correlation-id, x-request-id, traceparent, tracestate',
        'access-control-max-age': '600',
      },
    }
  }

  /** Only browsers tell an origin, and they tell that of the page. */
  private isWelcome({ headers: { origin, host } }: IncomingMessage): boolean {
    if (origin === undefined || this.isListed(origin)) return true
    return URL.canParse(origin) && new URL(origin).host === host
  }

  /** Whether a caller names this machine, or one that is listed. */
  private isOwn({ headers: { host } }: IncomingMessage): boolean {
    if (host === undefined || this.origins.has('*')) return true
    if (this.origins.has(`http://${host}`) || this.origins.has(`https://${host}`)) return true
    const name = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : ''
    return name === 'localhost' || name.endsWith('.localhost') || isIP(name.replace(/^\[|\]$/g, '')) !== 0
  }

  private isListed(origin: string): boolean {
    return this.origins.has(origin) || this.origins.has('*')
  }

  private isKnown({ headers }: IncomingMessage): boolean {
    return this.tokens.length === 0 || this.shown(headers) !== undefined
  }

  /** Compares digests, and all of them, which takes as long whatever is wrong. */
  private shown({ authorization = '' }: IncomingMessage['headers']): Known | undefined {
    const [, shown = ''] = /^bearer +(.+)$/i.exec(authorization) ?? []
    const own = digest(shown)
    return this.tokens.filter((each) => timingSafeEqual(own, each.digest))[0]
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

const forbidden: Refusal = {
  status: 403,
  body: { error: 'pages of this origin may not call here' },
  refused: 'origin',
}

const misled: Refusal = {
  status: 403,
  body: { error: 'this port is called as localhost, under another name when `origins` lists that, or with a token' },
  refused: 'host',
}

const unauthorized: Refusal = {
  status: 401,
  headers: { 'www-authenticate': 'Bearer' },
  body: { error: "a token is asked for, as 'authorization: Bearer …'" },
  refused: 'token',
}
