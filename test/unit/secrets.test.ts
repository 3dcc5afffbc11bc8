import { firstValueFrom, of } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { httpSettings, loadTls } from '../../src/config/http.js'
import { redactor } from '../../src/config/secrets.js'
import type { FlowStatus } from '../../src/engine/status.js'
import { consoleSink, env, flow, http, kafka, type Setting, secret, sse } from '../../src/index.js'
import { printable, printableLine, WeirError } from '../../src/model/index.js'
import { createLog } from '../../src/worker/log.js'
import { createMetrics } from '../../src/worker/metrics.js'
import { workerAnswers } from '../../src/worker/routes.js'

const Event = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const
const flows = { orders: flow(http.post('/orders', { body: Event }), consoleSink()) }
const of_ = (setting: Setting<string>, environment: Record<string, string>) =>
  redactor({ flows, connections: { kafka: kafka({ brokers: setting }) } }, environment)

describe('a secret', () => {
  const url = 'https://ann:hunter2@feeds.example/private/0123456789abcdef?key=s3cr3t-s3cr3t&limit=10'

  test.each([
    'reading https://ann:hunter2@feeds.example/private/0123456789abcdef?key=s3cr3t-s3cr3t&limit=10: gone',
    'reading https://feeds.example/private/0123456789abcdef?key=s3cr3t-s3cr3t&limit=10: gone',
    'GET /private/0123456789abcdef?key=s3cr3t-s3cr3t&limit=10 answered 404',
    'the key s3cr3t-s3cr3t is revoked',
    `${encodeURIComponent('https://ann:hunter2@feeds.example/private/0123456789abcdef?key=s3cr3t-s3cr3t&limit=10')} is gone`,
  ])('that is a URL is shown in none of its spellings: %s', (text) => {
    const redacted = of_(secret('URL'), { URL: url })(text)
    expect(redacted).not.toMatch(/hunter2|s3cr3t|0123456789abcdef/)
  })

  test('is hidden where it is the second choice, one of a list, or the token of the port', () => {
    expect(of_(env('A').or(secret('B')), { B: 'hunter2' })('as hunter2')).toBe('as [secret]')
    expect(of_(secret('A'), { A: 'one-secret,two-secret' })('as two-secret')).toBe('as [secret]')
    expect(of_(env('A').default('b:1'), { WEIR_TOKEN: 'a token of some length' })('a token of some length')).toBe(
      '[secret]',
    )
  })

  test('that is the URL of a database hides its password, and not what is called like the database', () => {
    const redact = of_(secret('URL'), { URL: 'postgres://ann:hunter2@db.example/activity-metrics?sslmode=verify-full' })
    expect(redact('group activity-metrics.visits reads activity-metrics-0@7')).toBe(
      'group activity-metrics.visits reads activity-metrics-0@7',
    )
    expect(redact('postgres://ann:hunter2@db.example/activity-metrics: hunter2 is refused')).not.toContain('hunter2')
  })

  test('that is a URL without one hides nothing else', () => {
    const redact = of_(secret('URL'), { URL: 'redis://127.0.0.1:6379' })
    expect(redact('{"last":null} at 127.0.0.1')).toBe('{"last":null} at 127.0.0.1')
  })

  test('in a URL that nobody called a secret is hidden too', () => {
    const redact = of_(env('A').default('b:1'), {})
    expect(redact('reading postgres://ann:pw@db:5432/x and http://b.example/@c:d')).toBe(
      'reading postgres://[secret]@db:5432/x and http://b.example/@c:d',
    )
    expect(redact('redis://:pw@host')).toBe('redis://[secret]@host')
    expect(redact('polling https://ann:p@s@w@host/a')).toBe('polling https://[secret]@host/a')
  })

  test('that a source names in its errors is not told by health and readiness, which give the code and since when', async () => {
    const environment = { STREAM: 'https://stream.example/v1?token=abcdefghijklmnop' }
    const source = flow(sse({ url: secret('STREAM') }), consoleSink())
    const error = new WeirError('WEIR_SOURCE_UNREACHABLE', `reading ${environment.STREAM}: nobody answers`)
    const status = {
      flow: 'feed',
      state: 'failed',
      since: 0,
      failures: 1,
      error,
      trouble: error,
      stages: [],
      partitions: [],
    } as unknown as FlowStatus
    const answers = workerAnswers({
      flows: () => [status],
      clock: { now: () => 1, scheduler: { now: () => 1 } as never },
      metrics: createMetrics(
        () => [],
        () => 0,
      ),
      stuckAfterMs: 1,
      redact: redactor({ flows: { feed: source } }, environment),
      isStopping: () => false,
    })
    for (const answer of [await firstValueFrom(answers.health()), await firstValueFrom(answers.ready())]) {
      expect(JSON.stringify(answer)).not.toContain('abcdefghijklmnop')
      expect(answer).toMatchObject({
        flows: [
          {
            since: '1970-01-01T00:00:00.000Z',
            error: { code: 'WEIR_SOURCE_UNREACHABLE' },
            trouble: { text: /nobody/ },
          },
        ].map((one) => ({ ...one, trouble: { text: expect.stringContaining('nobody answers') } })),
      })
    }
  })
})

