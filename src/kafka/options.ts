import { z } from 'zod'
import { fn } from '../model/index.js'
import type { ClientSettings } from './client.js'

/** What an OAUTHBEARER token provider gives. */
export interface OAuthToken {
  readonly value: string
  /** When it ends, ms since the Unix epoch. */
  readonly expiresAt: number
  readonly principal?: string
  readonly extensions?: Readonly<Record<string, string>>
}

const pem = z.union([z.string(), z.instanceof(Buffer)]).transform(String)

const tls = z.strictObject({
  ca: pem.optional().describe("The certificates that sign the brokers', as PEM. Default: the system's."),
  cert: pem.optional().describe('The certificate of this client, as PEM, where brokers ask for one.'),
  key: pem.optional().describe('The private key of this client, as PEM.'),
  passphrase: z.string().optional().describe('The passphrase of the private key.'),
  rejectUnauthorized: z
    .boolean()
    .default(true)
    .describe('Whether a broker whose certificate does not hold is refused.'),
  checkHostname: z.boolean().default(true).describe("Whether the brokers' names must match their certificates."),
})

const username = z.string().describe('The user.')
const password = z.string().describe('The password; take it from the environment with `secret()`.')

const sasl = z.discriminatedUnion('mechanism', [
  z.strictObject({
    mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']).describe('How to log in.'),
    username,
    password,
  }),
  z.strictObject({
    mechanism: z.literal('OAUTHBEARER').describe('How to log in: with a token.'),
    token: fn<() => Promise<OAuthToken>>({ mayWait: true }).describe('Gives a token; called again before it ends.'),
  }),
])

export const connectionOptions = z.strictObject({
  brokers: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .refine((brokers) => brokers === 'embedded' || brokerList(brokers).split(',').every(isBroker), {
      message: "expected 'host:port,host:port', without a scheme, or 'embedded'",
    })
    .describe(
      "The brokers to start from: 'host:port,host:port', a list of them, or 'embedded' for a broker inside this process that forgets everything at exit.",
    ),
  clientId: z.string().optional().describe('The name that brokers log. Default: the name of the app.'),
  ssl: z.union([z.boolean(), tls]).default(false).describe('Encryption: true, or certificates of your own.'),
  sasl: sasl.optional().describe('The login, where brokers ask for one.'),
  client: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe("Further settings of the client, as librdkafka names them; they go before Weir's own."),
})

export type ConnectionOptions = z.output<typeof connectionOptions>

function isBroker(address: string): boolean {
  const [, port = '9092'] = /^(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::(\d{1,5}))?$/.exec(address) ?? [undefined, '0']
  return Number(port) > 0 && Number(port) <= 65_535
}

/** `host:port,host:port`. */
export function brokerList(brokers: string | readonly string[]): string {
  return (typeof brokers === 'string' ? brokers.split(',') : brokers).map((broker) => broker.trim()).join(',')
}

/** Encryption and login as librdkafka has them. */
export function securitySettings({ ssl, sasl }: Pick<ConnectionOptions, 'ssl' | 'sasl'>): ClientSettings {
  const protocol = `${sasl === undefined ? '' : 'SASL_'}${ssl === false ? 'PLAINTEXT' : 'SSL'}`
  return {
    'security.protocol': protocol.toLowerCase(),
    ...(typeof ssl === 'object' ? tlsSettings(ssl) : {}),
    ...(sasl === undefined ? {} : loginSettings(sasl)),
  }
}

function tlsSettings(ssl: z.output<typeof tls>): ClientSettings {
  return {
    ...(ssl.ca === undefined ? {} : { 'ssl.ca.pem': ssl.ca }),
    ...(ssl.cert === undefined ? {} : { 'ssl.certificate.pem': ssl.cert }),
    ...(ssl.key === undefined ? {} : { 'ssl.key.pem': ssl.key }),
    ...(ssl.passphrase === undefined ? {} : { 'ssl.key.password': ssl.passphrase }),
    'enable.ssl.certificate.verification': ssl.rejectUnauthorized,
    'ssl.endpoint.identification.algorithm': ssl.checkHostname ? 'https' : 'none',
  }
}

function loginSettings(login: z.output<typeof sasl>): ClientSettings {
  if (login.mechanism !== 'OAUTHBEARER') {
    return { 'sasl.mechanism': login.mechanism, 'sasl.username': login.username, 'sasl.password': login.password }
  }
  return {
    'sasl.mechanism': 'OAUTHBEARER',
    oauthbearer_token_refresh_cb: async () => {
      const { value, expiresAt, principal, extensions } = await login.token()
      return { tokenValue: value, lifetime: expiresAt, principal: principal ?? '', extensions: extensions ?? {} }
    },
  }
}
