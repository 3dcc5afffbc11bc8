import { type Api, neverFlexible } from './api.js'

export interface SaslHandshakeResponse {
  readonly error: number
  /** Those that the broker takes. */
  readonly mechanisms: readonly string[]
}

/** By which mechanism a login follows. */
export const saslHandshake: Api<{ readonly mechanism: string }, SaslHandshakeResponse> = {
  name: 'SaslHandshake',
  key: 17,
  versions: [1, 1],
  flexibleFrom: neverFlexible,
  write(to, { mechanism }) {
    to.string(mechanism)
  },
  read(from) {
    return { error: from.int16(), mechanisms: from.array(() => from.string()) }
  },
}
