import { isIP } from 'node:net'
import type { ClientConfig } from 'pg'
import { z } from 'zod'
import { clientDuration } from '../model/index.js'
import { addressWithoutSecrets, definedOnly, hasStrayAt, strayAt, tlsOptions } from '../sql/index.js'
import { tlsOfUrl, withoutTls } from './url-tls.js'

const tls = tlsOptions.extend({
  servername: z.string().optional().describe('The name that the certificate must bear, if not the host.'),
})

export const connectionOptions = z
  .strictObject({
    url: z
      .string()
      .regex(/^(embedded|postgres(ql)?:\/\/.+)$/, "expected 'embedded' or postgres://user:password@host:port/database")
      .optional()
      .describe(
        '`embedded`, or postgres://user:password@host:port/database. Without `url` and `host` it is `embedded`.',
      ),
    host: z.string().optional().describe('The host, where there is no `url`.'),
    port: z.int().min(1).max(65_535).default(5_432).describe('The port on `host`.'),
    user: z.string().optional().describe('The user on `host`.'),
    password: z.string().optional().describe('The password of `user`.'),
    database: z.string().optional().describe('The database on `host`. Default: as the user is named.'),
    ssl: z.union([z.boolean(), tls]).optional().describe('Whether to use TLS, or how.'),
    poolSize: z
      .int()
      .min(1)
      .default(10)
      .describe('How many connections are open at most. The embedded server has one.'),
    statementTimeout: clientDuration
      .default(30_000)
      .describe(
        'How long one statement may take, and how long the server keeps the transaction of a process that it does not hear of; 0 leaves it to the server (some poolers refuse the setting).',
      ),
  })
  .superRefine(({ url, ssl }, context) => {
    const { said, fault } = url === undefined ? {} : tlsOfUrl(url)
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (url !== undefined && hasStrayAt(url)) refuse('url', strayAt)
    if (fault !== undefined) refuse('url', fault)
    else if (said !== undefined && ssl !== undefined)
      refuse('ssl', `\`url\` says ${said} about TLS as well: leave one of them out`)
  })

export type ConnectionOptions = z.output<typeof connectionOptions>

export function isEmbedded({ url, host }: ConnectionOptions): boolean {
  return url === 'embedded' || (url === undefined && host === undefined)
}

/** Where the options lead to, in the driver's words. */
export function clientConfig(options: ConnectionOptions): ClientConfig {
  const { url, host, port, user, password, database, ssl } = options
  if (url === undefined)
    return definedOnly<ClientConfig>({ host, port, user, password, database, ssl: named(ssl, host) })
  const { hostname } = URL.canParse(url) ? new URL(url) : { hostname: undefined }
  return definedOnly<ClientConfig>({
    connectionString: withoutTls(url),
    ssl: named(ssl ?? tlsOfUrl(url).ssl, hostname),
  })
}

/** Of a host that is a bare address the driver would look for the name 'localhost' in the certificate. */
function named(ssl: ClientConfig['ssl'], host: string | undefined): ClientConfig['ssl'] {
  const address = host?.replace(/^\[|\]$/g, '') ?? ''
  if (ssl === undefined || ssl === false || isIP(address) === 0) return ssl
  return { host: address, ...(ssl === true ? {} : definedOnly(ssl)) }
}

export function addressOf(options: ConnectionOptions): string {
  return addressWithoutSecrets('postgres', { ...options, database: options.database ?? options.user })
}
