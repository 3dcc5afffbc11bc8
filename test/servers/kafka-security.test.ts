import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientSettings } from '../../src/kafka/client.js'
import { GroupConsumer } from '../../src/kafka/consumer.js'
import { kafkaError } from '../../src/kafka/errors.js'
import { Brokers } from '../../src/kafka/fetch/brokers.js'
import { fetch } from '../../src/kafka/fetch/protocol/fetch.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { connectionOptions } from '../../src/kafka/options.js'
import { KafkaProducer } from '../../src/kafka/producer.js'
import { securitySettings } from '../../src/kafka/security.js'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.js'
import { describeError } from '../../src/model/index.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import {
  connect,
  fresh,
  Member,
  makeTopic,
  openSink,
  recordOf,
  sinkOf,
  sourceOf,
  text,
  writeAll,
  writeTo,
} from './kafka-support.js'

const password = String.raw`r1ght, "pa=ss"\wörd #%@:/'`

describe.skipIf(requireKafka() !== undefined)('a secured Kafka', () => {
  const [authority, stranger] = [new Authority(), new Authority('stranger')]
  const ca = authority.cert
  let folder: string
  let kafka: KafkaCluster
  const closing: Promise<void>[] = []
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weir-secured-'))
    const [tls, clients] = [authority.issue(), join(folder, 'clients.pem')]
    writeFileSync(clients, ca)
    kafka = await KafkaCluster.start({
      listeners: {
        scram: { tls, logins: ['SCRAM-SHA-256', 'SCRAM-SHA-512'] },
        plain: { tls, logins: ['PLAIN'] },
        open: { logins: ['PLAIN'] },
        tls: { tls },
        mutual: { tls, clients },
        expired: { tls: authority.issue({ days: -1 }) },
        bearer: { tls, logins: ['OAUTHBEARER'] },
        brief: { logins: ['PLAIN', 'SCRAM-SHA-512', 'OAUTHBEARER'], loginMs: 2_000 },
        elsewhere: { tls: authority.issue({ names: 'DNS:elsewhere.example' }) },
      },
      users: { weir: password },
    })
  })
  afterAll(async () => {
    await Promise.all(closing)
    await kafka?.close()
    rmSync(folder, { recursive: true })
  })

  const bearer = (lives = 3_600_000) => ({ sasl: { mechanism: 'OAUTHBEARER', token: tokens(lives).next } })
  const login = (mechanism: string, given = password) => ({ sasl: { mechanism, username: 'weir', password: given } })
  const shown = ({ cert, key }: Certificate, passphrase?: string) => ({ ssl: { ca, cert, key, passphrase } })

  test.each([
    ['scram', () => ({ ssl: { ca }, ...login('SCRAM-SHA-256') })],
    ['scram', () => ({ ssl: { ca }, ...login('SCRAM-SHA-512') })],
    ['plain', () => ({ ssl: { ca }, ...login('PLAIN') })],
    ['mutual', () => shown(authority.issue())],
    ['mutual', () => shown(authority.issue({ passphrase: 'open sesame' }), 'open sesame')],
    ['tls', () => ({ ssl: { ca: `${stranger.cert}${ca}` } })],
    ['bearer', () => ({ ssl: { ca }, ...bearer() })],
  ])('is written to and read by who has what it wants: %s, %#', async (listener, options) => {
    const [topic, connection] = [fresh('topic'), connect(kafka.at(listener), options())]
    const sink = sinkOf(connection, { topic, partitions: 1 })
    await openSink(sink)
    await writeAll(sink, [recordOf('first'), recordOf('second')])
    const member = new Member(sourceOf(connection, { topic, group: topic, from: 'earliest' }))
    await member.until(() => member.partitions === 1, 'it is assigned')
    expect((await member.read(2)).map(text)).toEqual(['first', 'second'])
    await member.commit()
    member.leave()
    const lane = await laneOf(kafka.at(listener), options(), topic)
    expect(await lane.values()).toEqual(expect.stringMatching(/first.*second/s))
    lane.close()
    sink.close?.().subscribe()
    await connection.close()
  })

  test.concurrent.each([
    ['PLAIN', () => login('PLAIN')],
    ['SCRAM-SHA-512', () => login('SCRAM-SHA-512')],
    ['OAUTHBEARER', () => bearer()],
  ])('is read on over one connection beyond the end of a login, which is made anew, by %s', async (_, options) => {
    const [topic, connection] = [fresh('topic'), connect(kafka.bootstrap)]
    await makeTopic(connection, topic)
    await writeTo(connection, topic, ['value'])
    await connection.close()
    const lane = await laneOf(kafka.at('brief'), options(), topic)
    const until = performance.now() + 5_000
    while (performance.now() < until) {
      // Several on their way at any time.
      const answers = await Promise.all([lane.values(), lane.values(), lane.values()])
      expect(answers.join()).toMatch(/(value.*){3}/s)
    }
    expect(lane.connection.isOpen).toBe(true)
    lane.close()
  })

  test.concurrent('is read on with a new token when one has ended', async ({ expect }) => {
    const { next, given } = tokens(2_500)
    const [topic, connection] = [fresh('topic'), connect(kafka.bootstrap)]
    await makeTopic(connection, topic)
    await connection.close()
    const sasl = { mechanism: 'OAUTHBEARER', token: next }
    const lane = await laneOf(kafka.at('bearer'), { ssl: { ca }, sasl }, topic)
    await expect.poll(given).toBeGreaterThan(2)
    await lane.values()
    expect(lane.connection.isOpen).toBe(true)
    lane.close()
  })

  const clients: [string, (settings: ClientSettings) => Refusable][] = [
    ['a producer', (settings) => new KafkaProducer(settings, producing, { refused: () => undefined })],
    ['a producer of transactions', (settings) => new TransactionalProducer(settings, 'weir')],
    ['a reader of logs', (settings) => new LogReader(settings)],
    ['a member of a group', (settings) => new GroupConsumer({ ...settings, 'group.id': 'g' }, silent)],
    ['a connection of our own', (settings) => lone(new Brokers(() => Promise.resolve(settings)))],
  ]

  /** What a client says of these options, as it is told to people. */
  async function refusal(make: (settings: ClientSettings) => Refusable, address: string, options: object) {
    const parsed = connectionOptions.parse({ brokers: address, ...options })
    const client = make({ 'metadata.broker.list': address, ...securitySettings(parsed) })
    const error = await client.connect(['topic']).then(
      () => new Error('it was let in'),
      (error: Error) => kafkaError('WEIR_SOURCE_UNREACHABLE', 'connecting', error, { address: 'any of them' }),
    )
    closing.push(client.close())
    return describeError(error)
  }

  const refused: [string, string, () => object, RegExp][] = [
    ['a wrong password', 'plain', () => ({ ssl: { ca }, ...login('PLAIN', 'wr0ng pass') }), /refused the login.*Check/],
    [
      'a wrong password, by SCRAM',
      'scram',
      () => ({ ssl: { ca }, ...login('SCRAM-SHA-256', 'wr0ng pass') }),
      /refused the login.*Check mechanism, username and password/,
    ],
    [
      'a mechanism that is not enabled',
      'plain',
      () => ({ ssl: { ca }, ...login('SCRAM-SHA-512') }),
      /refused the login.*supported mechanisms: PLAIN/,
    ],
    ['an expired certificate', 'expired', () => ({ ssl: { ca } }), /it expired at \d{4}-.*Give the broker/],
    ['another name', 'elsewhere', () => ({ ssl: { ca } }), /it is for DNS:elsewhere.example, and not for 127.0.0.1/],
    ['an authority that nobody named', 'tls', () => ({ ssl: true }), /signed by authority.*caFile/],
    ['another authority', 'tls', () => ({ ssl: { ca: stranger.cert } }), /signed by authority, which is not trusted/],
    [
      'no certificate of a client',
      'mutual',
      () => ({ ssl: { ca } }),
      /asks for a certificate of this client, and there is none/,
    ],
    [
      'a certificate of a stranger',
      'mutual',
      () => shown(stranger.issue()),
      /does not take the certificate of this client, 'CN=localhost', signed by 'CN=stranger'/,
    ],
    ['no TLS where it is wanted', 'tls', () => ({}), /wants TLS/],
    ['no TLS where it is wanted, with a login', 'plain', () => login('PLAIN'), /wants TLS/],
    ['TLS where there is none', 'bootstrap', () => ({ ssl: { ca } }), /speaks no TLS/],
    ['TLS where there is none, with a login', 'open', () => ({ ssl: { ca }, ...login('PLAIN') }), /speaks no TLS/],
    ['no login where one is wanted', 'open', () => ({}), /wants a login/],
    ['no login where one is wanted, with TLS', 'plain', () => ({ ssl: { ca } }), /wants a login/],
    ['a login where none is wanted', 'bootstrap', () => login('PLAIN'), /This port asks for no login/],
    ['a login where none is wanted, with TLS', 'tls', () => ({ ssl: { ca }, ...login('PLAIN') }), /asks for no login/],
  ]

  test.each(refused)('says at once that it refuses %s, whoever asks', async (_, listener, options, why) => {
    const address = listener === 'bootstrap' ? kafka.bootstrap : kafka.at(listener)
    const all = clients.map(async ([name, make]) => [name, await refusal(make, address, options())] as const)
    for (const [name, said] of await Promise.all(all)) {
      expect(said, name).toMatch(why)
      expect(said, name).toContain(`broker ${address}`)
      // As it would say after 5 s.
      expect(said, name).not.toMatch(/wr0ng|does not answer/)
    }
  })
})

