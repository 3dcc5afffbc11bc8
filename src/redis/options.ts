import type { RedisOptions } from 'ioredis'
import { z } from 'zod'
import { clientDuration } from '../model/index.js'

const tls = z.strictObject({
  ca: z.string().optional().describe('The certificate authorities to trust, in PEM.'),
  cert: z.string().optional().describe("This client's certificate, in PEM."),
  key: z.string().optional().describe("This client's key, in PEM."),
  rejectUnauthorized: z.boolean().optional().describe('Whether the certificate must be valid. Default: yes.'),
  servername: z.string().optional().describe('The name that the certificate must bear, if not the host.'),
})

const address = z
  .string()
  .regex(/^rediss?:\/\/.+$/, 'expected redis://user:password@host:port/database, or rediss:// for TLS')

const nodeAddress = z.string().regex(/^[^/@\s]+:\d+$/, 'expected host:port')

const sentinel = z.strictObject({
  nodes: z.array(nodeAddress).min(1).describe('Some of the sentinels, each as host:port.'),
  master: z.string().min(1).describe('The name under which the sentinels watch the server.'),
  username: z.string().optional().describe('The user at the sentinels, where they want one.'),
  password: z.string().optional().describe('The password of the sentinels, where they want one.'),
})

export const connectionOptions = z
  .strictObject({
    url: address.optional().describe('redis://user:password@host:port/database, or rediss:// for TLS.'),
    cluster: z.array(nodeAddress).min(1).optional().describe('For a cluster: some of its nodes, each as host:port.'),
    sentinel: sentinel.optional().describe('For a server with sentinels: where they are, and what they call it.'),
    database: z.int().min(0).optional().describe('The number of the database, where there is no `url`.'),
    username: z.string().optional().describe('The user, where the `url` names none.'),
    password: z.string().optional().describe('The password, where the `url` has none.'),
    ssl: z
      .union([z.boolean(), tls])
      .optional()
      .describe('Whether to use TLS, or how; `url` may say rediss:// instead.'),
    timeout: clientDuration
      .default(30_000)
      .describe('How long an answer may take before the connection counts as lost.'),
  })
  .refine(
    ({ url, cluster, sentinel }) => [url, cluster, sentinel].filter((place) => place !== undefined).length === 1,
    'expected one of `url`, `cluster` and `sentinel`',
  )
  .refine(({ url, ssl }) => ssl !== false || url?.startsWith('rediss:') !== true, {
    path: ['ssl'],
    message: '`url` says rediss://, which is TLS, and `ssl` says false: leave one of them out',
  })
  .refine(({ cluster, database }) => cluster === undefined || (database ?? 0) === 0, {
    path: ['database'],
    message: 'a cluster has database 0 only',
  })

export type ConnectionOptions = z.output<typeof connectionOptions>

/** What holds for each connection to a server, in the client's words. */
export function clientOptions({
  username,
  password,
  ssl,
  timeout,
  database,
}: ConnectionOptions): Pick<RedisOptions, 'username' | 'password' | 'db' | 'tls' | 'socketTimeout'> {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { db: database }),
    ...(ssl === undefined || ssl === false ? {} : { tls: ssl === true ? {} : ssl }),
    socketTimeout: timeout,
  }
}

type SentinelOption =
  | 'sentinels'
  | 'name'
  | 'sentinelUsername'
  | 'sentinelPassword'
  | 'enableTLSForSentinelMode'
  | 'sentinelTLS'

/** Where the sentinels are, in the client's words. */
export function sentinelOptions({ sentinel, ssl }: ConnectionOptions): Pick<RedisOptions, SentinelOption> {
  if (sentinel === undefined) return {}
  const { nodes, master, username, password } = sentinel
  return {
    sentinels: nodesOf(nodes),
    name: master,
    ...(username === undefined ? {} : { sentinelUsername: username }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(ssl === undefined || ssl === false
      ? {}
      : { enableTLSForSentinelMode: true, sentinelTLS: ssl === true ? {} : ssl }),
  }
}

export function nodesOf(addresses: readonly string[]): { host: string; port: number }[] {
  return addresses.map((node) => {
    const colon = node.lastIndexOf(':')
    return { host: node.slice(0, colon), port: Number(node.slice(colon + 1)) }
  })
}

/** For people: no password, and none of the URL's parameters. */
export function addressOf({ url, cluster, sentinel, username, ssl }: ConnectionOptions): string {
  const login = (name: string | undefined) => (name === undefined || name === '' ? '' : `${name}@`)
  const scheme = ssl === undefined || ssl === false ? 'redis' : 'rediss'
  if (cluster !== undefined) return `${scheme}://${login(username)}${cluster.join(',')}`
  if (sentinel !== undefined) return `${scheme}://${login(username)}${sentinel.master}[${sentinel.nodes.join(',')}]`
  // An @ too many is one of an unencoded password, and what follows it no host.
  if (url === undefined || !URL.canParse(url) || /@.*@/.test(url)) return 'redis://…'
  const { protocol, username: user, host, pathname } = new URL(url)
  return `${protocol}//${login(user === '' ? username : user)}${host}${pathname}`
}
