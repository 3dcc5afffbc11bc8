import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { DseClientOptions } from 'cassandra-driver'
import { z } from 'zod'
import { clientDuration } from '../model/index.js'
import { definedOnly, tlsOptions } from '../sql/index.js'

const usualPort = 9_042

const tls = tlsOptions.extend({
  servername: z
    .string()
    .optional()
    .describe('The name that the certificates must bear, if neither the address of the node nor a contact point.'),
})

export const consistency = z.enum([
  'any',
  'one',
  'two',
  'three',
  'localOne',
  'quorum',
  'localQuorum',
  'eachQuorum',
  'all',
])

export type Consistency = z.output<typeof consistency>

export const connectionOptions = z
  .strictObject({
    contactPoints: z
      .array(z.string().regex(/^[^/@\s]+$/, 'expected host or host:port'))
      .min(1)
      .describe('Some of the nodes, each as host or host:port; the others are found by them.'),
    localDataCenter: z
      .string()
      .min(1)
      .default('datacenter1')
      .describe('The data centre whose nodes are used; `nodetool status` names it.'),
    keyspace: z.string().min(1).describe('The keyspace of the tables, spelled as in the catalog.'),
    replication: z
      .int()
      .min(1)
      .optional()
      .describe('Creates the keyspace when it is missing, with so many replicas in the data centre.'),
    username: z.string().optional().describe('The user, where the cluster wants one.'),
    password: z.string().optional().describe('The password of `username`.'),
    ssl: z.union([z.boolean(), tls]).optional().describe('Whether to use TLS, or how.'),
    consistency: consistency
      .default('localQuorum')
      .describe('How many replicas have to confirm a write or a read, unless a stage says otherwise.'),
    timeout: clientDuration.default(12_000).describe('How long a node may take for an answer.'),
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    path: ['password'],
    message: '`username` and `password` go together',
  })

export type ConnectionOptions = z.output<typeof connectionOptions>

/** Where the options lead to, in the driver's words. */
export function clientOptions(options: ConnectionOptions, app: string): DseClientOptions {
  const { contactPoints, localDataCenter, username, password, ssl, timeout } = options
  return {
    contactPoints: [...contactPoints],
    localDataCenter,
    applicationName: app,
    monitorReporting: { enabled: false },
    protocolOptions: { port: portOf(contactPoints[0] ?? '') },
    socketOptions: { connectTimeout: 10_000, readTimeout: timeout },
    ...(username === undefined || password === undefined ? {} : { credentials: { username, password } }),
    ...(ssl === undefined || ssl === false ? {} : { sslOptions: sslOptions(ssl, contactPoints) }),
  }
}

type SslOptions = NonNullable<DseClientOptions['sslOptions']>

/** The driver would take any certificate, and knows nodes by their addresses alone, which few certificates bear. */
function sslOptions(ssl: true | z.output<typeof tls>, contactPoints: readonly string[]): SslOptions {
  const given = ssl === true ? {} : definedOnly<z.output<typeof tls>>(ssl)
  const named = contactPoints.map((point) => point.replace(/:\d+$/, ''))
  const names = given.servername === undefined ? named : [given.servername]
  return {
    ...(given as SslOptions),
    rejectUnauthorized: given.rejectUnauthorized !== false,
    checkServerIdentity: (host: string, certificate: PeerCertificate) => {
      const isNamed = names.some((name) => checkServerIdentity(name, certificate) === undefined)
      return isNamed ? undefined : checkServerIdentity(host, certificate)
    },
  }
}

/** The port of the nodes that nobody has named. */
function portOf(contactPoint: string): number {
  return Number(/:(\d+)$/.exec(contactPoint)?.[1] ?? usualPort)
}

/** For people: no password. */
export function addressOf({ contactPoints, keyspace, username }: ConnectionOptions): string {
  return `cassandra://${username === undefined ? '' : `${username}@`}${contactPoints.join(',')}/${keyspace}`
}
