import { z } from 'zod'

/** Of HTTP, as clients spell it: a login with blanks or at signs in it is known as one, and hidden, only then. */
export const httpAddress = z
  .url({ protocol: /^https?$/, error: 'expected a URL that begins with http:// or https://' })
  .transform((url) => new URL(url).href)

/** Whether a request can have these: what it can't, each try would fail with. */
export function areHeaders(headers: Readonly<Record<string, string>>): boolean {
  try {
    new Headers(headers)
    return true
  } catch {
    return false
  }
}
