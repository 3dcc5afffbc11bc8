import { createHmac } from 'node:crypto'

const prefix = 'whsec_'
/** What Standard Webhooks allows, bytes. */
const [fewest, most] = [24, 64]

export const secretRule = `expected '${prefix}' and ${fewest} to ${most} random bytes in base64 (openssl rand -base64 32)`

/** Whether it is a secret of Standard Webhooks, with its prefix or without. */
export function isSecret(text: string): boolean {
  const encoded = withoutPrefix(text)
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return false
  const { length } = Buffer.from(encoded, 'base64')
  return length >= fewest && length <= most
}

/** What says that a request comes from who has the secrets: a signature by each of them. */
export class Signature {
  private readonly keys: readonly Buffer[]

  constructor(secrets: readonly string[]) {
    this.keys = secrets.map((secret) => Buffer.from(withoutPrefix(secret), 'base64'))
  }

  /** The headers of a request that is sent now. */
  headersOf(id: string, body: Buffer, now: number): Readonly<Record<string, string>> {
    const timestamp = String(Math.floor(now / 1_000))
    const told = { 'webhook-id': id, 'idempotency-key': id, 'webhook-timestamp': timestamp }
    if (this.keys.length === 0) return told
    const signatures = this.keys.map((key) => {
      return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`
    })
    return { ...told, 'webhook-signature': signatures.join(' ') }
  }
}

function withoutPrefix(secret: string): string {
  return secret.startsWith(prefix) ? secret.slice(prefix.length) : secret
}