interface Refusable {
  connect(topics: readonly string[]): Promise<void>
  close(): Promise<void>
}

const lone = (brokers: Brokers): Refusable => ({
  connect: (topics) => brokers.refresh(topics),
  close: () => Promise.resolve(brokers.close()),
})

/** A topic of one partition, read over a connection of our own. */
async function laneOf(address: string, options: object, topic: string) {
  const parsed = connectionOptions.parse({ brokers: address, ...options })
  const settings = { 'metadata.broker.list': address, ...securitySettings(parsed) }
  const brokers = new Brokers(() => Promise.resolve(settings))
  await brokers.refresh([topic])
  const connection = await brokers.connectionTo(brokers.leaderOf(topic, 0)?.node ?? -1)
  const partitions = [{ partition: 0, leaderEpoch: -1, offset: 0, lastFetchedEpoch: -1, maxBytes: 100_000 }]
  const request = { maxWaitMs: 100, minBytes: 1, maxBytes: 100_000, rack: '', topics: [{ topic, partitions }] }
  const values = async () => String((await connection.request(fetch, request, 5_000)).partitions[0]?.records)
  return { connection, values, close: () => brokers.close() }
}

/** Tokens of nobody's, which hold for so long. */
function tokens(lives: number) {
  const part = (content: object) => Buffer.from(JSON.stringify(content)).toString('base64url')
  let given = 0
  const next = () => {
    given++
    const expiresAt = Date.now() + lives
    const claims = { sub: 'weir', iat: Date.now() / 1_000, exp: expiresAt / 1_000 }
    return Promise.resolve({ value: `${part({ alg: 'none' })}.${part(claims)}.`, expiresAt, principal: 'weir' })
  }
  return { next, given: () => given }
}

const producing = { deliveryTimeoutMs: 5_000, compression: 'none', lingerMs: 0, singly: false } as const
const silent = {
  assigned: () => undefined,
  revoked: () => undefined,
  wake: () => undefined,
  throttled: () => undefined,
  error: () => undefined,
}
