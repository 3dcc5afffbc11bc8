import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { filter, firstValueFrom, scan } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Dashboard } from '../../src/cli/dashboard.js'
import { bytesText, painter, table } from '../../src/cli/paint.js'
import { type Activity, mulberry32, traffic, visit } from '../../src/cli/traffic.js'
import { type Picture, render } from '../../src/cli/view.js'
import { viewTables } from '../../src/cli/view-tables.js'
import type { FlowStatus, Topology } from '../../src/engine/index.js'
import { Batch, Distribution, StreamRecord, WeirError } from '../../src/model/index.js'
import { flowStatus } from '../support/flow-status.js'

const stage = (name: string, kind: string, definition: string, detail?: string) => ({
  name,
  kind,
  definition,
  detail,
  inputs: [],
  stores: [],
})
const topology = {
  app: 'shop',
  flows: [
    {
      name: 'ingest',
      summary: [
        stage('http.post', 'source', 'http.post', 'POST /activity'),
        stage('kafka.sink', 'sink', 'kafka.sink', 'visits'),
      ],
    },
    {
      name: 'count',
      summary: [
        stage('kafka.source', 'source', 'kafka.source', 'visits'),
        stage('sum', 'operator', 'aggregate'),
        stage('out', 'sink', 'console'),
      ],
    },
  ],
} as unknown as Topology

const at = new Date(2026, 4, 1, 10, 0, 0).getTime()
const status = (flow: string, read: number, more: Partial<FlowStatus> = {}) =>
  flowStatus({
    flow,
    guarantee: 'exactly-once',
    since: at,
    lastCommitAt: at,
    watermark: at - 4_000,
    stages: [
      { stage: 'in', kind: 'source', in: read, out: read, rejected: 0 },
      { stage: 'sum', kind: 'operator', in: read, out: 3, rejected: 2 },
    ],
    partitions: [
      { topic: 't', partition: 0, offset: 5, end: 8, streamTime: at },
      { topic: 't', partition: 1, offset: 1, end: 2, streamTime: at },
    ],
    ...more,
  })

const plain = painter({ write: () => true, isTTY: true }, { env: { NO_COLOR: '1' } } as never)
function draw(dashboard: Dashboard, flows: FlowStatus[], more: Partial<Picture> = {}) {
  return render(
    {
      app: 'shop',
      flows: dashboard.pictures(flows),
      uptime: 65_000,
      frame: 0,
      now: at,
      port: 8080,
      embedded: [],
      hasTraffic: false,
      ...more,
    },
    plain,
  )
}

