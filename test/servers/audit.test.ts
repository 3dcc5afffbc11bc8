import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Subject } from 'rxjs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Signal } from '../../src/cli/io.js'
import { main } from '../../src/cli/main.js'
import { weirIn } from '../support/weir.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, sharedServer } from './kafka-support.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'

const missing = requireKafka() ?? missingPostgres()
const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))
const token = 'open sesame, open sesame'

interface Audited {
  readonly action: string
  readonly subject: string
  readonly phase: string | null
  readonly outcome: string | null
  readonly actor: string | null
  readonly address: string | null
  readonly correlation_id: string
  readonly data: Record<string, unknown>
}

describe.skipIf(missing !== undefined)(
  `the audit in PostgreSQL${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 60_000 },
  () => {
    const shared = sharedServer(() => KafkaCluster.start(), missing !== undefined)
    let database: PostgresServer
    let cwd: string
    let config: string
    let orders: string

    beforeAll(async () => {
      if (missing !== undefined) return
      database = await PostgresServer.start()
      cwd = mkdtempSync(join(tmpdir(), 'weir-audit-'))
      const app = fresh('shop')
      orders = await makeTopic(shared.connection, `${app}.orders`)
      config = `${app}.config.ts`
      writeFileSync(
        join(cwd, config),
        `import { defineConfig, flow, http, json, kafka, postgres } from 'weirflow'
        const taking = (holds: (value: any) => boolean) => ({ '~standard': { version: 1, vendor: 'test',
          validate: (value: any) => holds(value) ? { value } : { issues: [{ message: 'no amount', path: [] }] } } }) as never
        export default defineConfig({
          app: '${app}', audit: { table: 'pipeline.audit' }, http: { tokens: { till: '${token}' } }, checkpoints: 'db',
          connections: { kafka: kafka({ brokers: '${shared.server.bootstrap}' }), db: postgres({ url: '${database.url}' }) },
          flows: {
            intake: flow(http.post('/orders', { body: taking((order) => order.id !== undefined) }), kafka.sink({ topic: '${orders}' })),
            billing: flow(
              kafka.source({ topic: '${orders}', group: '${app}' }), json(taking((order) => typeof order.amount === 'number')),
              postgres.sink({ table: 'bills', create: 'create table bills (id text primary key)', mode: 'upsert', key: ['id'],
                row: ({ id }: any) => ({ id: String(id) }) }),
            ).with({ checkpoints: 'db', guarantee: 'exactly-once' }),
          },
        })`,
      )
    }, 240_000)
    afterAll(async () => {
      await database?.close()
      if (cwd !== undefined) rmSync(cwd, { recursive: true })
    })

    const weir = (...argv: string[]) => weirIn(cwd, [...argv, '--config', config])
    const audited = (action: string) =>
      database.query<Audited & Record<string, unknown>>(
        'select * from pipeline.audit where action = $1 order by occurred_at, phase',
        [action],
      )

    /** Runs the flows until the work is done. */
    async function running(work: (url: string) => Promise<void>): Promise<void> {
      const signals$ = new Subject<Signal>()
      let said = ''
      const output = { write: (text: string) => void (said += text) }
      const startWorker = () => {
        throw new Error('no process is started here')
      }
      const io = { cwd, env: {}, stdout: output, stderr: output, signals$, startWorker }
      const code = main(['run', '--port', '0', '--host', '127.0.0.1', '--config', config], io)
      try {
        const url = await vi.waitFor(
          () => /listening on (http:[^"\s]+)/.exec(said)?.[1] ?? Promise.reject(new Error(said)),
          { timeout: 30_000 },
        )
        await work(url)
      } finally {
        signals$.next('SIGTERM')
        await code
      }
    }

    test('who brought records is there, with what came of it, and nothing of them', async () => {
      const post = async (url: string, body: unknown, headers: Record<string, string>) => {
        const response = await fetch(`${url}/orders`, {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { ...headers, 'content-type': 'application/json' },
        })
        return response.status
      }
      const shown = { authorization: `Bearer ${token}` }
      await running(async (url) => {
        const order = [1, 2, 3].map((id) => ({ id, amount: id === 1 ? 1 : `private ${id}` }))
        await vi.waitFor(async () => expect(await post(url, order, { ...shown, 'x-correlation-id': 'a' })).toBe(202), {
          timeout: 30_000,
          interval: 200,
        })
        expect(await post(url, [{ name: 'private' }], { ...shown, 'x-correlation-id': 'b' })).toBe(400)
        expect(await post(url, [], { authorization: 'Bearer of nothing', 'x-correlation-id': 'c' })).toBe(401)
        await vi.waitFor(async () => expect(await database.query('select * from bills')).toHaveLength(1), 30_000)
      })
      const events = await audited('intake')
      const of = (id: string) => events.filter(({ correlation_id }) => correlation_id === id).at(-1)
      const common = { subject: 'POST /orders', address: '127.0.0.1', phase: null }
      expect(of('a')).toMatchObject({
        ...common,
        actor: 'till',
        outcome: 'accepted',
        data: { records: 3, accepted: 3 },
      })
      expect(of('b')).toMatchObject({ ...common, actor: 'till', outcome: 'refused', data: { status: 400, records: 1 } })
      expect(of('c')).toMatchObject({
        ...common,
        actor: null,
        outcome: 'refused',
        data: { status: 401, code: 'token' },
      })
      expect(JSON.stringify(events)).not.toMatch(/private|sesame/)
    })

    test('a replay that is killed halfway has begun, and nobody says how it ended', async () => {
      writeFileSync(
        join(cwd, 'hang.ts'),
        "export default async () => { console.error('waiting'); await new Promise((go) => setTimeout(go, 60_000)) }",
      )
      const argv = [command, 'dlq', 'replay', '--transform', 'hang.ts', '--config', config]
      const child = spawn(process.execPath, argv, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      const ended = new Promise((resolve) => child.once('exit', resolve))
      const waits = new Promise((resolve) =>
        child.stderr.on('data', (text) => /waiting/.test(String(text)) && resolve(0)),
      )
      expect(await Promise.race([waits, ended.then((code) => `ended with ${String(code)}`)])).toBe(0)
      child.kill('SIGKILL')
      await ended
      expect(await audited('dlq.replay')).toMatchObject([{ phase: 'began', outcome: null }])
    })

    test.each([
      ['dlq.show', ['dlq', 'show', '1'], {}],
      ['dlq.drop', ['dlq', 'drop', '--flow', 'billing', '--yes'], { letters: 2 }],
      ['dlq.replay', ['dlq', 'replay', '--again'], { records: 2 }],
      ['state.set-position', () => ['state', 'set-position', 'billing', orders, '--to', 'earliest'], { positions: 1 }],
      ['state.set-time', ['state', 'set-time', 'billing', '--to', '2026-01-01T00:00:00Z'], { partitions: 1 }],
      ['topics.produce', () => ['topics', 'produce', orders, '{"private":1}', '--key', 'private'], { records: 1 }],
      ['groups.reset', () => ['groups', 'reset', 'other', '--topic', orders, '--to', '0', '--yes'], { positions: 1 }],
    ] as const)('%s is written down before it is done and when it has ended', async (action, argv, counts) => {
      const before = await database.query<{ event_id: string }>('select event_id from pipeline.audit')
      expect(await weir(...(typeof argv === 'function' ? argv() : argv))).toMatchObject({ code: 0, stderr: '' })
      const known = new Set(before.map(({ event_id }) => event_id))
      const events = (await audited(action)).filter(({ event_id }) => !known.has(String(event_id)))
      const actor = expect.stringMatching(/^.+@.+$/)
      expect(events).toMatchObject([
        { phase: 'began', outcome: null, actor },
        { phase: 'ended', outcome: 'done', actor, data: counts },
      ])
      expect(events[0]?.correlation_id).toBe(events[1]?.correlation_id)
      expect(JSON.stringify(events)).not.toContain('private')
    })

    test('what the table refuses is not done', async () => {
      expect(await weir('topics', 'produce', orders, '{}')).toMatchObject({ code: 0 })
      await database.query('alter table pipeline.audit add constraint no_more check (false) not valid')
      onTestFinished(async () => void (await database.query('alter table pipeline.audit drop constraint no_more')))
      const ends = async () => (await weir('topics', 'browse', orders, '--from', '0', '--json')).stdout
      const before = await ends()
      const { code, stderr } = await weir('topics', 'produce', orders, '{}')
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('pipeline.audit') })
      expect(await ends()).toBe(before)
    })
  },
)
