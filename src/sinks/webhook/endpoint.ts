import { printableLine } from '../../model/index.js'
import { decoded, withoutLogin } from '../../model/url-login.js'

/** Shorter texts are words, and would blank out others. */
const shortest = 4
const longestExcerpt = 200

/** Where requests go, and what of it may be shown: what leads to a receiver is often all that it takes to post there. */
export class Endpoint {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Scheme and host alone. */
  readonly address: string
  private readonly hidden: readonly string[]

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    const { password, pathname, search, origin } = new URL(url)
    this.address = origin
    const bare = withoutLogin(url)
    this.url = new URL(bare.url).href
    this.headers = { ...bare.headers, ...lowerCased(headers) }
    const values = Object.values(this.headers)
    const parts = [url, this.url, pathname + search, pathname, search, password, decoded(password), ...values]
    const words = values.flatMap((value) => value.split(' '))
    this.hidden = [...new Set([...parts, ...words])]
      .filter(({ length }) => length >= shortest)
      .sort((one, other) => other.length - one.length)
  }

  static isUrl(this: void, url: string): boolean {
    return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  }

  /** What an answer says, in one short line, without what it may repeat of the request. */
  excerpt(text: string): string {
    const shown = this.hidden.reduce((left, secret) => left.replaceAll(secret, '[secret]'), text)
    return printableLine(shown.trim().slice(0, longestExcerpt))
  }
}

/** As those that the sink gives, which these go before. */
function lowerCased(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