describe('the view', () => {
  test('has of each flow what came, how fast, what waits and what was rejected', () => {
    const dashboard = new Dashboard(topology)
    dashboard.sample([status('count', 100)], at - 2_000)
    dashboard.sample([status('count', 140)], at - 1_000)
    dashboard.sample([status('count', 1_200)], at)
    const text = draw(dashboard, [status('count', 1_200)])
    expect(text).toContain('● count running  visits → out · exactly once')
    expect(text).toMatch(
      /in +1,200 +rate +550\/s +lag +4 +windows closed 3 +watermark 09:59:56 \(4 s ago\) +rejected 2 +▁█/,
    )
  })

  test('has the last six rows of flows that aggregate', () => {
    const nowhere = { topic: 'count', partition: 0, offset: 0 }
    const dashboard = new Dashboard(topology)
    const window = (second: number) => ({ start: at + second * 1_000, end: at + (second + 5) * 1_000 })
    const rows = [0, 5, 10, 15, 20, 25, 30].map((second) => ({
      key: null,
      window: window(second),
      value: { users: second },
    }))
    const records = rows.slice(0, 2).map((value) => new StreamRecord(null, value, 0, [], nowhere))
    dashboard.observer.written?.({ flow: 'count', stage: 'out', value: new Batch(records) })
    for (const value of rows.slice(2)) dashboard.observer.written?.({ flow: 'count', stage: 'out', value })
    dashboard.observer.written?.({ flow: 'ingest', stage: 'kafka.sink', value: { user: 'ann' } })
    const text = draw(dashboard, [status('ingest', 1), status('count', 1)])
    expect(text).not.toContain('10:00:00 – 10:00:05')
    expect(text).toMatch(/ {3}window +users\n +10:00:05 – 10:00:10 +5\n/)
    expect(text).toMatch(/10:00:30 – 10:00:35 +30\n/)
    expect(text).not.toContain('ann')
  })

  describe('of a flow that makes something of its records', () => {
    const name = 'events/v1/dt=2026-05-01/pid=0/20260501T100000000Z_offset1234_count600.parquet'
    const made = (records: number) => ({
      flow: 'keep',
      stage: 'archive',
      value: { file: name.replace('600', String(records)), records },
    })
    const keep = {
      ...stage('archive', 'sink', 'archive.sink', 'files/**/*.parquet'),
      makes: 'files',
      shows: ['duckdb -c "select 1"'],
    }
    const archive = {
      app: 'shop',
      flows: [
        { name: 'keep', summary: [stage('kafka.source', 'source', 'kafka.source', 'events'), keep] },
        { name: 'idle', summary: [stage('kafka.source', 'source', 'kafka.source', 'others'), keep] },
      ],
    } as unknown as Topology
    const metric = (name: string, shown?: string) => ({
      name,
      help: 'A help.',
      kind: 'gauge' as const,
      ...(shown && { shown }),
    })

    test('has the last of that, in lines no longer than the terminal', () => {
      const dashboard = new Dashboard(archive)
      expect(draw(dashboard, [status('keep', 1)])).toMatch(
        /last files in files\/\*\*\/\*\.parquet\n +none yet: the first comes as soon as it is complete\n/,
      )
      for (const records of [100, 101, 102, 103, 104, 105, 106]) dashboard.observer.written?.(made(records))
      const text = draw(dashboard, [status('keep', 1)], { columns: 80 })
      expect(text).toMatch(/ file +records\n +events\/v1\/dt=2026-05-01\/pid.*_offset1234_count101\.parquet +101\n/)
      expect(text).not.toContain('count100')
      expect(text.match(/\.parquet +10\d$/gm)).toHaveLength(6)
      for (const line of text.split('\n').filter((line) => line.includes('count10')))
        expect(line.length).toBeLessThan(81)
      expect(draw(dashboard, [status('keep', 1)])).toContain(name.replace('600', '101'))
    })

    test('has what its stages measure, if they say what that is called', () => {
      const reading = { stage: 'archive', metric: metric('archive_bytes_total', 'stored'), value: 1_234_567 }
      const metrics = [
        reading,
        { ...reading, stage: 'other', value: 1_000_000 },
        { ...reading, metric: metric('archive_files_total', 'files'), value: 1_200 },
        { ...reading, metric: metric('archive_secret_bytes'), value: 7 },
      ]
      expect(draw(new Dashboard(archive), [status('keep', 1, { metrics })])).toMatch(
        /stored 2\.2 MB +files 1,200 +rejected/,
      )
    })

    test('tells what is new, and at the end how to look at all of it', () => {
      const dashboard = new Dashboard(archive)
      expect([dashboard.news(), dashboard.lookups()]).toEqual([[], []])
      dashboard.observer.written?.(made(1))
      expect(dashboard.news()).toEqual([
        { flow: 'keep', what: 'files', rows: [expect.objectContaining({ records: '1' })], more: 0 },
      ])
      expect(dashboard.news()).toEqual([])
      for (let records = 0; records < 10; records++) dashboard.observer.written?.(made(records))
      expect(dashboard.news()).toMatchObject([{ rows: { length: 6 }, more: 4 }])
      expect(dashboard.lookups()).toEqual([{ flow: 'keep', commands: ['duckdb -c "select 1"'] }])
    })
  })

  describe('of a flow that writes tables', () => {
    const stored = {
      app: 'shop',
      flows: [
        {
          name: 'keep',
          deadLetters: { connection: 'kafka', name: 'letters' },
          summary: [
            stage('kafka.source', 'source', 'kafka.source', 'visits'),
            stage('orders', 'sink', 'postgres.sink', 'shop.orders'),
            stage('users', 'sink', 'mysql.sink', 'users'),
          ],
        },
      ],
    } as unknown as Topology
    const rows = { name: 'table_rows_total', help: 'Rows.', kind: 'counter', shown: 'rows', pace: true } as const
    const latency = { name: 'table_latency_seconds', help: 'Late.', kind: 'histogram', shown: 'p99' } as const

    test('has the last rows of each', () => {
      const dashboard = new Dashboard(stored)
      dashboard.observer.written?.({ flow: 'keep', stage: 'users', value: { user: 'ann' } })
      dashboard.observer.written?.({ flow: 'keep', stage: 'orders', value: { order: 7 } })
      const text = draw(dashboard, [status('keep', 1)])
      expect(text).toMatch(/last rows in shop\.orders\n +order\n +7\n[\s\S]*last rows in users\n +user\n +ann\n/)
    })

    test('has rows a second, and what 99 of a hundred were not later than, over the last ten seconds', () => {
      const dashboard = new Dashboard(stored)
      const measured = new Distribution([0.01, 0.02, 0.1, 1])
      const metrics = (value: number) => [
        { stage: 'orders', metric: rows, value },
        { stage: 'users', metric: rows, value: 0 },
        { stage: 'orders', metric: latency, value: measured },
      ]
      const drawn = (value: number) => draw(dashboard, [status('keep', 1, { metrics: metrics(value) })])
      expect(drawn(0)).toMatch(/rows 0\/s +p99 – +dead letters 2/)
      for (let index = 0; index < 100; index++) measured.add(0.5)
      dashboard.sample([status('keep', 1, { metrics: metrics(1_000) })], 0)
      for (let second = 1; second <= 10; second++) {
        for (let index = 0; index < 99; index++) measured.add(0.015)
        measured.add(0.05)
        dashboard.sample([status('keep', 1, { metrics: metrics(1_000 + second * 1_500) })], second * 1_000)
      }
      expect(drawn(16_000)).toMatch(/rows 1,500\/s +p99 20 ms/)
      for (let index = 0; index < 500; index++) measured.add(30)
      expect(drawn(16_000)).toContain('p99 over 1.0 s')
    })

    test.each([
      ['JSON', Buffer.from('{"order":7}'), /order\n +7\n/],
      ['JSON behind the number of a schema', Buffer.from('\0\0\0\0\x01{"order":7}'), /order\n +7\n/],
      ['text', Buffer.from('seven'), /value\n +seven\n/],
      ['what is neither', Buffer.from([0, 0, 0, 0, 1, 14, 200]), /value\n +7 bytes\n/],
      ['JSON within an object', { order: new Uint8Array(Buffer.from('[7]')) }, /order\n +\[7\]\n/],
    ])('has of bytes what they say: %s', (_what, value, expected) => {
      const dashboard = new Dashboard(stored)
      dashboard.observer.written?.({ flow: 'keep', stage: 'orders', value })
      expect(draw(dashboard, [status('keep', 1)])).toMatch(expected)
    })
  })

  test('says how to post, what is embedded, and how to stop', () => {
    const text = draw(new Dashboard(topology), [status('ingest', 0)], { embedded: ['kafka', 'db'], hasTraffic: true })
    expect(text).toMatch(
      /weir shop {2}up 01:05 · embedded: kafka, db \(to try things, not to keep them\) · demo traffic/,
    )
    expect(text).toMatch(
      /curl http:\/\/localhost:8080\/activity -H 'content-type: application\/json' \\\n +-d '\{"user_id"/,
    )
    expect(text).toContain('stop   Ctrl-C')
  })

  test('shows what is wrong with a flow', () => {
    const error = new WeirError('WEIR_SINK_UNREACHABLE', 'writing rows: nobody answers')
    expect(draw(new Dashboard(topology), [status('count', 0, { state: 'retrying', error })])).toMatch(
      /◌ count retrying[\s\S]+writing rows: nobody answers/,
    )
  })

  test('shows why a source reads nothing', () => {
    const trouble = new WeirError('WEIR_SOURCE_UNREACHABLE', 'reading a stream: nobody answers')
    expect(draw(new Dashboard(topology), [status('count', 0, { trouble })])).toMatch(
      /● count running[\s\S]+reading a stream: nobody answers/,
    )
  })

  test('has no rows of flows that make a view, nor the topics inside of them', () => {
    const summary = [
      stage('kafka.source', 'source', 'kafka.source', 'visits'),
      stage('sum', 'operator', 'aggregate'),
      stage('sum.repartition', 'internal', 'repartition', 'shop.count.sum.repartition'),
      stage('stats', 'sink', 'view', 'GET /stats'),
      stage('stats-1m', 'sink', 'view', 'GET /stats'),
    ]
    const dashboard = new Dashboard({ app: 'shop', flows: [{ name: 'count', summary }] } as unknown as Topology)
    dashboard.observer.written?.({ flow: 'count', stage: 'stats', value: { secret: 1 } })
    const text = draw(dashboard, [status('count', 1)])
    expect(text).toContain('visits → GET /stats · exactly once')
    expect(text).not.toMatch(/last rows|secret|repartition/)
  })

  test('shows the beginnings of tables side by side', () => {
    const rows = [
      ['en.wikipedia.org', '1,204'],
      [`\u001b[2J${'x'.repeat(40)}`, '7'],
    ] as const
    const text = draw(new Dashboard(topology), [], {
      tables: [
        { view: '/stats', name: 'by_domain', rows },
        { view: '/stats', name: 'by_user', rows: [['Ann', '3']] },
        { view: '/empty', name: 'none', rows: [] },
      ],
    })
    expect(text).toMatch(/by_domain \(\/stats\) +by_user \(\/stats\) +none \(\/empty\)\n/)
    expect(text).toMatch(/1,204 {2}en\.wikipedia\.org +3 {2}Ann +nothing yet\n/)
    expect(text).toMatch(/ {4}7 {2}\?\[2Jx{27}…\n/)
  })

  test('has another first line in each drawing', () => {
    const heading = (frame: number) => draw(new Dashboard(topology), [], { frame }).split('\n')[0]
    expect(heading(0)).not.toBe(heading(1))
  })
})

describe('what views show', () => {
  const answers: Record<string, object | string> = {}
  const server = createServer(({ url = '' }, response) => {
    const answer = answers[url]
    if (answer === undefined) response.writeHead(404)
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? {}))
  })
  const shown = () => firstValueFrom(viewTables(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))

  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => server.close())

  test('is asked for once for each path, the largest numbers first', async () => {
    answers['/views'] = { views: [{ path: '/stats' }, { path: '/stats' }, { path: '/broken' }, { path: '/gone' }] }
    answers['/stats?top=10'] = { by_user: { 2026: 3, ann: 1_200 }, by_size: { a: 'large' } }
    answers['/broken?top=10'] = 'no JSON'
    expect(await shown()).toEqual([
      {
        view: '/stats',
        name: 'by_user',
        rows: [
          ['ann', '1,200'],
          ['2026', '3'],
        ],
      },
      { view: '/stats', name: 'by_size', rows: [['a', 'large']] },
    ])
  })

  test('is nothing where there are none', async () => {
    delete answers['/views']
    expect(await shown()).toEqual([])
  })
})

