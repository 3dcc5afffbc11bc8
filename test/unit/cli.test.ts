import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EMPTY, of } from 'rxjs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Io } from '../../src/cli/io.js'
import { childrenOf } from '../servers/server-support.js'
import { weirIn } from '../support/weir.js'

const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))

let cwd: string
const children: ChildProcess[] = []
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-cli-'))
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(cwd, { recursive: true })
})

const write = (...lines: string[]) => writeFileSync(join(cwd, 'flows.config.ts'), `${lines.join('\n')}\n`)
const config = (operators = '', more = '') =>
  write(
    "import { consoleSink, defineConfig, env, flow, http, kafka, map, mapAsync, secret } from 'weirflow'",
    "const Event = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const",
    'export default defineConfig({',
    `  app: 'shop',${more}`,
    '  flows: {',
    `    orders: flow(http.post('/orders', { body: Event }), ${operators}consoleSink()),`,
    "    visits: flow(http.post('/visits', { body: Event }), consoleSink()),",
    '  },',
    '})',
  )

const weir = (argv: string[], env: Record<string, string> = {}, startWorker?: Io['startWorker']) =>
  weirIn(cwd, argv, env, startWorker)

describe('weir check', () => {
  test('prints what each flow guarantees, and which stage sets it', async () => {
    config()
    const { code, stdout } = await weir(['check'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/✓ flows\.config\.ts holds: app shop, checkpoints in memory/)
    expect(stdout).toMatch(/orders +at-least-once +console +–/)
  })

  test('prints the same as JSON', async () => {
    config()
    const { code, stdout } = await weir(['check', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      app: 'shop',
      flows: [{ name: 'orders', guarantee: 'at-least-once', guaranteedBy: { stage: 'console' } }, { name: 'visits' }],
    })
  })

  describe('of sources of Kafka', () => {
    const reading = (...options: string[]) =>
      write(
        "import { consoleSink, defineConfig, flow, kafka } from 'weirflow'",
        'export default defineConfig({',
        "  app: 'shop',",
        "  connections: { kafka: kafka({ brokers: 'b:9092' }) },",
        `  flows: { ${options.map((more, index) => `f${index}: flow(kafka.source({ topic: 't', ${more} }), consoleSink())`).join(', ')} },`,
        '})',
      )
    const buffer = "client: { 'socket.receive.buffer.bytes': 1000 }"

    test('prints by which way they read, and why', async () => {
      reading('', "reader: 'client'", buffer, "reader: 'fetch'")
      const { code, stdout } = await weir(['check'])
      expect(code).toBe(0)
      const of = (flow: string, way: string) => new RegExp(`${flow} +kafka\\.source +t +${way}`)
      expect(stdout).toMatch(/flow +source +reads +by +because/)
      expect(stdout).toMatch(of('f0', 'fetch +the settings allow it'))
      expect(stdout).toMatch(of('f1', 'client +the option reader says so'))
      expect(stdout).toMatch(of('f2', "client +of 'socket.receive.buffer.bytes' only the client knows what to make"))
      expect(stdout).toMatch(of('f3', 'fetch +the option reader says so'))
      const { flows } = JSON.parse((await weir(['check', '--json'])).stdout)
      const way = { source: 'kafka.source', detail: 't', name: 'fetch', because: 'the settings allow it' }
      expect(flows[0].ways).toEqual([way])
    })

    test('refuses the way that they can not read by', async () => {
      reading(`reader: 'fetch', ${buffer}`)
      const { code, stderr } = await weir(['check'])
      expect(code).toBe(78)
      expect(stderr).toMatch(
        /flow 'f0': 'kafka\.source' can't fetch past the client, because of 'socket.receive.buffer.bytes'[\s\S]+Leave option reader out/,
      )
    })
  })

  test('ends with 78 and tells every fault with its line', async () => {
    config(
      "mapAsync((value: never) => value, { concurrency: 'many' as never }), ",
      "\n  connections: { k: kafka({ brokers: env('BROKERS') }) },",
    )
    const { code, stderr } = await weir(['check'])
    expect(code).toBe(78)
    expect(stderr).toContain('2 faults in the configuration')
    expect(stderr).toMatch(/concurrency[\s\S]+at flows\.config\.ts:7\n/)
    expect(stderr).toMatch(/BROKERS is not set[\s\S]+Set BROKERS/)
    const json = await weir(['check', '--json'])
    expect(json.code).toBe(78)
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, faults: [{}, { file: 'flows.config.ts', line: 7 }] })
  })

  test('ends with 78 when there is no configuration', async () => {
    const { code, stderr } = await weir(['check'])
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining('there is no flows.config.ts') })
    expect((await weir(['check', '--config', 'no.ts'])).code).toBe(78)
  })

  test('tells what is hardly meant with its line, and ends with 0', async () => {
    const rxjs = fileURLToPath(new URL('../../node_modules/rxjs/dist/cjs/index.js', import.meta.url))
    write(
      `import { scan } from '${rxjs}'`,
      "import { consoleSink, defineConfig, flow, generate, rx } from 'weirflow'",
      'const numbers = generate({ rate: 1, value: (_, index) => index })',
      'export default defineConfig({',
      '  flows: { sums: flow(',
      '    numbers,',
      '    rx(scan((sum: number, n: number) => sum + n, 0)),',
      '    consoleSink(),',
      '  ) },',
      '})',
    )
    const { code, stdout } = await weir(['check'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /! flow 'sums': 'rx' remembers records by scan[\s\S]+at flows\.config\.ts:7\n[\s\S]+aggregate\(/,
    )
    const json = JSON.parse((await weir(['check', '--json'])).stdout)
    expect(json).toMatchObject({ ok: true, warnings: [{ file: 'flows.config.ts', line: 7 }] })
  })

  test.each([[['check']], [['check', '--json']], [['run']]])(
    '%j shows no password of a configuration that throws',
    async (argv) => {
      write("const url = 'postgres://ann:hunter2@db:5432/x'", 'throw new Error(`opening ${url}`)')
      const { code, stdout, stderr } = await weir(argv)
      expect(code).toBe(78)
      expect(stdout + stderr).toContain('opening postgres://[secret]@db:5432/x')
      expect(stdout + stderr).not.toContain('hunter2')
    },
  )

  test('shows no secret', async () => {
    config('', "\n  connections: { k: kafka({ brokers: 'b:1', clientId: secret('CLIENT') }) },")
    const { stdout } = await weir(['check'], { CLIENT: 'shop', WEIR_APP: 'other' })
    expect(stdout).toContain('app [secret]')
  })
})

