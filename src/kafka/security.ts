import { z } from 'zod'
import { fn, systemClock } from '../model/index.js'
import { type ClientError, type ClientSettings, codes } from './client.js'
import { type PemFault, type PemOptions, readPems } from './pems.js'

/** What an OAUTHBEARER token provider gives. */
export interface OAuthToken {
  readonly value: string
  /** When it ends, ms since the Unix epoch. */
  readonly expiresAt: number
  readonly principal?: string
  readonly extensions?: Readonly<Record<string, string>>
}

const pem = z.union([z.string(), z.instanceof(Buffer)]).transform(String)
const file = z.string()

const tls = z.strictObject({
  ca: pem.optional().describe("The certificates that sign the brokers', as PEM. Default: the system's."),
  caFile: file.optional().describe('The same as a file.'),
  cert: pem.optional().describe('The certificate of this client, as PEM, where brokers ask for one.'),
  certFile: file.optional().describe('The same as a file, with the certificates between it and its authority.'),
  key: pem.optional().describe('The private key of this client, as PEM.'),
  keyFile: file.optional().describe('The same as a file.'),
  passphrase: z.string().optional().describe('The passphrase of the private key, where it is encrypted.'),
  rejectUnauthorized: z
    .boolean()
    .default(true)
    .describe('Whether a broker whose certificate does not hold is refused.'),
  checkHostname: z.boolean().default(true).describe("Whether the brokers' names must match their certificates."),
})

const login = z.strictObject({
  mechanism: z
    .enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'])
    .optional()
    .describe('How to log in; the brokers say which they take. PLAIN sends the password itself.'),
  username: z.string().optional().describe('The user.'),
  password: z.string().optional().describe('The password; take it from the environment with `secret()`.'),
  token: fn<() => Promise<OAuthToken>>({ mayWait: true })
    .optional()
    .describe('Of OAUTHBEARER, in place of user and password: gives a token; called again before it ends.'),
})

const protocols = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const

/** The options with which a connection is secured. */
export const securityOptions = {
  securityProtocol: z
    .enum(protocols)
    .optional()
    .describe(
      'What is spoken with the brokers, in their words. Default: what `ssl` and `sasl` need. Where it is given, `ssl` and `sasl` say how, and may be there with nothing in them.',
    ),
  ssl: z.union([z.boolean(), tls]).optional().describe('Encryption: true, or certificates of your own. Default: none.'),
  sasl: login.optional().describe('The login, where brokers ask for one.'),
}

type Tls = z.output<typeof tls>
type Login = z.output<typeof login>

interface Security {
  readonly securityProtocol?: (typeof protocols)[number] | undefined
  readonly ssl?: boolean | Tls | undefined
  readonly sasl?: Login | undefined
}

interface Fault {
  readonly path: readonly string[]
  readonly message: string
}

/** What can't work of these options, before anything connects. */
export function securityFaults(options: Security, isEmbedded: boolean): readonly Fault[] {
  const { encrypts, logsIn } = protocolOf(options)
  const tls = typeof options.ssl === 'object' ? options.ssl : {}
  return [
    ...(isEmbedded && (encrypts || logsIn) ? [embeddedFault] : []),
    ...contradictions(options),
    ...(logsIn ? loginFaults(options.sasl ?? {}) : []),
    ...(encrypts ? identityFaults(tls) : []),
  ]
}

const embeddedFault = {
  path: ['brokers'],
  message: "is 'embedded', which is neither encrypted nor asks for a login: name your brokers, or leave those out",
}

/** Encryption and login as librdkafka has them. Files are read now. Errors: `ClientError` when they can't be used. */
export function securitySettings(options: Security): ClientSettings {
  const { name, encrypts, logsIn } = protocolOf(options)
  return {
    'security.protocol': name.toLowerCase(),
    ...(encrypts && typeof options.ssl === 'object' ? tlsSettings(options.ssl) : {}),
    ...(logsIn ? loginSettings(options.sasl ?? {}) : {}),
  }
}

function protocolOf({ securityProtocol, ssl = false, sasl }: Security) {
  const encrypts = securityProtocol?.endsWith('SSL') ?? ssl !== false
  const logsIn = securityProtocol?.startsWith('SASL') ?? given(sasl).length > 0
  return { name: `${logsIn ? 'SASL_' : ''}${encrypts ? 'SSL' : 'PLAINTEXT'}`, encrypts, logsIn }
}

