import { messageOf } from '../../model/index.js'
import { type ClientError, codes } from '../client.js'
import type { Exchange } from './exchange.js'
import { scram } from './scram.js'

/** A way to log in by SASL. */
export interface Login {
  readonly mechanism: string
  /** Each login is an exchange of its own, on a connection that is open already too. */
  begin(): Exchange
}

/** A token as the client's callback gives it. */
export interface GivenToken {
  readonly tokenValue: string
  readonly extensions?: Readonly<Record<string, string>>
}

export function passwordLogin(mechanism: string, username: string, password: string): Login | undefined {
  const hashes = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const
  if (mechanism === 'PLAIN') return { mechanism, begin: () => plain(username, password) }
  const hash = hashes[mechanism as keyof typeof hashes]
  return hash === undefined ? undefined : { mechanism, begin: () => scram({ hash, username, password }) }
}

/** OAUTHBEARER (RFC 7628): each login asks for a token. */
export function tokenLogin(token: () => Promise<GivenToken>): Login {
  return { mechanism: 'OAUTHBEARER', begin: () => bearer(token) }
}

function* plain(username: string, password: string): Exchange {
  yield Buffer.from(`\0${username}\0${password}`)
}

async function* bearer(token: () => Promise<GivenToken>): Exchange {
  const answer = yield Buffer.from(await tokenWords(token))
  // The reason, in JSON; the broker waits for one byte before it refuses.
  if (answer.length === 0) return
  yield Buffer.from('\x01')
  throw new Error(`the token is refused: ${answer.toString().slice(0, 200)}`)
}

/** Errors: `ClientError` when there is no token, or one that would say something else to the broker than it is. */
async function tokenWords(token: () => Promise<GivenToken>): Promise<string> {
  const given = await token().catch((error: unknown) => {
    throw noToken(messageOf(error))
  })
  const { tokenValue, extensions = {} } = given
  if (!/^[\x21-\x7e]+$/.test(tokenValue)) throw noToken('what it gave is no token: it is empty, or has spaces in it')
  for (const [name, value] of Object.entries(extensions))
    if (!/^[A-Za-z]+$/.test(name) || name === 'auth' || !/^[\x20-\x7e\t\r\n]*$/.test(value))
      throw noToken(`its extension '${name}' has characters that none may have`)
  const more = Object.entries(extensions).map(([name, value]) => `${name}=${value}\x01`)
  return `n,,\x01auth=Bearer ${tokenValue}\x01${more.join('')}\x01`
}

function noToken(why: string): Error & ClientError {
  return Object.assign(new Error(`the token of the connection's sasl option: ${why}`), { code: codes.unusable })
}
