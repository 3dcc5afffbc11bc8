import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastValueFrom, NEVER } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { main } from '../../src/cli/main.js'
import { type AcquiredPartition, type StoreCodec, silentLogger } from '../../src/model/index.js'
import { RedisCheckpoints } from '../../src/redis/checkpoints.js'
import { TaskStores } from '../../src/state/index.js'
import { done } from '../contracts/checkpoints.contract.js'
import { openRedis } from '../contracts/redis-under-test.js'
import { missingRedis, RedisServer } from './redis-server.js'

const missing = missingRedis()

const counts: StoreCodec<number> = { version: 1, save: (value) => value, load: (saved) => saved as number }
const hour = 3_600_000

let server: RedisServer
let cwd: string
/** Each configuration is a file of its own: a module is loaded once. */
let file = ''
let files = 0
/** Has a task commit these stores, by segment and key, to the embedded Postgres. */
async function store(task: string, stores: Record<string, Record<number, Record<string, number>>>) {
  const connection = openRedis({ url: server.url })
  const checkpoints = new RedisCheckpoints(connection, silentLogger)
  await done(checkpoints.open())
  const one = { topic: 'orders', partition: 2 }
  const [taken] = await lastValueFrom(checkpoints.acquire(task, [one]))
  const states = new TaskStores()
  const declared = Object.entries(stores).map(([name, segments]) => [states.declare(name, counts), segments] as const)
  states.assign(taken as AcquiredPartition)
  for (const [kept, segments] of declared)
    for (const [segment, entries] of Object.entries(segments))
      for (const [key, value] of Object.entries(entries)) kept.of('orders', 2).add(Number(segment), key, value)
  await done(checkpoints.begin().commit({ task, partitions: [states.commit({ ...one, offset: 8 }, {})] }))
  await connection.close()
}

function write(text: string) {
  file = `${files++}.config.ts`
  writeFileSync(join(cwd, file), text)
}

function configure(stages: readonly string[], more = '', { flow = 'orders', of = 'count()', url = server.url } = {}) {
  const aggregates = stages.map(
    (name) => `aggregate('${name}', { of: ${of}, by: recordKey, window: tumbling('1h') }), map((r) => r),`,
  )
  write(
    `import { aggregate, consoleSink, count, defineConfig, flow, json, kafka, map, recordKey, redis, tumbling } from 'weirflow'
    export default defineConfig({
      app: 'shop',
      connections: { kafka: kafka({ brokers: 'localhost:1' }), db: redis({ url: '${url}' }) },
      checkpoints: 'db',
      flows: {
        '${flow}': flow(kafka.source({ topic: 'orders', group: 'g' }), json(), ${aggregates.join(' ')} consoleSink())${more},
      },
    })`,
  )
}

let output: { stdout: string; stderr: string }
async function weir(...argv: string[]) {
  const into = (name: 'stdout' | 'stderr') => ({ write: (text: string) => void (output[name] += text) })
  const code = await main([...argv, '--config', file], {
    cwd,
    env: {},
    stdout: into('stdout'),
    stderr: into('stderr'),
    signals$: NEVER,
    startWorker: () => {
      throw new Error('no process is started here')
    },
  })
  return { code, ...output }
}

