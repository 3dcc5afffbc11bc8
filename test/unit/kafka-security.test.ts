import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import shipped from '../../flows.config.js'
import { redactor } from '../../src/config/secrets.js'
import { compile } from '../../src/engine/index.js'
import { connectionOptions } from '../../src/kafka/options.js'
import { securitySettings } from '../../src/kafka/security.js'
import { messageOf } from '../../src/model/index.js'
import { Authority, type Certificate } from '../support/certificates.js'

let folder: string
let authority: Authority
let own: Certificate
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-security-'))
  authority = new Authority()
  own = authority.issue()
  const [other, locked, expired] = [
    authority.issue(),
    authority.issue({ passphrase: 'open sesame' }),
    authority.issue({ days: -1 }),
  ]
  const files = {
    'ca.pem': `\uFEFFthe authorities that we trust\n${new Authority('another').cert}\n${authority.cert}`,
    'own.pem': own.cert,
    'own.key': own.key,
    'other.key': other.key,
    'locked.pem': locked.cert,
    'locked.key': locked.key,
    'expired.pem': expired.cert,
    'expired.key': expired.key,
    'store.jks': Buffer.from('feedfeed00000002', 'hex'),
    'torn.pem': own.cert.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n'),
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
})
afterAll(() => rmSync(folder, { recursive: true }))

const at = (name: string) => join(folder, name)
/** The variables of the shipped configuration, with files by their names in the folder. */
function variables(given: Record<string, string>): Record<string, string> {
  const entries = Object.entries({ KAFKA_BROKERS: 'b:9093', ...given })
  return Object.fromEntries(entries.map(([name, value]) => [name, name.endsWith('LOCATION') ? at(value) : value]))
}

const login = {
  KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
  KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
  KAFKA_SASL_USERNAME: 'weir',
  KAFKA_SASL_PASSWORD: 'p4ss:w/rd',
}
const identity = {
  KAFKA_SECURITY_PROTOCOL: 'SSL',
  KAFKA_SSL_CERTIFICATE_LOCATION: 'own.pem',
  KAFKA_SSL_KEY_LOCATION: 'own.key',
}
const without = (given: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(given).filter(([one]) => one !== name))

/** What the shipped configuration makes of the environment, for the client. */
function settingsOf(given: Record<string, string>) {
  const connection = compile(shipped, { environment: variables(given) }).connections.get('kafka')
  return securitySettings(connection?.options as Parameters<typeof securitySettings>[0])
}

