import { z } from 'zod'

/** How TLS is set up, in PEM. */
export const tlsOptions = z.strictObject({
  ca: z.string().optional().describe('The certificate authorities to trust, in PEM.'),
  cert: z.string().optional().describe("This client's certificate, in PEM."),
  key: z.string().optional().describe("This client's key, in PEM."),
  rejectUnauthorized: z.boolean().optional().describe('Whether the certificate must be valid. Default: yes.'),
})

/** Where a server is. */
interface ServerOptions {
  readonly url?: string | undefined
  readonly host?: string | undefined
  readonly port: number
  readonly user?: string | undefined
  readonly database?: string | undefined
}

/** An @ too many is one of an unencoded password, and what follows it no host; so it is where a / has cut the password. */
export function hasStrayAt(url: string): boolean {
  return /^[^?]*@[^?]*@/.test(url) || (URL.canParse(url) && new URL(url).pathname.includes('@'))
}

export const strayAt = 'has an @ or a / in its password: write them as %40 and %2F'

/** An address for people: no password, and none of the URL's parameters. */
export function addressWithoutSecrets(scheme: string, { url, host, port, user, database }: ServerOptions): string {
  const login = (name: string | undefined) => (name === undefined || name === '' ? '' : `${name}@`)
  if (url === undefined) return `${scheme}://${login(user)}${host}:${port}/${database ?? ''}`
  if (!URL.canParse(url) || hasStrayAt(url)) return `${scheme}://…`
  const parsed = new URL(url)
  return `${scheme}://${login(parsed.username)}${parsed.host}${parsed.pathname}`
}

/** Drivers tell an option that is undefined from one that is not given. */
export function definedOnly<T extends object>(options: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
