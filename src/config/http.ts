import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { z } from 'zod'
import type { WeirConfig } from '../engine/config.js'
import { ConfigError } from '../engine/config-error.js'
import { type Environment, env, messageOf, resolveSettings, type Setting, secret, WeirError } from '../model/index.js'

const origin = z.union([
  z.literal('*'),
  z.string().refine((text) => URL.canParse(text) && new URL(text).origin === text, {
    message: "expected an origin, such as 'https://shop.example', or '*'",
  }),
])

const token = z
  .string()
  .min(16, 'expected at least 16 characters')
  // Headers carry nothing else unchanged: nobody could show it.
  .regex(/^(?! )[\x20-\x7e]*(?<! )$/, 'expected ASCII, without blanks at its ends')

const options = z.strictObject({
  host: z.string().min(1).optional(),
  port: z.number().int().min(0).max(65_535).optional(),
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  token: token.optional(),
  tokens: z.record(z.string().min(1), token).optional(),
  origins: z.array(origin).optional(),
  maxConnections: z.number().int().min(1).optional(),
})

/** What is known of the port before it is opened; where nothing is said there is no value. */
export type HttpSettings = z.output<typeof options>

export const tokenSetting = secret('WEIR_TOKEN').optional()

/** The port as variables say, or else the configuration. Errors: `ConfigError` with every fault. */
export function httpSettings(
  { http }: Pick<WeirConfig, 'http'>,
  environment: Environment,
  directory?: string,
): HttpSettings {
  const given = (resolveSettings(http ?? {}, environment, directory) ?? {}) as Record<string, unknown>
  const parsed = options.safeParse({ ...given, ...fromEnvironment(environment) })
  if (parsed.success) return parsed.data
  throw new ConfigError(
    parsed.error.issues.map(({ path, message }) => ({
      message: path.length === 0 ? `http: ${message}` : `http: option '${path.join('.')}' ${message}`,
    })),
  )
}

function fromEnvironment(environment: Environment): Partial<HttpSettings> {
  const read = <T>(setting: Setting<T>) => setting.read(environment)
  const [cert, key] = [read(env('WEIR_TLS_CERT').optional()), read(env('WEIR_TLS_KEY').optional())]
  const variables = {
    host: read(env('WEIR_HOST').or(env('SERVER_HOST').optional())),
    port: read(env('SERVER_PORT').int().optional()),
    tls: cert === undefined && key === undefined ? undefined : { cert: cert ?? '', key: key ?? '' },
    token: read(tokenSetting),
    origins: read(env('WEIR_ORIGINS').list().optional()),
  }
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined))
}

/** The certificate and the key themselves. Errors: WEIR_CONFIG_INVALID when they can't be read or don't belong together. */
export function loadTls(tls: NonNullable<HttpSettings['tls']>): { readonly cert: string; readonly key: string } {
  const pair = { cert: pem('tls.cert', tls.cert), key: pem('tls.key', tls.key) }
  try {
    createSecureContext(pair)
    return pair
  } catch (error) {
    throw new WeirError('WEIR_CONFIG_INVALID', `http: using the certificate and its key: ${messageOf(error)}`, {
      hint: 'Give the key of that certificate, both in PEM and without a passphrase.',
      cause: error,
    })
  }
}

function pem(name: string, given: string): string {
  if (given.startsWith('-----BEGIN ')) return given
  try {
    return readFileSync(given, 'utf8')
  } catch (error) {
    throw new WeirError('WEIR_CONFIG_INVALID', `http: reading the file of ${name}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
