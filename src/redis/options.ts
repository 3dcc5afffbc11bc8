import type { RedisOptions } from 'ioredis'
import { z } from 'zod'
import { duration } from '../model/index.js'

const tls = z.strictObject({
  ca: z.string().optional().describe('The certificate authorities to trust, in PEM.'),
  cert: z.string().optional().describe("This client's certificate, in PEM."),
  key: z.string().optional().describe("This client's key, in PEM."),
  rejectUnauthorized: z.boolean().optional().describe('Whether the certificate must be valid. Default: yes.'),
  servername: z.string().optional().describe('The name that the certificate must bear, if not the host.'),
})

export const connectionOptions = z.strictObject({
  url: z
    .string()
    .regex(/^rediss?:\/\/.+$/, 'expected redis://user:password@host:port/database, or rediss:// for TLS')
    .describe('redis://user:password@host:port/database, or rediss:// for TLS.'),
  username: z.string().optional().describe('The user, where the `url` names none.'),
  password: z.string().optional().describe('The password, where the `url` has none.'),
  ssl: tls.optional().describe('How to use TLS, where more is to be said than rediss://.'),
  timeout: duration.default(30_000).describe('How long an answer may take before the connection counts as lost.'),
})

export type ConnectionOptions = z.output<typeof connectionOptions>

/** Where the options lead to, in the client's words. */
export function clientOptions({
  username,
  password,
  ssl,
  timeout,
}: ConnectionOptions): Pick<RedisOptions, 'username' | 'password' | 'tls' | 'socketTimeout'> {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ssl === undefined ? {} : { tls: ssl }),
    socketTimeout: timeout,
  }
}

/** For people: no password, and none of the URL's parameters. */
export function addressOf({ url, username }: ConnectionOptions): string {
  // An @ too many is one of an unencoded password, and what follows it no host.
  if (!URL.canParse(url) || /@.*@/.test(url)) return 'redis://…'
  const { protocol, username: user, host, pathname } = new URL(url)
  const name = user === '' ? (username ?? '') : user
  return `${protocol}//${name === '' ? '' : `${name}@`}${host}${pathname}`
}
