import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mysql, postgres, redis } from '../../src/index.js'
import { describeError } from '../../src/model/index.js'
import { selfSigned } from '../support/certificates.js'
import { failureOf } from '../support/use-connection.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { missingRedis, RedisServer } from './redis-server.js'

const trusted = selfSigned()
const foreign = selfSigned()

type Ssl = boolean | { readonly ca: string }
interface Server {
  /** With TLS as the client is told to use it, at a port that speaks it or one that does not. */
  client(ssl: Ssl, password: string, speaksTls: boolean): Parameters<typeof failureOf>[0]
  close(): Promise<unknown>
}

async function postgresServer(): Promise<Server> {
  const [secured, plain] = await Promise.all([PostgresServer.start({ tls: trusted }), PostgresServer.start()])
  return {
    client: (ssl, password, speaksTls) =>
      postgres({ url: `postgres://guest:${password}@127.0.0.1:${(speaksTls ? secured : plain).port}/postgres`, ssl }),
    close: () => Promise.all([secured.close(), plain.close()]),
  }
}

async function redisServer(): Promise<Server> {
  const server = await RedisServer.start({ tls: trusted, settings: ['--requirepass', 'right'] })
  return {
    client: (ssl, password, speaksTls) =>
      redis({ url: `redis://:${password}@127.0.0.1:${speaksTls ? server.tlsPort : server.port}`, ssl }),
    close: () => server.close(),
  }
}

async function mariadbServer(): Promise<Server> {
  const [secured, plain] = await Promise.all([MariadbServer.start({ tls: trusted }), MariadbServer.start()])
  await secured.query("CREATE USER guest@'127.0.0.1' IDENTIFIED BY 'right' REQUIRE SSL")
  return {
    client: (ssl, password, speaksTls) =>
      mysql({ host: '127.0.0.1', port: (speaksTls ? secured : plain).port, user: 'guest', password, ssl }),
    close: () => Promise.all([secured.close(), plain.close()]),
  }
}

describe.each([
  [
    'PostgreSQL',
    missingPostgres,
    postgresServer,
    /no encryption/,
    /does not support SSL/,
    /password authentication failed/,
  ],
  ['Redis', missingRedis, redisServer, /TLS/, /TLS/, /WRONGPASS|invalid username-password/],
  ['MariaDB', missingMariadb, mariadbServer, /Access denied/, /does not support secure connection/, /Access denied/],
] as const)('%s with TLS', (_, missing, start, wantsTls, hasNone, refusesPassword) => {
  describe.skipIf(missing() !== undefined)('', () => {
    let server: Server
    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server?.close())

    const failure = async (ssl: Ssl, { password = 'right', speaksTls = true } = {}) => {
      const error = await failureOf(server.client(ssl, password, speaksTls))
      return error === undefined ? undefined : describeError(error)
    }

    test('serves who trusts its certificate', async () => expect(await failure({ ca: trusted.cert })).toBeUndefined())

    test.each([
      ['nobody', true],
      ['another', { ca: foreign.cert }],
    ])('is refused by who trusts %s', async (_who, ssl) =>
      expect(await failure(ssl)).toMatch(/self-signed certificate|unable to verify/),
    )

    test('tells who speaks no TLS', async () => expect(await failure(false)).toMatch(wantsTls))

    test('that speaks none is told of by who wants it', async () =>
      expect(await failure({ ca: trusted.cert }, { speaksTls: false })).toMatch(hasNone))

    test('refuses a wrong password in words', async () =>
      expect(await failure({ ca: trusted.cert }, { password: 'wrong' })).toMatch(refusesPassword))
  })
})