describe('control characters', () => {
  const hostile = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202eevil\r\b\u007f'

  test('are escaped, and text that is none of them stays', () => {
    expect(printableLine(hostile)).toBe('\\u001b]0;owned\\u0007\\u001b[2J\\u009b31m\\u202eevil\\u000d\\u0008\\u007f')
    expect(printable('a\n\tb 👩‍👩‍👧 é 日本\r')).toBe('a\n\tb 👩‍👩‍👧 é 日本\\u000d')
    expect(printableLine('a\nb')).toBe('a\\u000ab')
  })

  test.each(['pretty', 'json'] as const)('of records do not reach a terminal by the %s log', (format) => {
    const lines: string[] = []
    const log = createLog({ level: 'info', format, destination: { write: (line) => lines.push(line) }, redact: String })
    log.info({ [hostile]: { at: hostile } }, hostile)
    log.error({ error: new WeirError('WEIR_RECORD_INVALID', hostile, { hint: hostile }) }, 'failed')
    log.warn({ error: new Error(hostile) }, 'odd')
    expect(lines.join('').replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
    if (format === 'json') expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: hostile })
  })
})

describe('the settings of the port', () => {
  test('come from the environment, then from the configuration', async () => {
    const given = { http: { host: '10.0.0.1', port: 1, origins: ['https://a.example'] } }
    expect(httpSettings(given, {})).toEqual(given.http)
    const environment = {
      WEIR_HOST: '127.0.0.1',
      SERVER_PORT: '2',
      WEIR_TOKEN: 'a token of some length',
      WEIR_ORIGINS: 'https://b.example, https://c.example',
      WEIR_TLS_CERT: 'cert.pem',
      WEIR_TLS_KEY: 'key.pem',
    }
    expect(httpSettings(given, environment)).toEqual({
      host: '127.0.0.1',
      port: 2,
      token: 'a token of some length',
      origins: ['https://b.example', 'https://c.example'],
      tls: { cert: 'cert.pem', key: 'key.pem' },
    })
    expect(await firstValueFrom(of(httpSettings({}, { SERVER_HOST: '::1' })))).toEqual({ host: '::1' })
  })

  test.each([
    [{ token: 'short' }, {}, /token.* at least 16/],
    [{ token: 'pässwörter-aller-art' }, {}, /token.* ASCII, without/],
    [{ token: 'a token with its line end\n' }, {}, /token.* ASCII, without/],
    [{ token: 'a token and its blank ' }, {}, /token.* ASCII, without/],
    [{ origins: ['https://a.example/path'] }, {}, /origin/],
    [{}, { WEIR_TLS_CERT: 'cert.pem' }, /tls.key/],
    [{ prot: 1 }, {}, /prot/],
  ])('are refused as %j with %j', (http, environment, fault) =>
    expect(() => httpSettings({ http: http as never }, environment)).toThrow(fault),
  )

  test('name the file that can not be read', () => {
    expect(() => loadTls({ cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' })).toThrow(/tls\.cert.*ENOENT/)
    const pem = '-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n'
    expect(() => loadTls({ cert: pem, key: pem })).toThrow(/certificate/)
  })
})