describe('the shipped configuration', () => {
  test('speaks plaintext where nothing is said', () => {
    expect(settingsOf({})).toEqual({ 'security.protocol': 'plaintext' })
  })

  test.each(['SASL_SSL', 'SASL_PLAINTEXT', 'sasl_ssl'])('logs in by %s', (protocol) => {
    expect(settingsOf({ ...login, KAFKA_SECURITY_PROTOCOL: protocol })).toMatchObject({
      'security.protocol': protocol.toLowerCase(),
      'sasl.mechanism': 'SCRAM-SHA-512',
      'sasl.username': 'weir',
      'sasl.password': 'p4ss:w/rd',
    })
  })

  test('takes the password from a file', () => {
    writeFileSync(at('password'), 'from a file\n')
    const given = { ...without(login, 'KAFKA_SASL_PASSWORD'), KAFKA_SASL_PASSWORD_FILE: at('password') }
    expect(settingsOf(given)).toMatchObject({ 'sasl.password': 'from a file' })
    expect(redactor(shipped, variables(given))('as weir:from a file')).toBe('as weir:[secret]')
  })

  test('shows a certificate, and trusts authorities, of files: nothing of them but PEM', () => {
    const settings = settingsOf({ ...identity, KAFKA_SSL_CA_LOCATION: 'ca.pem' })
    expect(settings).toMatchObject({
      'security.protocol': 'ssl',
      'ssl.certificate.pem': own.cert.trim(),
      'ssl.key.pem': own.key.trim(),
    })
    expect(settings['ssl.ca.pem']).toMatch(/^-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n-----BEGIN/)
  })

  test('opens an encrypted key', () => {
    const locked = { KAFKA_SSL_CERTIFICATE_LOCATION: 'locked.pem', KAFKA_SSL_KEY_LOCATION: 'locked.key' }
    const settings = settingsOf({ ...identity, ...locked, KAFKA_SSL_KEY_PASSWORD: 'open sesame' })
    expect(settings).toMatchObject({ 'ssl.key.password': 'open sesame' })
  })

  const mistakes: [string, Record<string, string>, RegExp][] = [
    ['a protocol that is none', { KAFKA_SECURITY_PROTOCOL: 'TLS' }, /KAFKA_SECURITY_PROTOCOL.*one of PLAINTEXT, SSL/],
    ['a mechanism that is none', { ...login, KAFKA_SASL_MECHANISM: 'GSSAPI' }, /KAFKA_SASL_MECHANISM.*one of PLAIN,/],
    [
      'a login without a mechanism',
      without(login, 'KAFKA_SASL_MECHANISM'),
      /'sasl.mechanism' \(KAFKA_SASL_MECHANISM\) is missing: PLAIN, SCRAM-SHA-256 or/,
    ],
    [
      'a username without a password',
      without(login, 'KAFKA_SASL_PASSWORD'),
      /'sasl.password' \(KAFKA_SASL_PASSWORD\) is missing: SCRAM-SHA-512 logs in/,
    ],
    ['a password without a username', without(login, 'KAFKA_SASL_USERNAME'), /\(KAFKA_SASL_USERNAME\) is missing/],
    [
      'a login, and no protocol',
      without(login, 'KAFKA_SECURITY_PROTOCOL'),
      /\(KAFKA_SECURITY_PROTOCOL\) is 'PLAINTEXT', which has no login, and sasl gives mechanism, username, password: set 'SASL_SSL'/,
    ],
    [
      'authorities, and no encryption',
      { ...login, KAFKA_SECURITY_PROTOCOL: 'SASL_PLAINTEXT', KAFKA_SSL_CA_LOCATION: 'ca.pem' },
      /is 'SASL_PLAINTEXT', which is not encrypted, and ssl gives caFile: set 'SASL_SSL'/,
    ],
    [
      'a secured cluster that is not named',
      { ...login, KAFKA_BROKERS: '' },
      /'brokers' \(KAFKA_BROKERS or REDPANDA_BROKER\) is 'embedded', which is neither encrypted/,
    ],
    [
      'a certificate without a key',
      without(identity, 'KAFKA_SSL_KEY_LOCATION'),
      /\(KAFKA_SSL_KEY_LOCATION\) is missing: a certificate is shown with its key/,
    ],
    [
      'a key without a certificate',
      without(identity, 'KAFKA_SSL_CERTIFICATE_LOCATION'),
      /\(KAFKA_SSL_CERTIFICATE_LOCATION\) is missing/,
    ],
    [
      'a file that is not there',
      { ...identity, KAFKA_SSL_CA_LOCATION: 'nowhere.pem' },
      /\(KAFKA_SSL_CA_LOCATION\) can't be read: ENOENT.*nowhere\.pem/,
    ],
    [
      'a file that is a folder',
      { ...identity, KAFKA_SSL_CA_LOCATION: '.' },
      /\(KAFKA_SSL_CA_LOCATION\) can't be read: EISDIR/,
    ],
    [
      'a key store of Java',
      { ...identity, KAFKA_SSL_CA_LOCATION: 'store.jks' },
      /\(KAFKA_SSL_CA_LOCATION\) has no certificate in PEM/,
    ],
    [
      'a key in the place of a certificate',
      { ...identity, KAFKA_SSL_CERTIFICATE_LOCATION: 'own.key' },
      /\(KAFKA_SSL_CERTIFICATE_LOCATION\) has no certificate in PEM/,
    ],
    [
      'a certificate of which a line is missing',
      { ...identity, KAFKA_SSL_CERTIFICATE_LOCATION: 'torn.pem' },
      /\(KAFKA_SSL_CERTIFICATE_LOCATION\) has a certificate that can't be read/,
    ],
    [
      "another certificate's key",
      { ...identity, KAFKA_SSL_KEY_LOCATION: 'other.key' },
      /\(KAFKA_SSL_KEY_LOCATION\) is not the key of the certificate of certFile/,
    ],
    [
      'an encrypted key without a passphrase',
      { ...identity, KAFKA_SSL_KEY_LOCATION: 'locked.key' },
      /\(KAFKA_SSL_KEY_PASSWORD\) is missing: the key of keyFile is encrypted/,
    ],
    [
      'an encrypted key with another passphrase',
      { ...identity, KAFKA_SSL_KEY_LOCATION: 'locked.key', KAFKA_SSL_KEY_PASSWORD: 'close sesame' },
      /\(KAFKA_SSL_KEY_PASSWORD\) does not open the key of keyFile/,
    ],
    [
      'a certificate that has expired',
      { ...identity, KAFKA_SSL_CERTIFICATE_LOCATION: 'expired.pem', KAFKA_SSL_KEY_LOCATION: 'expired.key' },
      /\(KAFKA_SSL_CERTIFICATE_LOCATION\) expired at \d{4}-\d\d-\d\dT[\d:.]+Z/,
    ],
    [
      'an authority that has expired',
      { ...identity, KAFKA_SSL_CA_LOCATION: 'expired.pem' },
      /\(KAFKA_SSL_CA_LOCATION\) expired at/,
    ],
  ]

  test.each(mistakes)('refuses %s before anything connects, and shows no secret', (_, given, said) => {
    const text = textOf(() => compile(shipped, { environment: variables(given) }))
    expect(text).toMatch(said)
    expect(text.split('\n')).toHaveLength(1)
    expect(text).not.toMatch(/p4ss|sesame|BEGIN [A-Z]* ?(PRIVATE|CERT)/)
  })
})