test('weir graph prints the stages of each flow', async () => {
  config('map((value) => value), ')
  const { code, stdout } = await weir(['graph'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/flow orders[\s\S]+http\.post +POST \/orders[\s\S]+map +← http\.post[\s\S]+console/)
})

describe('the command line', () => {
  test('that names no flow there is ends with 2, and says which was meant', async () => {
    config()
    expect(await weir(['run', 'order'])).toMatchObject({
      code: 2,
      stderr: "error no flow is called 'order': did you mean 'orders'?\n",
    })
    expect((await weir(['run', 'nothing'])).stderr).toContain('there are orders, visits')
  })

  test.each([
    ['', 'shop', 'there is none'],
    [" systems: { shop: ['orders'], all: ['visits'] },", 'shopp', "did you mean 'shop'?"],
  ])('that names no system there is ends with 2 (%s)', async (systems, name, hint) => {
    config('', systems)
    const stderr = `error no system is called '${name}': ${hint}\n`
    expect(await weir(['start', name])).toMatchObject({ code: 2, stderr })
  })

  test.each([['walk'], ['run', '--fast'], [], ['run', '--port', 'x'], ['run', '--port', '70000'], ['run', '-w', '0']])(
    'of %j ends with 2',
    async (...argv) => {
      config()
      expect((await weir(argv as string[])).code).toBe(2)
    },
  )

  test('tells its version and its help', async () => {
    expect(await weir(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) })
    expect(await weir(['run', '--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--port') })
  })
})

test.each([{ SERVER_PORT: 'high' }, { LOG_LEVEL: 'loud' }, { DEMO_TRAFFIC: 'perhaps' }])(
  'an environment of %j ends with 78',
  async (env) => {
    config()
    const { code, stderr } = await weir(['start'], env)
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining(Object.keys(env)[0] as string) })
  },
)