test('colours are for terminals that want them', () => {
  const io = (env: object) => ({ env }) as never
  expect(painter({ write: () => true, isTTY: true }, io({}))('red', 'a')).toBe('\u001b[31ma\u001b[39m')
  expect(painter({ write: () => true }, io({}))('red', 'a')).toBe('a')
  expect(plain('red', 'a')).toBe('a')
})

test('a table has its columns aligned', () => {
  expect(
    table([
      ['a', 'b'],
      ['long', 'c'],
    ]),
  ).toEqual(['a      b', 'long   c'])
})

test('a table that is too wide has its widest column cut, in the middle', () => {
  const rows = [
    ['a', 'abcdefghijklmnopqrstuvwxyz', 'c'],
    ['b', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'd'],
  ]
  expect(table(rows, 22)).toEqual(['a   abcdefg…uvwxyz   c', 'b   ABCDEFG…UVWXYZ   d'])
  expect(table(rows, 34)).toEqual(['a   abcdefghijklmnopqrstuvwxyz   c', 'b   ABCDEFGHIJKLMNOPQRSTUVWXYZ   d'])
  expect(table(rows, 3)[0]).toHaveLength(20)
})

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [1_250_000, '1.3 MB'],
  [5e15, '5000.0 TB'],
])('%i bytes are %s', (bytes, text) => expect(bytesText(bytes)).toBe(text))

