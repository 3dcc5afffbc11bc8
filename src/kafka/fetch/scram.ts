import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Exchange } from './exchange.js'

const derive = promisify(pbkdf2)
/** What RFC 7677 asks for at least, and far beyond what Kafka lets anybody have: a stranger shall not keep this process busy. */
const [fewest, most] = [4_096, 1_000_000]

export interface ScramLogin {
  readonly hash: 'sha256' | 'sha512'
  readonly username: string
  readonly password: string
}

/**
 * SCRAM (RFC 5802), without channel binding. Names and passwords are their bytes in UTF-8: SASLprep, which would make one of
 * characters that look alike, is left out as Kafka's own brokers and tools leave it out, for what they keep of a password is
 * made of its bytes. Errors when the broker does not prove that it knows the password too.
 */
export async function* scram({ hash, username, password }: ScramLogin, nonce = freshNonce()): Exchange {
  const named = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  const challenge = (yield Buffer.from(`n,,${named}`)).toString()
  const { salt, iterations, r } = asked(attributesOf(challenge), nonce)
  const salted = await derive(password, salt, iterations, createHash(hash).digest().length, hash)
  const mac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest()
  const bare = `c=${Buffer.from('n,,').toString('base64')},r=${r}`
  const both = `${named},${challenge},${bare}`
  const clientKey = mac(salted, 'Client Key')
  const signature = mac(createHash(hash).update(clientKey).digest(), both)
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] as number)))
  const end = attributesOf((yield Buffer.from(`${bare},p=${proof.toString('base64')}`)).toString())
  if (end['e'] !== undefined) throw new Error(`the broker ended it: ${end['e']}`)
  const theirs = Buffer.from(end['v'] ?? '', 'base64')
  const expected = mac(mac(salted, 'Server Key'), both)
  if (theirs.length !== expected.length || !timingSafeEqual(theirs, expected))
    throw new Error('the broker does not know the password itself, for its signature does not hold')
}

function asked({ m, r = '', s = '', i = '' }: Readonly<Record<string, string>>, nonce: string) {
  const [salt, iterations] = [Buffer.from(s, 'base64'), /^\d{1,9}$/.test(i) ? Number(i) : 0]
  const lacks =
    (m !== undefined && 'an extension that has to be known') ||
    ((!r.startsWith(nonce) || r === nonce) && 'a nonce that does not go on from that of this client') ||
    (salt.length === 0 && 'no salt') ||
    ((iterations < fewest || iterations > most) && `${i} iterations, of ${fewest} to ${most}`)
  if (lacks !== false) throw new Error(`the broker's challenge has ${lacks}`)
  return { salt, iterations, r }
}

/** `r=…,s=…,i=…`; a value may have `=` in it. */
function attributesOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(text.split(',').map((one) => [one.slice(0, 1), one.slice(2)]))
}

const freshNonce = () => randomBytes(24).toString('base64')