test('what suits a demo is not set for a Kafka that the configuration names itself', async () => {
  write(
    "import { consoleSink, defineConfig, env, flow, kafka } from 'weirflow'",
    'export default defineConfig({',
    "  connections: { k: kafka({ brokers: 'localhost:1' }) },",
    "  flows: { orders: flow(kafka.source({ topic: 'orders', group: env('FLUSH_INTERVAL_SEC') }), consoleSink()) },",
    '})',
  )
  const { code, stderr } = await weir(['start'])
  expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining('FLUSH_INTERVAL_SEC is not set') })
})

test.each([{ WEIR_WORKERS: '0' }, { WEIR_WORKERS: 'many' }])('to run with %j ends with 78', async (env) => {
  config()
  expect(await weir(['run'], env)).toMatchObject({ code: 78, stderr: expect.stringContaining('WEIR_WORKERS') })
})

test.each([
  ['read from', "flow(kafka.source({ topic: 'orders' }), consoleSink())"],
  [
    'for their dead letters',
    "flow(http.post('/', { body: Event }), map((value) => value, { onError: 'dead-letter' }), consoleSink())",
  ],
])('several workers with an embedded server %s end with 78', async (_, flow) => {
  const connections = "\n  connections: { events: kafka({ brokers: 'embedded' }) },"
  write(
    "import { consoleSink, defineConfig, flow, http, kafka, map } from 'weirflow'",
    "const Event = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const",
    'export default defineConfig({',
    `  app: 'shop',${connections}`,
    `  flows: { orders: ${flow} },`,
    '})',
  )
  const { code, stderr } = await weir(['run', '--workers', '2'])
  expect({ code, stderr }).toMatchObject({
    code: 78,
    stderr: expect.stringContaining("'events' is an embedded server"),
  })
})

test.each([2, 78])('several workers end with %i when one of them does', async (code) => {
  config()
  const hopeless = { pid: 1, send: () => undefined, kill: () => undefined, messages$: EMPTY }
  const startWorker = () => ({ ...hopeless, exit$: of({ code, signal: null }) })
  expect((await weir(['run', '--workers', '2'], {}, startWorker)).code).toBe(code)
})

test('several workers are processes of their own', async () => {
  config()
  expect((await weir(['run', '--workers', '2'])).stderr).toContain('no process is started here')
})