describe('demo traffic', () => {
  test('is the same for the same seed, and a little out of order', () => {
    const some = (seed: number) => {
      const random = mulberry32(seed)
      return Array.from({ length: 200 }, (_, index) => visit(random, at + index))
    }
    expect(some(1)).toEqual(some(1))
    expect(some(1)).not.toEqual(some(2))
    const behind = some(1).map(({ timestamp }, index) => at + index - Date.parse(timestamp))
    expect(Math.min(...behind)).toBe(0)
    expect(Math.max(...behind)).toBeGreaterThan(500)
    expect(Math.max(...behind)).toBeLessThan(1_500)
  })

  test('posts real requests, 20 to 50 events a second, whatever the server answers', async () => {
    const bodies: Activity[][] = []
    const read = async (request: IncomingMessage) =>
      JSON.parse(Buffer.concat(await request.toArray()).toString()) as Activity[]
    const server = createServer((request, response) => {
      void read(request).then((events) => {
        bodies.push(events)
        response.writeHead(bodies.length === 2 ? 503 : 202).end()
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/activity`
    const accepted$ = traffic(url).pipe(
      scan((all, count) => [...all, count], [] as number[]),
      filter(({ length }) => length === 6),
    )
    const accepted = await firstValueFrom(accepted$)
    server.close()
    expect(accepted[1]).toBe(0)
    expect(accepted[0]).toBe(bodies[0]?.length)
    expect(Math.max(...bodies.map(({ length }) => length))).toBeLessThanOrEqual(6)
    expect(bodies.flat().every(({ user_id }) => /^visitor-\d{3}$/.test(user_id))).toBe(true)
  })
})