describe.skipIf(missing !== undefined)(`state in Redis${missing === undefined ? '' : ` (${missing})`}`, () => {
  beforeAll(async () => {
    server = await RedisServer.start()
    cwd = mkdtempSync(join(tmpdir(), 'weir-state-'))
    await store('shop.orders', {
      sums: { [hour]: { ann: 3, bob: 5 }, [2 * hour]: { ann: 4 } },
      old: { 0: { total: 9 } },
    })
  })
  afterAll(async () => {
    await server.close()
    rmSync(cwd, { recursive: true })
  })
  beforeEach(() => {
    output = { stdout: '', stderr: '' }
  })

  describe('a topology that still has its stateful stages, but for one that it gives up', () => {
    beforeEach(() => configure(['sums'], ".with({ givesUp: ['old'] })"))

    test('is planned', async () => {
      const { code, stdout } = await weir('plan')
      expect(code).toBe(0)
      expect(stdout).toMatch(/- old +orders +given up +1 key, \d+ bytes in 1 partition: lost, as the flow says/)
      expect(stdout).toMatch(/= sums +orders +kept +3 keys, \d+ bytes in 1 partition\n/)
    })

    test('holds', async () => {
      expect(await weir('check', '--state')).toMatchObject({ code: 0, stdout: expect.stringContaining('in db fits') })
      expect((await weir('check')).stdout).toContain('was not looked at: weir check --state')
    })
  })

  describe('a topology that renames a stateful stage', () => {
    beforeEach(() => configure(['totals']))

    test('is refused, with what is there and what to do', async () => {
      const { code, stderr } = await weir('check', '--state')
      expect(code).toBe(78)
      expect(stderr).toMatch(/flow 'orders' no longer has the stage 'sums', of which db keeps state: 3 keys, \d+ bytes/)
      expect(stderr).toMatch(/Name the stage 'sums' again.*givesUp: \['sums'\].*Was it renamed to 'totals'\?/)
      expect(stderr).toContain("no longer has the stage 'old'")
    })

    test('is refused as JSON', async () => {
      const { code, stdout } = await weir('check', '--state', '--json')
      expect(code).toBe(78)
      expect(JSON.parse(stdout)).toMatchObject({ ok: false, faults: [{ hint: expect.any(String) }, {}] })
    })

    test('is planned, with code 78', async () => {
      const { code, stdout } = await weir('plan')
      expect(code).toBe(78)
      expect(stdout).toMatch(/- sums +orders +dropped +3 keys.*refused/)
      expect(stdout).toMatch(/\+ totals +orders +new +begins empty/)
    })

    test('is planned as JSON', async () => {
      const { stdout } = await weir('plan', '--json')
      expect(JSON.parse(stdout)).toMatchObject({
        ok: false,
        app: 'shop',
        changes: [
          { flow: 'orders', task: 'shop.orders', store: 'old', fate: 'dropped', keys: 1, where: 'db' },
          { store: 'sums', fate: 'dropped', keys: 3, partitions: 1, versions: [1] },
          { store: 'totals', fate: 'new', keys: 0 },
        ],
      })
    })
  })

  test('a flow that is no longer declared leaves its state where it is', async () => {
    configure(['sums'], '', { flow: 'visits' })
    const { code, stdout } = await weir('plan')
    expect(code).toBe(0)
    expect(stdout).toMatch(/\? sums +orders +unused +3 keys.*stays, no such flow is declared/)
  })

  test('a codec of another version converts what is stored', async () => {
    configure(['sums'], ".with({ givesUp: ['old'] })", { of: '{ n: count() }' })
    expect((await weir('plan')).stdout).toMatch(/~ sums +orders +converted .*codec version 1 → \[1\], as it is loaded/)
  })

  describe('weir state', () => {
    beforeEach(() => configure(['sums'], ".with({ givesUp: ['old'] })"))

    test('lists what is stored', async () => {
      const { code, stdout } = await weir('state')
      expect(code).toBe(0)
      expect(stdout).toMatch(
        /task +store +in +partitions +keys +log +codec\norders +old +db +1 +1 .*\norders +sums +db +1 +3 /,
      )
      expect(stdout).toMatch(/task +partition +position +stream time +watermark\norders +orders-2 +8 +– +–\n/)
      output.stdout = ''
      expect((await weir('state', 'orders', 'old')).stdout).not.toContain('sums')
    })

    test('lists it as JSON', async () => {
      expect(JSON.parse((await weir('state', '--json')).stdout)).toMatchObject({
        app: 'shop',
        states: [
          { task: 'shop.orders', store: 'old', keys: 1 },
          { store: 'sums', keys: 3, versions: [1], bytes: expect.any(Number) },
        ],
        partitions: [{ task: 'shop.orders', topic: 'orders', partition: 2, progress: { position: 8 } }],
      })
    })

    test('prints the entries of a key in all windows', async () => {
      const { stdout } = await weir('state', 'orders', 'sums', 'ann')
      expect(stdout.split('\n').map((line) => line.split(/ +/))).toEqual([
        ['1970-01-01T01:00:00.000Z', 'orders-2', '3'],
        ['1970-01-01T02:00:00.000Z', 'orders-2', '4'],
        [''],
      ])
      output.stdout = ''
      expect(JSON.parse((await weir('state', 'orders', 'sums', 'bob', '--json')).stdout)).toEqual([
        { task: 'shop.orders', topic: 'orders', partition: 2, segment: hour, key: 'bob', value: 5 },
      ])
      output.stdout = ''
      expect((await weir('state', 'orders', 'sums', 'eve')).stdout).toBe("no entry of the key 'eve'\n")
    })

    test.each([
      [['visits'], "flow 'visits' has no state"],
      [['orders', 'sum'], "flow 'orders' has no store 'sum': there are sums, old"],
    ])('of %j ends with 2', async (asked, message) => {
      expect(await weir('state', ...asked)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
    })
  })

  describe('weir state set-position', () => {
    beforeEach(() => configure(['sums'], ".with({ givesUp: ['old'] })"))

    test('moves a flow, whose state stays, and fences off who runs it', async () => {
      const { code, stdout } = await weir('state', 'set-position', 'orders', 'orders', '--to', '3')
      expect(code).toBe(0)
      expect(stdout).toMatch(/orders-2 +8 +→ +3\n/)
      const connection = openRedis({ url: server.url })
      const checkpoints = new RedisCheckpoints(connection, silentLogger)
      const held = await lastValueFrom(checkpoints.list('shop'))
      expect(held).toEqual([
        expect.objectContaining({ generation: 2, progress: expect.objectContaining({ position: 3 }) }),
      ])
      await connection.close()
      output.stdout = ''
      expect((await weir('state', 'orders', 'sums')).stdout).toMatch(/sums +db +1 +3 /)
    })

    test.each([
      [['orders', 'payments', '--to', '3'], "flow 'orders' has no position of topic 'payments'"],
      [['order', 'orders', '--to', '3'], "flow 'order' has no position in a checkpoint store: there is flow orders"],
      [
        ['orders', 'orders', '--to', '3', '--partition', '1'],
        "no position of partition 1 of topic 'orders': there is partition 2",
      ],
      [['orders', 'orders', '--to', '3', '--partition', ''], "--partition: '' is no number of a partition"],
      [['orders', 'orders', '--to', 'soon'], "--to: 'soon' is no offset: write a number, 'earliest' or 'latest'"],
      // A variable that nobody has set would have it read all again.
      [['orders', 'orders', '--to', ''], "--to: '' is no offset"],
      [['orders', 'orders', '--to', ' '], "--to: ' ' is no offset"],
      [['orders', 'orders', '--to', '1e3'], "--to: '1e3' is no offset"],
      [['orders', 'orders', '--to=-1'], "--to: '-1' is no offset"],
      [['orders', 'orders'], '--to <offset>'],
    ])('of %j ends with 2', async (asked, message) => {
      expect(await weir('state', 'set-position', ...asked)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(message),
      })
    })
  })

  describe('weir state set-time', () => {
    beforeEach(() => configure(['sums'], ".with({ givesUp: ['old'] })"))

    test('sets back the time of every partition that is ahead, and what was told before no longer holds', async () => {
      const connection = openRedis({ url: server.url })
      const checkpoints = new RedisCheckpoints(connection, silentLogger)
      const of = (partition: number) => ({ topic: 'orders', partition })
      const taken = await lastValueFrom(checkpoints.acquire('shop.orders', [of(2), of(3)]))
      const ahead = Date.parse('2999-01-01')
      const behind = Date.parse('2026-01-01')
      const times = [
        { streamTime: ahead, watermark: ahead, movedOnMs: 5 },
        { streamTime: behind, watermark: behind - 1 },
      ]
      const partitions = taken.map((one, index) => ({ ...one, chunks: [], progress: { position: 8, ...times[index] } }))
      await done(checkpoints.begin().commit({ task: 'shop.orders', partitions }))
      const { code, stdout } = await weir('state', 'set-time', 'orders', '--to', '2026-01-31T12:00:00Z')
      expect(code).toBe(0)
      expect(stdout).toMatch(/orders-2 +2999-01-01T00:00:00.000Z +→ +2026-01-31T12:00:00.000Z\n/)
      const held = await lastValueFrom(checkpoints.list('shop'))
      const to = Date.parse('2026-01-31T12:00:00Z')
      expect([...held].sort((one, other) => one.partition - other.partition).map(({ progress }) => progress)).toEqual([
        { position: 8, streamTime: to, watermark: to, timeSets: 1, toldIdle: true },
        { position: 8, streamTime: behind, watermark: behind - 1, timeSets: 1, toldIdle: true },
      ])
      await connection.close()
      output.stdout = ''
      expect((await weir('state', 'orders')).stdout).toMatch(
        /orders-2 +8 +2026-01-31T12:00:00.000Z +2026-01-31T12:00:00.000Z/,
      )
    })

    test.each([
      [['orders', '--to', 'soon'], "--to: 'soon' is no time"],
      [['orders', '--to', '5'], "--to: '5' is no time"],
      [['orders'], '--to <time>'],
      [['orders', '--to', ''], "--to: '' is no time"],
      [['payments', '--to', '2026-01-01'], "flow 'payments' has no time in a checkpoint store: there is flow orders"],
    ])('of %j ends with 2', async (asked, message) => {
      expect(await weir('state', 'set-time', ...asked)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(message),
      })
    })
  })

  test('a checkpoint store that can not be reached ends with 1', async () => {
    configure(['sums'], '', { url: 'redis://127.0.0.1:1' })
    for (const argv of [['plan'], ['state'], ['check', '--state']]) {
      output.stderr = ''
      expect(await weir(...argv)).toMatchObject({ code: 1, stderr: expect.stringContaining('ECONNREFUSED') })
    }
  })
})