describe('a process', () => {
  function start(...argv: string[]) {
    const child = spawn(process.execPath, [command, ...argv], {
      cwd,
      env: { ...process.env, SERVER_PORT: '0', DEMO_TRAFFIC: '0' },
    })
    children.push(child)
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    child.stderr.on('data', (chunk) => {
      text += chunk
    })
    const ended = new Promise<number | string | null>((resolve) =>
      child.on('close', (code, signal) => resolve(code ?? signal)),
    )
    const says = async (pattern: RegExp) => {
      for (;;) {
        const match = pattern.exec(text)
        if (match !== null) return match
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${text}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    return { child, ended, says, text: () => text }
  }
  test('has more than the four threads that calls of the Kafka client would else wait for brokers in', () => {
    const probe = join(cwd, 'probe.cjs')
    writeFileSync(probe, "process.on('exit', () => console.log(require('fs').readdirSync('/proc/self/task').length))")
    const threads = (more: Record<string, string> = {}) => {
      const env = { PATH: process.env['PATH'], ...more }
      return Number(
        execFileSync(process.execPath, ['-r', probe, command, '--version'], { env }).toString().split('\n')[1],
      )
    }
    expect(threads() - threads({ UV_THREADPOOL_SIZE: '4' })).toBe(28)
  })

  const listening = /listening on (http:\/\/localhost:\d+)/
  const post = (url: string) => fetch(`${url}/orders`, { method: 'POST', body: '{"id":1}' })

  test.each([
    ['SIGTERM', 'run'],
    ['SIGINT', 'run'],
    ['SIGHUP', 'start'],
  ] as const)('drains at %s and ends with 0: %s', async (signal, name) => {
    config('', " run: ['orders'],")
    const { child, ended, says, text } = start(name, '--json')
    const [, url = ''] = await says(listening)
    await says(/"flow":"orders","msg":"running"/)
    expect((await post(url)).status).toBe(202)
    child.kill(signal)
    expect(await ended).toBe(0)
    expect(text()).toContain('"msg":"stopped"')
    expect(text()).not.toContain('"flow":"visits"')
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('ends at once at a second %s, and of it', async (signal) => {
    config("mapAsync(() => (console.error('asked'), new Promise<never>(() => {}))), ")
    const { child, ended, says } = start('run')
    const [, url = ''] = await says(listening)
    await says(/"flow":"orders","msg":"running"/)
    post(url).catch(() => undefined)
    await says(/asked/)
    child.kill(signal)
    await says(/stopping/)
    child.kill(signal)
    expect(await ended).toBe(signal)
  })

  test('drains when its terminal is closed, which tells it so twice and takes its outputs away', async () => {
    const wait = "console.error('asked'); await new Promise((resolve) => setTimeout(resolve, 500))"
    config(`mapAsync(async (value) => { ${wait}; return value }), `)
    const { child, ended, says } = start('start', '--json')
    const [, url = ''] = await says(listening)
    await says(/"flow":"orders","msg":"running"/)
    const answer = post(url)
    await says(/"flow":"visits","msg":"running"/)
    await says(/asked/)
    child.stdout.destroy()
    child.stderr.destroy()
    await new Promise((resolve) => setTimeout(resolve, 100))
    child.kill('SIGHUP')
    await new Promise((resolve) => setTimeout(resolve, 100))
    child.kill('SIGHUP')
    expect((await answer).status).toBe(202)
    expect(await ended).toBe(0)
  })

  test('runs on at SIGHUP and loads its configuration again', async () => {
    config()
    const { child, ended, says, text } = start('run')
    const [, url = ''] = await says(listening)
    await says(/"flow":"visits","msg":"running"/)
    await says(/"flow":"orders","msg":"running"/)
    config('map((value) => [value]), ')
    child.kill('SIGHUP')
    await says(/"msg":"reloaded: restarted orders; went on visits"/)
    await says(/"flow":"orders","msg":"stopped"[\s\S]+"flow":"orders","msg":"running"/)
    expect((await post(url)).status).toBe(202)
    await says(/\[{\\"id\\":1}\]/)
    expect(text()).not.toContain('"flow":"visits","msg":"draining"')
    config('map((value) => [value]), ', " app: 'other',")
    child.kill('SIGHUP')
    await says(/WEIR_CONFIG_FIXED[\s\S]+not reloaded, all goes on as it was: [^\n]+ app/)
    config('map((value) => [value]), ', " http: { host: '127.0.0.1' },")
    child.kill('SIGHUP')
    await says(/not reloaded, all goes on as it was: [^\n]+ the HTTP port \(http\)[^\n]+Restart the process/)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  test('takes no configuration at SIGHUP whose flows would serve the same route, and says where', async () => {
    config()
    const { child, ended, says, text } = start('run')
    const [, url = ''] = await says(listening)
    await says(/"flow":"orders","msg":"running"/)
    const file = join(cwd, 'flows.config.ts')
    writeFileSync(file, readFileSync(file, 'utf8').replace("'/orders'", "'/visits'"))
    child.kill('SIGHUP')
    const [refusal] = await says(/[^\n]+not reloaded, all goes on as it was: [^\n]+/)
    expect(refusal).toMatch(
      /flow 'visits' serves POST \/visits, as flow 'orders' does.+flows\.config\.ts:7.+another path/,
    )
    expect((await post(url)).status).toBe(202)
    expect(text()).not.toContain('"msg":"draining"')
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  test('runs what was written last, however fast hangups come one after another', async () => {
    config()
    const { child, ended, says, text } = start('run')
    const [, url = ''] = await says(listening)
    await says(/"flow":"orders","msg":"running"/)
    for (const which of ['first', 'second', 'third']) {
      config(`map(() => '${which}'), `)
      child.kill('SIGHUP')
      child.kill('SIGHUP')
    }
    await vi.waitFor(async () => {
      await post(url)
      expect(text()).toContain('third')
    }, 30_000)
    expect(text()).not.toContain('"flow":"visits","msg":"draining"')
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  test('waits in dev for flows that have failed to be mended', async () => {
    const only = (stage: string) =>
      write(
        "import { consoleSink, defineConfig, flow, generate, map } from 'weirflow'",
        "export default defineConfig({ app: 'shop', flows: {",
        `  only: flow(generate({ rate: 100, value: () => 1 }), ${stage}, consoleSink()).with({ attempts: 1 }),`,
        '} })',
      )
    only("map(() => { throw new Error('a bug') })")
    const { child, ended, says } = start('dev', '--json')
    await says(/"flow":"only","msg":"failed/)
    only("map(() => 'mended')")
    await says(/"msg":"reloaded: restarted only"[\s\S]+mended/)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  test('stops when its terminal is closed, though it could reload', async () => {
    config()
    const line = `exec ${process.execPath} ${command} run --json`
    const terminal = spawn('script', ['-qefc', line, '/dev/null'], {
      cwd,
      env: { ...process.env, SERVER_PORT: '0', DEMO_TRAFFIC: '0' },
    })
    children.push(terminal)
    let text = ''
    terminal.stdout.on('data', (chunk) => {
      text += chunk
    })
    await vi.waitFor(() => expect(text).toMatch(/"flow":"visits","msg":"running"/), 30_000)
    const [pid = 0] = childrenOf(terminal.pid as number)
    terminal.kill('SIGKILL')
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(), 30_000)
  })

  test('loads its configuration again in dev when a file is saved, by an editor that puts another in its place', async () => {
    write(
      "import { consoleSink, defineConfig, flow, http, map } from 'weirflow'",
      "import { text } from './text.js'",
      "const Event = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const",
      "export default defineConfig({ app: 'shop', flows: {",
      "  orders: flow(http.post('/orders', { body: Event }), map(() => text), consoleSink()),",
      "  visits: flow(http.post('/visits', { body: Event }), consoleSink()),",
      '} })',
    )
    const save = (text: string) => {
      writeFileSync(join(cwd, 'text.ts~'), `export const text = '${text}'\n`)
      renameSync(join(cwd, 'text.ts~'), join(cwd, 'text.ts'))
    }
    save('one')
    const { child, ended, says, text } = start('dev', '--json')
    await says(/"flow":"visits","msg":"running"/)
    await says(/"flow":"orders","msg":"running"/)
    save('two')
    await says(/"msg":"reloaded: restarted orders; went on visits"/)
    save("'")
    await says(/not reloaded, all goes on as it was: loading flows\.config\.ts/)
    save('three')
    await says(/went on visits"[\s\S]+"msg":"reloaded: restarted orders; went on visits"/)
    expect(text()).not.toContain('"flow":"visits","msg":"draining"')
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  test('ends with 1 when its port is taken, and says what to do', async () => {
    config()
    const taken = createServer().listen(0)
    await new Promise((resolve) => taken.once('listening', resolve))
    const { ended, text } = start('run', '--port', String((taken.address() as AddressInfo).port))
    expect(await ended).toBe(1)
    expect(text()).toMatch(/listening on port \d+[\s\S]+SERVER_PORT/)
    taken.close()
  })

  test.each([
    [['run'], false],
    [['run', 'visits'], true],
  ] as const)('%j runs what is named, or else what the configuration says', async (argv, runsVisits) => {
    config('', " run: ['orders'],")
    const { child, ended, says, text } = start(...argv)
    await says(/"flow":/)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect([text().includes('"flow":"visits"'), text().includes('"flow":"orders"')]).toEqual([runsVisits, !runsVisits])
  })

  const systems = " run: ['orders'], systems: { look: ['visits'], all: ['orders', 'visits'] },"

  test('started with a name runs the flows of that name', async () => {
    config('', systems)
    const { child, ended, says, text } = start('start', 'look')
    await says(/post events:\n\s+curl http:\/\/localhost:\d+\/visits/)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(text()).not.toContain('orders')
  })

  test('started without a name tells the names, and runs what the configuration says', async () => {
    config('', systems)
    const { child, ended, says, text } = start('start')
    await says(/npm start -- look +visits\n +npm start -- all +orders, visits/)
    await says(/post events:\n\s+curl http:\/\/localhost:\d+\/orders/)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(text()).not.toContain('/visits')
  })

  test('started to be tried tells where to post, and how it goes', async () => {
    config()
    const { child, ended, says } = start('start')
    await says(/post events:\n\s+curl http:\/\/localhost:\d+\/orders/)
    await says(/0 in, 0\/s, lag 0/)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })
})
