import { messageOf } from './errors.js'

/** As Node calls it where nobody vouches for a certificate that is trusted. */
const untrusted = /SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)/

/** What broke a request: fetch itself only says that it failed, its cause says why. */
export function causeOf(error: unknown): string {
  const { cause = error } = error as { readonly cause?: unknown }
  const isUntrusted = untrusted.test(String((cause as { readonly code?: unknown } | null)?.code))
  const hint = ' (NODE_EXTRA_CA_CERTS names a file of further authorities to trust, before the process starts)'
  return `${messageOf(cause)}${isUntrusted ? hint : ''}`
}
