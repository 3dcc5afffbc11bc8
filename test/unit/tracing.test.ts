import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import type { Prepared } from '../../src/cli/prepare.js'
import { type Logger, silentLogger } from '../../src/model/index.js'

interface Attribute {
  readonly key: string
  readonly value: Record<string, unknown>
}

interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly Attribute[]
  readonly links?: readonly { readonly traceId: string; readonly spanId: string; readonly traceState?: string }[]
}

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[]
  }[]
}

const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-tracing-'))
})
afterEach(() => {
  rmSync(cwd, { recursive: true })
  vi.doUnmock('../../src/model/optional-peer.js')
})

/** Takes what is sent by OTLP over HTTP. */
async function collector() {
  const sent: Sent[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      if (request.url === '/v1/traces') sent.push(JSON.parse(Buffer.concat(parts).toString()) as Sent)
      response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { sent, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Runs a flow that takes events over HTTP in a process of its own, until the work is done. */
async function running(env: Readonly<Record<string, string>>, work: (url: string) => Promise<void>): Promise<void> {
  writeFileSync(
    join(cwd, 'flows.config.ts'),
    `import { consoleSink, defineConfig, flow, http, map } from 'weirflow'
    const any = { '~standard': { version: 1, vendor: 'test', validate: (value: any) => ({ value }) } } as never
    export default defineConfig({
      app: 'shop',
      flows: { intake: flow(http.post('/events', { body: any }), map((event: any) => event, { name: 'doubled' }), consoleSink()) },
    })`,
  )
  const argv = [command, 'run', '--port', '0', '--host', '127.0.0.1']
  const child = spawn(process.execPath, argv, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = new Promise((resolve) => child.once('close', resolve))
  const url = await new Promise<string>((resolve, reject) => {
    let said = ''
    const heard = (text: unknown) => {
      said += String(text)
      const [, found] = /listening on (http:[^"\s]+)/.exec(said) ?? []
      if (found !== undefined) resolve(found)
    }
    child.stdout.on('data', heard)
    child.stderr.on('data', heard)
    void ended.then((code) => reject(new Error(`it ended with ${String(code)}: ${said}`)))
  })
  await work(url)
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
}

const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
const valueOf = ({ attributes }: Pick<Span, 'attributes'>, name: string) => {
  const found = attributes.find(({ key }) => key === name)
  return found === undefined ? undefined : String(Object.values(found.value)[0])
}

test('an epoch is a span with one a stage below it, sent by OTLP, and linked to the traces of its records', {
  timeout: 120_000,
}, async () => {
  const { sent, url } = await collector()
  await running({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, async (port) => {
    const headers = { 'content-type': 'application/json', traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'a=1' }
    const events = Array.from({ length: 50 }, (_, id) => ({ id }))
    const post = () => fetch(`${port}/events`, { method: 'POST', headers, body: JSON.stringify(events) })
    await vi.waitFor(async () => expect((await post()).status).toBe(202), { timeout: 60_000, interval: 100 })
  })
  const resources = sent.flatMap(({ resourceSpans }) => resourceSpans)
  expect(resources.map(({ resource }) => valueOf(resource, 'service.name'))).toContain('shop')
  expect(JSON.stringify(resources)).not.toMatch(/process\.command|host\.name/)
  const spans = resources.flatMap(({ scopeSpans }) => scopeSpans).flatMap((scope) => scope.spans)
  const epochs = spans.filter(({ name }) => name === 'epoch of intake')
  const [epoch] = epochs as [Span]
  expect(epochs).toHaveLength(1)
  expect(epoch.parentSpanId ?? '').toBe('')
  expect(epoch.traceId).not.toBe(traceId)
  expect(epoch.links).toMatchObject([{ traceId, spanId, traceState: 'a=1' }])
  expect(valueOf(epoch, 'weir.records')).toBe('50')
  const children = spans.filter(({ parentSpanId }) => parentSpanId === epoch.spanId)
  // No span a record.
  expect(spans).toHaveLength(1 + children.length)
  const counts = children.map((span) => [
    span.name,
    valueOf(span, 'weir.records.in'),
    valueOf(span, 'weir.records.out'),
  ])
  expect(counts).toEqual([
    ['http.post', '0', '50'],
    ['doubled', '50', '50'],
    ['console', '50', '50'],
    ['commit', undefined, undefined],
  ])
  for (const { startTimeUnixNano: began, endTimeUnixNano: ended } of spans) {
    expect(BigInt(began)).toBeLessThanOrEqual(BigInt(ended))
    expect(Math.abs(Number(BigInt(ended) / 1_000_000n) - Date.now())).toBeLessThan(60_000)
  }
})

function preparedWith(environment: Prepared['environment']): Prepared {
  return { environment, topology: { app: 'shop' } } as Prepared
}

async function tracingWith(environment: Prepared['environment']) {
  const said: string[] = []
  const log = { ...silentLogger, warn: (...told: unknown[]) => void said.push(String(told.at(-1))) } as Logger
  vi.resetModules()
  const { tracingOf } = await import('../../src/cli/tracing.js')
  return { tracing: await tracingOf(preparedWith(environment), log), said }
}

test.each([
  [{}],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_TRACES_EXPORTER: 'none' }],
])('with %j nothing is traced', async (environment) => {
  expect(await tracingWith(environment)).toEqual({ tracing: undefined, said: [] })
})

test('an SDK that is not installed is told in one line, with the one that installs it, and flows run all the same', async () => {
  vi.doMock('../../src/model/optional-peer.js', async (original) => {
    const { loadPeer } = await original<typeof import('../../src/model/optional-peer.js')>()
    return { loadPeer: (name: string, wantedBy: string): unknown => loadPeer(`${name}-missing`, wantedBy) }
  })
  const { tracing, said } = await tracingWith({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' })
  expect(tracing).toBeUndefined()
  expect(said).toEqual([
    expect.stringMatching(/^no spans are sent: .*not installed.*npm install @opentelemetry\/sdk-node-missing/),
  ])
})
