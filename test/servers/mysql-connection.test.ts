import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { firstValueFrom } from 'rxjs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connectionOptions, poolConfig } from '../../src/mysql/options.js'
import { openMysql } from '../contracts/mysql-under-test.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'

const missing = missingMariadb()

describe('addresses', () => {
  test.each([
    [{ url: 'mysql://ann:secret@db.example:6543/shop' }, 'mysql://ann@db.example:6543/shop'],
    [{ url: 'mariadb://db.example/shop' }, 'mysql://db.example/shop'],
    [{ host: 'db.example', user: 'ann', password: 'secret', database: 'shop' }, 'mysql://ann@db.example:3306/shop'],
  ])('%j', (options, address) => {
    expect(openMysql(options).address).toBe(address)
  })

  test.each([
    [{}],
    [{ url: 'postgres://db' }],
    [{ url: 'mysql://db/shop?ssl-mode=REQUIRED' }],
    [{ host: 'db', port: 0 }],
    [{ hots: 'db' }],
  ])('%j is refused', (options) => {
    expect(() => openMysql(options)).toThrow()
  })
})

test.each([['ann:sec@ret/with#odd'], ['ann:sec@ret'], ['ann:sec/r@t']])(
  'the login %s is refused, and not told',
  (login) => {
    const refusal = /^(?!.*sec)(?=.*%40 and %2F)/s
    expect(() => openMysql({ url: `mysql://${login}@db.example/shop` })).toThrow(refusal)
  },
)

test.each([
  [undefined, undefined],
  [false, undefined],
  [true, { verifyIdentity: true }],
  [{ ca: 'CA' }, { ca: 'CA', verifyIdentity: true }],
  [{ rejectUnauthorized: false }, { rejectUnauthorized: false, verifyIdentity: false }],
])('TLS by %j', (ssl, expected) => {
  expect(poolConfig(connectionOptions.parse({ host: 'db', ssl }), 'app').ssl).toEqual(expected)
})

describe.skipIf(missing !== undefined)(`a real MariaDB${missing === undefined ? '' : ` (${missing})`}`, () => {
  let server: MariadbServer
  let tls: { cert: string; key: string }

  beforeAll(async () => {
    tls = selfSigned('localhost')
    server = await MariadbServer.start({ tls })
  })
  afterAll(() => server?.close())

  const ask = <R>(sql: string, options: object = {}): Promise<R[]> => {
    const connection = openMysql({ url: server.url.replace('127.0.0.1', 'localhost'), ...options })
    onTestFinished(() => connection.close())
    return firstValueFrom(connection.run((client) => client.query<R>(sql)))
  }
  const cipher = "SHOW STATUS LIKE 'Ssl_cipher'"

  test('TLS with an authority that is trusted', async () => {
    expect(await ask(cipher)).toEqual([{ Variable_name: 'Ssl_cipher', Value: '' }])
    const [status] = await ask<{ Value: string }>(cipher, { ssl: { ca: tls.cert } })
    expect(status?.Value).toMatch(/^TLS_/)
  })

  test('TLS with one that is not', async () => {
    await expect(ask(cipher, { ssl: true })).rejects.toThrow('self-signed certificate')
    await expect(ask(cipher, { ssl: { ca: selfSigned('localhost').cert } })).rejects.toThrow('self-signed certificate')
    const [status] = await ask<{ Value: string }>(cipher, { ssl: { rejectUnauthorized: false } })
    expect(status?.Value).toMatch(/^TLS_/)
  })

  test('a session stands on its own settings, whatever the server has', async () => {
    const settings = await ask(
      'SELECT @@time_zone AS zone, @@character_set_client AS text, @@innodb_lock_wait_timeout AS wait',
      {
        statementTimeout: '7s',
      },
    )
    expect(settings).toEqual([{ zone: '+00:00', text: 'utf8mb4', wait: 7 }])
  })

  test('a server that does not answer is given up', { timeout: 100_000 }, async () => {
    await expect(ask('SELECT SLEEP(200)', { statementTimeout: '1s' })).rejects.toThrow(/timeout/i)
  })
})

function selfSigned(host: string): { cert: string; key: string } {
  const directory = mkdtempSync(join(tmpdir(), 'weir-tls-'))
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert]
  execFileSync('openssl', [...request, '-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`], {
    stdio: 'pipe',
  })
  const made = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
  rmSync(directory, { recursive: true })
  return made
}
