import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { EmbeddedBroker } from '../../src/kafka/embedded.js'
import { silentLogger } from '../../src/model/index.js'
import { until, Worker } from '../support/job.js'
import { because } from '../support/job-servers.js'
import { writeTopic } from '../support/job-truth.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { freePort } from './server-support.js'

let named = 0

const missing = missingPostgres()

describe.skipIf(missing !== undefined)(`a reload${because(missing)}`, { timeout: 180_000 }, () => {
  let kafka: EmbeddedBroker
  let postgres: PostgresServer
  beforeAll(async () => {
    ;[kafka, postgres] = await Promise.all([EmbeddedBroker.start(silentLogger), PostgresServer.start()])
  }, 120_000)
  afterAll(() => Promise.all([kafka?.close(), postgres?.close()]))

  /** Two flows that store their running totals; in that of `changing` each record counts `factor`. */
  async function running() {
    const app = `reload_${process.pid}_${named++}`
    await postgres.query(`CREATE DATABASE ${app}`)
    const url = postgres.url.replace(/\/postgres$/, `/${app}`)
    const folder = mkdtempSync(join(tmpdir(), 'weir-reload-'))
    const file = join(folder, 'flows.config.ts')
    const write = (factor: number | string) =>
      writeFileSync(
        file,
        `import { aggregate, defineConfig, flow, kafka, map, postgres, recordKey, sum } from 'weirflow'
const factor = ${factor}
const total = (name: string, by: () => number) => flow(
  kafka.source({ topic: '${app}.' + name, group: '${app}.' + name }),
  map(by),
  aggregate('total', { by: recordKey, emit: 'changes', of: sum((value: number) => value) }),
  postgres.sink({ table: name, onError: 'fail', row: ({ value }) => ({ total: value }) }),
)
export default defineConfig({
  app: '${app}',
  connections: { kafka: kafka({ brokers: '${kafka.bootstrap}' }), db: postgres({ url: '${url}' }) },
  checkpoints: 'db',
  flows: {
    steady: total('steady', () => 1),
    changing: total('changing', () => factor),
  },
})
`,
      )
    const query = async <R extends pg.QueryResultRow>(text: string): Promise<R[]> => {
      const session = new pg.Client({ connectionString: url })
      await session.connect()
      try {
        return (await session.query<R>(text)).rows
      } finally {
        await session.end()
      }
    }
    const sent = { steady: 0, changing: 0 }
    const send = async (records: number) => {
      for (const name of ['steady', 'changing'] as const) {
        sent[name] += records
        await writeTopic(
          kafka.bootstrap,
          `${app}.${name}`,
          Array.from({ length: records }, () => ({ key: 'k', value: '1' })),
        )
      }
    }
    const rows = async (name: keyof typeof sent) =>
      (await query<{ total: string }>(`SELECT total FROM ${name} ORDER BY id`)).map(({ total }) => Number(total))
    const settled = () =>
      until(async () => {
        const [steady, changing] = await Promise.all([rows('steady'), rows('changing')])
        return steady.length >= sent.steady && changing.length >= sent.changing
      }, 'all are stored')
    write(1)
    for (const name of ['steady', 'changing'])
      await query(`CREATE TABLE ${name} (id bigserial PRIMARY KEY, total bigint)`)
    await send(1)
    const worker = new Worker({ SERVER_PORT: String(await freePort()) }, ['--config', file])
    onTestFinished(async () => {
      await worker.kill()
      rmSync(folder, { recursive: true })
    })
    worker.start()
    await worker.ready()
    const said = (text: string) => worker.log.filter(({ msg = '' }) => msg.includes(text))
    const reload = async () => {
      const before = said('reloaded').length
      worker.signal('SIGHUP')
      await until(() => said('reloaded').length > before, 'it is reloaded, or not')
      return said('reloaded').at(-1)
    }
    return { write, worker, send, sent, rows, settled, said, reload }
  }

  /** Each total follows from the one before by one of these steps, in this order; nothing twice, nothing left out. */
  function expectSteps(totals: readonly number[], ...steps: readonly number[]): void {
    const found = totals.map((total, index) => total - (totals[index - 1] ?? 0))
    expect(found.filter((step, index) => step !== found[index - 1])).toEqual(steps)
  }

  test('restarts what changed, with its state, and leaves the rest alone; a faulty one changes nothing', async () => {
    const { write, worker, send, sent, rows, settled, said, reload } = await running()
    const states = (name: string) => worker.log.filter(({ flow, stage }) => flow === name && stage === undefined)
    await send(200)
    await settled()
    const [steady, changing] = [states('steady').length, states('changing').length]

    write('1 +')
    const faulty = await reload()
    expect(faulty).toMatchObject({ level: 'error', code: 'WEIR_CONFIG_NOT_FOUND' })
    expect(faulty?.msg).toMatch(/^not reloaded, all goes on as it was: loading [\s\S]+flows\.config\.ts:3/)
    expect(states('changing').length).toBe(changing)

    write(10)
    const [changed] = await Promise.all([reload(), send(500)])
    expect(changed?.msg).toBe('reloaded: restarted changing; went on steady')
    await until(() => said('state kept: total').length > 0, 'it is told what is kept')
    expect(said('state kept: total')).toMatchObject([{ flow: 'changing' }])
    await settled()
    // One that is assigned anything anew says so.
    expect(states('steady').length).toBe(steady)
    expect(states('changing').length).toBeGreaterThan(changing)
    expect((await rows('steady')).length).toBe(sent.steady)
    expect((await rows('changing')).length).toBe(sent.changing)
    expectSteps(await rows('steady'), 1)
    await send(50)
    await settled()
    expectSteps(await rows('changing'), 1, 10)

    expect((await worker.get('/ready')).status).toBe(200)
    expect(await worker.stop()).toBe(0)
  })

  test('that is killed in its midst loses nothing and counts nothing twice', async () => {
    const { write, worker, send, sent, rows, settled, said } = await running()
    for (const [factor, phase] of [
      [2, 'draining'],
      [3, 'starting'],
    ] as const) {
      const reached = () => said(phase).filter(({ flow }) => flow === 'changing').length
      const before = reached()
      write(factor)
      worker.signal('SIGHUP')
      await Promise.all([send(300), until(() => reached() > before, 'it is in the midst of it')])
      await worker.kill()
      worker.start()
      await worker.ready()
    }
    await settled()
    expect((await rows('steady')).length).toBe(sent.steady)
    expectSteps(await rows('steady'), 1)
    expect((await rows('changing')).length).toBe(sent.changing)
    expect(await worker.stop()).toBe(0)
  })

  test('that comes ten times leaves nothing behind', async () => {
    const { write, worker, send, settled, reload, said } = await running()
    await send(100)
    write(2)
    await reload()
    const before = worker.handles()
    for (let factor = 3; factor < 13; factor++) {
      write(factor)
      worker.signal('SIGHUP')
    }
    write(100)
    await until(async () => {
      await reload()
      return said('reloaded: nothing has changed').length > 0
    }, 'the last one runs')
    await send(100)
    await settled()
    await worker.ready()
    const { files, threads } = worker.handles()
    expect(files).toBeLessThan(before.files + 10)
    expect(threads).toBeLessThan(before.threads + 10)
    expect(await worker.stop()).toBe(0)
  })
})