describe('a connection', () => {
  const plain = { mechanism: 'PLAIN', username: 'ann', password: 'secret' }
  const faultsOf = (options: object) =>
    connectionOptions
      .safeParse({ brokers: 'b:9093', ...options })
      .error?.issues.map(({ path, message }) => [path.join('.'), message]) ?? []

  test.each([
    ['a text and a file', { ssl: { ca: 'x', caFile: 'y' } }, 'ssl.caFile', /beside ca/],
    ['a mechanism alone', { sasl: { mechanism: 'PLAIN' } }, 'sasl.username', /is missing/],
    ['a token for another mechanism', { sasl: { ...plain, token: () => undefined } }, 'sasl.token', /OAUTHBEARER only/],
    ['OAUTHBEARER without a token', { sasl: { mechanism: 'OAUTHBEARER' } }, 'sasl.token', /is missing/],
    ['an encryption that is none', { securityProtocol: 'PLAINTEXT', ssl: true }, 'securityProtocol', /not encrypted/],
    ['no encryption that is one', { securityProtocol: 'SSL', ssl: false }, 'securityProtocol', /ssl is false/],
    ['an embedded broker with TLS', { brokers: 'embedded', ssl: true }, 'brokers', /neither encrypted/],
  ])('is refused with %s', (_, options, path, message) => {
    expect(faultsOf(options)).toContainEqual([path, expect.stringMatching(message)])
  })

  test('is refused with a key that it does not show', () => {
    const [[path, message] = []] = faultsOf({ ssl: { cert: own.cert, key: 'my secret key' } })
    expect([path, message]).toEqual(['ssl.key', expect.not.stringContaining('secret key')])
  })

  test('has its files read anew for each client, and tells what is wrong with them then', () => {
    const [cert, key] = [at('rotating.pem'), at('rotating.key')]
    const put = (pair: Certificate) => {
      writeFileSync(cert, pair.cert)
      writeFileSync(key, pair.key)
    }
    put(own)
    const options = connectionOptions.parse({ brokers: 'b:9093', ssl: { certFile: cert, keyFile: key } })
    const next = authority.issue()
    put(next)
    expect(securitySettings(options)['ssl.certificate.pem']).toBe(next.cert.trim())
    writeFileSync(cert, own.cert)
    expect(() => securitySettings(options)).toThrow(`${key} (ssl.keyFile) is not the key of the certificate`)
  })
})

function textOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return messageOf(error)
  }
  throw new Error('it compiled')
}
