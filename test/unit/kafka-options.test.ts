import { expect, test } from 'vitest'
import { z } from 'zod'
import { kafka } from '../../src/connectors/kafka.js'
import { kafkaError } from '../../src/kafka/errors.js'
import { brokerList, connectionOptions } from '../../src/kafka/options.js'
import { securitySettings } from '../../src/kafka/security.js'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { kafkaSink } from '../../src/sinks/kafka.js'
import { kafkaSource } from '../../src/sources/kafka.js'
import { Authority } from '../support/certificates.js'

const parse = (options: object) => connectionOptions.parse({ brokers: 'one:9092', ...options })

test('brokers are a list, or text with commas', () => {
  expect(brokerList(['one:9092', 'two:9092'])).toBe('one:9092,two:9092')
  expect(brokerList('one:9092, two:9092')).toBe('one:9092,two:9092')
})

test.each([
  [{}, 'plaintext'],
  [{ ssl: true }, 'ssl'],
  [{ sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' } }, 'sasl_plaintext'],
  [{ ssl: {}, sasl: { mechanism: 'SCRAM-SHA-512', username: 'u', password: 'p' } }, 'sasl_ssl'],
])('%j speaks %s', (options, protocol) => {
  expect(securitySettings(parse(options))['security.protocol']).toBe(protocol)
})

test('certificates and logins are passed on as the client names them', () => {
  const authority = new Authority()
  const { cert, key } = authority.issue({ passphrase: 'open' })
  const options = parse({
    ssl: { ca: Buffer.from(authority.cert), cert, key, passphrase: 'open', rejectUnauthorized: false },
    sasl: { mechanism: 'SCRAM-SHA-256', username: 'ann', password: 'secret' },
  })
  expect(securitySettings(options)).toEqual({
    'security.protocol': 'sasl_ssl',
    'ssl.ca.pem': authority.cert.trim(),
    'ssl.certificate.pem': cert.trim(),
    'ssl.key.pem': key.trim(),
    'ssl.key.password': 'open',
    'enable.ssl.certificate.verification': false,
    'ssl.endpoint.identification.algorithm': 'https',
    'sasl.mechanism': 'SCRAM-SHA-256',
    'sasl.username': 'ann',
    'sasl.password': 'secret',
  })
})

test('an OAUTHBEARER token is asked of the provider', async () => {
  const token = () => Promise.resolve({ value: 'jwt', expiresAt: 99, principal: 'ann' })
  const settings = securitySettings(parse({ sasl: { mechanism: 'OAUTHBEARER', token } }))
  const refresh = settings['oauthbearer_token_refresh_cb'] as () => Promise<unknown>
  expect(await refresh()).toEqual({ tokenValue: 'jwt', lifetime: 99, principal: 'ann', extensions: {} })
})

test('the embedded broker is refused in production', () => {
  const { definition } = kafka
  const context = {
    app: 'app',
    name: 'main',
    clock: systemClock,
    log: silentLogger,
    production: true,
    dataDirectory: '.',
  }
  const open = () => definition.open(definition.options.parse({ brokers: 'embedded' }), context)
  expect(open).toThrow(expect.objectContaining({ code: 'WEIR_CONFIG_EMBEDDED' }))
})

test.each([
  [{ code: -169, message: 'SASL authentication error' }, 'broker b:1 refused the login (SASL authentication error)'],
  [{ code: -195, message: 'broker transport failure' }, 'broker b:1 does not answer (broker transport failure)'],
  [{ code: 29, message: 'topic authorization failed' }, 'broker b:1 does not allow it (topic authorization failed)'],
])('%j is explained', (error, what) => {
  const { message } = kafkaError('WEIR_SOURCE_UNREACHABLE', "reading topic 'orders' of flow 'billing'", error, {
    address: 'b:1',
  })
  expect(message).toBe(`reading topic 'orders' of flow 'billing': ${what}`)
})

test.each([
  ['connection', connectionOptions],
  ['kafka.source', kafkaSource.options],
  ['kafka.sink', kafkaSink.options],
])('every option of %s is described', (_, schema) => {
  const undescribed = Object.entries(schema.shape as Record<string, z.ZodType>).filter(
    ([, field]) => !field.description,
  )
  expect(undescribed.map(([name]) => name)).toEqual([])
})
