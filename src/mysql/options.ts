import type { PoolOptions } from 'mysql2'
import { z } from 'zod'
import { clientDuration } from '../model/index.js'
import { addressWithoutSecrets, definedOnly, hasStrayAt, strayAt, tlsOptions } from '../sql/index.js'

const connectTimeoutMs = 10_000

export const connectionOptions = z
  .strictObject({
    url: z
      .string()
      .regex(/^(mysql|mariadb):\/\/[^?]+$/, 'expected mysql://user:password@host:port/database, with no parameters')
      .optional()
      .describe('mysql://user:password@host:port/database.'),
    host: z.string().optional().describe('The host, where there is no `url`.'),
    port: z.int().min(1).max(65_535).default(3_306).describe('The port on `host`.'),
    user: z.string().optional().describe('The user on `host`.'),
    password: z.string().optional().describe('The password of `user`.'),
    database: z.string().optional().describe('The database on `host`.'),
    ssl: z.union([z.boolean(), tlsOptions]).optional().describe('Whether to use TLS, or how.'),
    poolSize: z.int().min(1).default(10).describe('How many connections are open at most.'),
    statementTimeout: clientDuration
      .default(30_000)
      .describe(
        'How long one statement may take, and wait for locks, and how long the server keeps the transaction of a process that it does not hear of; 0 leaves it to the server.',
      ),
  })
  .refine(({ url }) => url === undefined || !hasStrayAt(url), { path: ['url'], message: strayAt })
  .refine(({ url, host }) => url !== undefined || host !== undefined, 'expected `url` or `host`')

export type ConnectionOptions = z.output<typeof connectionOptions>

/** Where the options lead to, in the driver's words. */
export function poolConfig(options: ConnectionOptions, app: string): PoolOptions {
  const { url, host, port, user, password, database, poolSize } = options
  const where = url === undefined ? { host, port, user, password, database } : { uri: url }
  return definedOnly<PoolOptions>({
    ...where,
    ssl: sslOf(options),
    connectionLimit: poolSize,
    connectTimeout: connectTimeoutMs,
    connectAttributes: { program_name: app },
    charset: 'UTF8MB4_GENERAL_CI',
    timezone: 'Z',
    // What the session was told would be forgotten.
    resetOnRelease: false,
    // Stacks that lead into the driver are not worth their time.
    trace: false,
  })
}

/** The driver would take any name in a certificate that is valid. */
function sslOf({ ssl }: ConnectionOptions): PoolOptions['ssl'] {
  if (ssl === undefined || ssl === false) return undefined
  const given = ssl === true ? {} : definedOnly<Exclude<typeof ssl, true>>(ssl)
  return { ...given, verifyIdentity: given.rejectUnauthorized !== false } as PoolOptions['ssl']
}

/** For people: no password. */
export function addressOf(options: ConnectionOptions): string {
  return addressWithoutSecrets('mysql', options)
}
