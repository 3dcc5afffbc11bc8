import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, describe, expect, test } from 'vitest'
import { type ClientSettings, codes } from '../../src/kafka/client.js'
import { BrokerConnection } from '../../src/kafka/fetch/connection.js'
import { laneObstacle, laneSettings } from '../../src/kafka/fetch/lane-settings.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { FakeBroker } from '../support/fake-broker.js'

const folder = mkdtempSync(join(tmpdir(), 'weir-lane-'))
afterAll(() => rmSync(folder, { recursive: true }))

const at = (name: string) => join(folder, name)
const put = (name: string, text: string) => {
  writeFileSync(at(name), text)
  return at(name)
}
const of = (client: ClientSettings) => laneSettings({ 'metadata.broker.list': 'b:1', ...client })

describe("the client's settings", () => {
  test.each([
    ['a', [['a', 9092]]],
    ['a:1, b:2', [['a', 1], ['b', 2]]], // biome-ignore format: as a list
    ['PLAINTEXT://a:1', [['a', 1]]],
    ['[::1]:9093,[fe80::1]', [['::1', 9093], ['fe80::1', 9092]]], // biome-ignore format: as a list
    ['10.0.0.1:9', [['10.0.0.1', 9]]],
  ])('name brokers: %s', (list, brokers) => {
    expect(of({ 'metadata.broker.list': list }).brokers).toEqual(brokers.map(([host, port]) => ({ host, port })))
  })

  test('count as the client has them: of names that mean the same the last, and values as texts too', () => {
    const settings = of({
      'bootstrap.servers': 'c:3',
      'client.id': 'orders',
      'client.rack': 'eu-1',
      'socket.keepalive.enable': 'true',
      'socket.nagle.disable': false,
      'socket.timeout.ms': '5000',
      'socket.connection.setup.timeout.ms': 2_000,
      'broker.address.family': 'v6',
      'reconnect.backoff.ms': 50,
      'reconnect.backoff.max.ms': '1000',
      'fetch.max.bytes': 200_000_000,
      'fetch.message.max.bytes': 10,
      'max.partition.fetch.bytes': 20,
      'fetch.min.bytes': 1,
      'fetch.wait.max.ms': 100,
    })
    expect(settings).toMatchObject({
      brokers: [{ host: 'c', port: 3 }],
      clientId: 'orders',
      rack: 'eu-1',
      ...{ keepAlive: true, noDelay: false, requestMs: 5_000, setupMs: 2_000, family: 6 },
      reconnect: { leastMs: 50, mostMs: 1_000 },
      mostBytes: 200_000_512,
      fetch: { minBytes: 1, maxWaitMs: 100, maxBytes: 200_000_000, partitionBytes: 20 },
    })
    expect([settings.tls, settings.login]).toEqual([undefined, undefined])
  })

  const token = () => Promise.resolve({ tokenValue: 'x' })
  const sasl = (mechanism: string) => ({ 'security.protocol': 'SASL_PLAINTEXT', 'sasl.mechanisms': mechanism })
  test.each([
    [{}],
    [{ 'security.protocol': 'ssl' }],
    [{ ...sasl('PLAIN'), 'sasl.username': 'a', 'sasl.password': 'b' }],
    [{ ...sasl('SCRAM-SHA-256') }],
    [{ ...sasl('OAUTHBEARER'), oauthbearer_token_refresh_cb: token, 'sasl.oauthbearer.scope': 'unused' }],
    [{ ...sasl('PLAIN'), 'sasl.kerberos.service.name': 'kafka' }],
    // Nothing of it is of use where there is no TLS, or no login.
    [{ 'ssl.keystore.location': '/store', 'sasl.mechanism': 'GSSAPI', 'ssl.engine.id': 'x' }],
    [
      {
        'socket.max.fails': 3,
        'socket.send.buffer.bytes': 1,
        'broker.address.ttl': 1,
        'socket.receive.buffer.bytes': 0,
      },
    ],
    [{ 'isolation.level': 'read_committed', 'api.version.request': true, 'client.dns.lookup': 'use_all_dns_ips' }],
    [{ 'statistics.interval.ms': 1, 'queued.max.messages.kbytes': 1, debug: 'all', 'group.id': 'g' }],
  ])('that the lane can do, or need not: %j', (client) => {
    expect(laneObstacle(client)).toBeUndefined()
  })

  const ssl = (name: string, value: unknown) => ({ 'security.protocol': 'SSL', [name]: value })
  test.each([
    [{ 'security.protocol': 'SASL_SSL' }, /log in by GSSAPI/],
    [sasl('GSSAPI'), /log in by GSSAPI/],
    [sasl('AWS_MSK_IAM'), /log in by AWS_MSK_IAM/],
    [sasl('OAUTHBEARER'), /tokens/],
    [{ ...sasl('OAUTHBEARER'), 'sasl.oauthbearer.method': 'oidc' }, /'sasl.oauthbearer.method'/],
    [{ ...sasl('PLAIN'), 'sasl.new.setting': 1 }, /'sasl.new.setting'/],
    [ssl('ssl.keystore.location', '/x'), /'ssl.keystore.location'/],
    [ssl('ssl.crl.location', '/x'), /'ssl.crl.location'/],
    [ssl('ssl.providers', 'legacy'), /'ssl.providers'/],
    [ssl('ssl.new.setting', 1), /'ssl.new.setting'/],
    [ssl('ssl.ca.location', folder), /'ssl.ca.location' is a folder/],
    [{ 'socket.receive.buffer.bytes': 65_536 }, /'socket.receive.buffer.bytes'/],
    [{ 'socket.new.setting': 1 }, /'socket.new.setting'/],
    [{ 'broker.new.setting': 1 }, /'broker.new.setting'/],
    [{ 'client.dns.lookup': 'resolve_canonical_bootstrap_servers_only' }, /'client.dns.lookup'/],
    [{ 'plugin.library.paths': 'x' }, /'plugin.library.paths'/],
    [{ 'isolation.level': 'read_uncommitted' }, /'isolation.level'/],
  ])('that only the client can do: %j', (client, why) => {
    expect(laneObstacle(client)).toMatch(why)
    expect(() => of(client)).toThrow(why)
  })

  test('that can not be used are told', () => {
    const tls = { 'security.protocol': 'ssl' }
    const unusable = (message: RegExp) =>
      expect.objectContaining({ code: codes.unusable, message: expect.stringMatching(message) })
    expect(() => of({ ...tls, 'ssl.ca.location': at('nowhere.pem') })).toThrow(unusable(/nowhere.pem.*can't be read/))
    expect(() => of({ ...tls, 'ssl.key.pem': 'my secret' })).toThrow(unusable(/ssl option/))
    expect(() => of({ ...tls, 'ssl.key.pem': 'my secret' })).not.toThrow(/secret/)
  })
})

describe('TLS is spoken as the settings say', () => {
  const [authority, stranger] = [new Authority(), new Authority('stranger')]
  const here = authority.issue()
  const elsewhere = authority.issue({ names: 'DNS:elsewhere.example' })
  const own = authority.issue({ passphrase: 'open sesame' })
  const authorities = put('ca.pem', authority.cert)
  const shown = { 'ssl.certificate.location': put('own.pem', own.cert), 'ssl.key.location': put('own.key', own.key) }

  /** How a connection goes to a broker with such a certificate. */
  async function tried(server: Certificate & { maxVersion?: 'TLSv1.2'; ciphers?: string }, client: ClientSettings) {
    const fake = await FakeBroker.start({ ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: false })
    const settings = of({ 'bootstrap.servers': `localhost:${fake.port}`, 'security.protocol': 'ssl', ...client })
    const connection = new BrokerConnection(settings.brokers[0]!, settings)
    try {
      await connection.connect().catch((error: Error) => {
        throw new Error(error.message)
      })
      const socket = fake.questions[0]?.socket as TLSSocket & { servername: string }
      return { servername: socket.servername, authorized: socket.authorized, cipher: socket.getCipher().name }
    } finally {
      connection.close()
      await fake.close()
    }
  }

  const ca = { 'ssl.ca.pem': authority.cert }
  test.each([
    ['trusted', here, ca],
    ['trusted by a file', here, { 'ssl.ca.location': authorities }],
    ['one of several that are trusted', here, { 'ssl.ca.pem': `${stranger.cert}${authority.cert}` }],
    ['of another name', elsewhere, { ...ca, 'ssl.endpoint.identification.algorithm': 'none' }],
    ['a stranger', stranger.issue(), { ...ca, 'enable.ssl.certificate.verification': false }],
  ])('with one who is %s', async (_, certificate, client) => {
    expect((await tried(certificate, client)).servername).toBe('localhost')
  })

  test.each([
    ['of another name', elsewhere, ca, /it is for DNS:elsewhere.example, and not for localhost/],
    ['of another name, and trusted', elsewhere, { ...ca, 'ssl.endpoint.identification.algorithm': 'https' }, /not for/],
    ['a stranger', stranger.issue(), ca, /signed by stranger, which is not trusted/],
    ['a stranger to this system', here, {}, /signed by authority, which is not trusted/],
    ['expired', authority.issue({ days: -1 }), ca, /it expired at/],
    [
      'a stranger of the right name',
      stranger.issue(),
      { ...ca, 'ssl.endpoint.identification.algorithm': 'none' },
      /not/,
    ],
  ])('not with one who is %s', async (_, certificate, client, message) => {
    await expect(tried(certificate, client)).rejects.toThrow(message)
  })

  test('with what was made before of the same certificates, which takes long', () => {
    const context = (pem: string) => of({ 'security.protocol': 'ssl', 'ssl.ca.pem': pem }).tls?.context
    expect(context(authority.cert)).toBe(context(authority.cert))
    expect(context(authority.cert)).not.toBe(context(stranger.cert))
  })

  test('with a certificate of our own, the key of which is encrypted', async () => {
    expect(await tried(here, { ...ca, ...shown, 'ssl.key.password': 'open sesame' })).toMatchObject({
      authorized: true,
    })
    expect(await tried(here, ca)).toMatchObject({ authorized: false })
    expect(() => of({ 'security.protocol': 'ssl', ...shown, 'ssl.key.password': 'wrong' })).toThrow(/ssl option/)
  })

  test('with the ciphers that are named, and those of TLS 1.3 as ever', async () => {
    const name = 'ECDHE-ECDSA-AES128-GCM-SHA256'
    const client = { ...ca, 'ssl.cipher.suites': name, 'ssl.curves.list': 'P-256', 'ssl.sigalgs.list': 'ECDSA+SHA256' }
    expect((await tried({ ...here, maxVersion: 'TLSv1.2' }, client)).cipher).toBe(name)
    expect((await tried(here, client)).cipher).toMatch(/^TLS_/)
    const other = { ...here, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' } as const
    await expect(tried(other, client)).rejects.toThrow(/SSL alert number 40/)
  })
})