/** What is said beside a protocol that has no use for it was meant to protect something. */
function contradictions({ securityProtocol: name, ssl, sasl }: Security): Fault[] {
  if (name === undefined) return []
  const path = ['securityProtocol']
  const [login, encryption] = [
    given(sasl),
    ssl === true ? ['it'] : given(typeof ssl === 'object' ? certificates(ssl) : {}),
  ]
  const faults: Fault[] = []
  if (login.length > 0 && !name.startsWith('SASL'))
    faults.push({
      path,
      message: `is '${name}', which has no login, and sasl gives ${login.join(', ')}: set 'SASL_SSL'`,
    })
  if (encryption.length > 0 && !name.endsWith('SSL'))
    faults.push({
      path,
      message: `is '${name}', which is not encrypted, and ssl gives ${encryption.join(', ')}: set '${name === 'PLAINTEXT' ? 'SSL' : 'SASL_SSL'}'`,
    })
  if (ssl === false && name.endsWith('SSL'))
    faults.push({ path, message: `is '${name}', which is encrypted, and ssl is false: leave one of them out` })
  return faults
}

function loginFaults({ mechanism, username, password, token }: Login): Fault[] {
  const fault = (field: string, message: string) => ({ path: ['sasl', field], message })
  const lacks = (field: string, value: unknown, why: string) =>
    value === undefined || value === '' ? [fault(field, `is missing: ${why}`)] : []
  if (mechanism === undefined)
    return [fault('mechanism', 'is missing: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, whichever the brokers take')]
  if (mechanism === 'OAUTHBEARER')
    return [
      ...lacks('token', token, 'OAUTHBEARER logs in with a token, not with a password'),
      ...given({ username, password }).map((field) => fault(field, 'is not for OAUTHBEARER, which takes a token')),
    ]
  const why = `${mechanism} logs in with a username and a password`
  return [
    ...lacks('username', username, why),
    ...lacks('password', password, why),
    ...given({ token }).map((field) => fault(field, 'is for OAUTHBEARER only')),
  ]
}

function identityFaults(tls: PemOptions): Fault[] {
  const has = (part: 'cert' | 'key') => tls[part] !== undefined || tls[`${part}File`] !== undefined
  const lacks = (field: string, message: string) => ({ path: ['ssl', field], message: `is missing: ${message}` })
  const missing = [
    ...(has('cert') && !has('key') ? [lacks('keyFile', 'a certificate is shown with its key only')] : []),
    ...(has('key') && !has('cert') ? [lacks('certFile', 'a key is shown with its certificate only')] : []),
    ...(tls.passphrase !== undefined && !has('key') ? [lacks('keyFile', 'there is a passphrase, and no key')] : []),
  ]
  const { faults } = readPems(tls, systemClock.now())
  return [...missing, ...faults.map(({ option, message }) => ({ path: ['ssl', option], message }))]
}

function tlsSettings(tls: Tls): ClientSettings {
  const { pems, faults } = readPems(tls, systemClock.now())
  const [fault] = faults
  if (fault !== undefined) throw unusable(tls, fault)
  return {
    ...(pems.ca === undefined ? {} : { 'ssl.ca.pem': pems.ca }),
    ...(pems.cert === undefined ? {} : { 'ssl.certificate.pem': pems.cert }),
    ...(pems.key === undefined ? {} : { 'ssl.key.pem': pems.key }),
    ...(tls.passphrase === undefined ? {} : { 'ssl.key.password': tls.passphrase }),
    'enable.ssl.certificate.verification': tls.rejectUnauthorized,
    'ssl.endpoint.identification.algorithm': tls.checkHostname ? 'https' : 'none',
  }
}

function loginSettings({ mechanism, username, password, token }: Login): ClientSettings {
  if (token === undefined) return { 'sasl.mechanism': mechanism, 'sasl.username': username, 'sasl.password': password }
  return {
    'sasl.mechanism': mechanism,
    oauthbearer_token_refresh_cb: async () => {
      const { value, expiresAt, principal, extensions } = await token()
      return { tokenValue: value, lifetime: expiresAt, principal: principal ?? '', extensions: extensions ?? {} }
    },
  }
}

function certificates({ ca, caFile, cert, certFile, key, keyFile, passphrase }: PemOptions): PemOptions {
  return { ca, caFile, cert, certFile, key, keyFile, passphrase }
}

/** The names of what has a value. */
function given(options: object = {}): string[] {
  return Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [name]))
}

/** What is no file is never shown. */
function unusable(tls: PemOptions, { option, message }: PemFault): Error & ClientError {
  const what = option.endsWith('File') ? `${tls[option]} (ssl.${option})` : `ssl.${option}`
  return Object.assign(new Error(`${what} ${message}`), { code: codes.unusable })
}
