import { type Api, neverFlexible } from './api.js'

export interface SaslAuthenticateResponse {
  readonly error: number
  readonly message: string | null
  readonly bytes: Buffer
  /** How long the login holds, ms; 0: as long as the connection. */
  readonly lifetimeMs: number
}

/** One step of a login, in the bytes of its mechanism. */
export const saslAuthenticate: Api<{ readonly bytes: Uint8Array }, SaslAuthenticateResponse> = {
  name: 'SaslAuthenticate',
  key: 36,
  versions: [1, 1],
  flexibleFrom: neverFlexible,
  write(to, { bytes }) {
    to.bytesOf(bytes)
  },
  read(from) {
    const [error, message, bytes] = [from.int16(), from.nullableString(), from.bytesOf()]
    return { error, message, bytes, lifetimeMs: from.int64() }
  },
}
