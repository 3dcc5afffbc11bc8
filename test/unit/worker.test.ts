import { firstValueFrom, NEVER, type Observable, Subject, takeUntil } from 'rxjs'
import { describe, expect, test } from 'vitest'
import type { FlowState, FlowStatus } from '../../src/engine/status.js'
import { silentLogger, systemClock, WeirError } from '../../src/model/index.js'
import { createLog } from '../../src/worker/log.js'
import { type Outcome, runWorker, type WorkerOptions } from '../../src/worker/worker.js'
import { flowStatus } from '../support/flow-status.js'

/** Flows that are in the states they are told, and end when the test says so. */
class FakeEngine {
  readonly ended$ = new Subject<void>()
  readonly calls: string[] = []
  states: Record<string, FlowState> = { one: 'running' }
  onStop = () => this.ended$.next()

  run = (): Observable<never> => NEVER.pipe(takeUntil(this.ended$))
  close = () => {
    this.calls.push('close')
    return Promise.resolve()
  }
  stop = () => {
    this.calls.push('stop')
    this.onStop()
  }
  status = (): FlowStatus[] =>
    Object.entries(this.states).map(([flow, state]) => {
      const now = systemClock.scheduler.now()
      return flowStatus({ flow, state, since: now, lastCommitAt: now })
    })
}

function start(more: Partial<WorkerOptions> = {}) {
  const engine = new FakeEngine()
  const stop$ = new Subject<void>()
  let begun: (url: string) => void
  const url = new Promise<string>((resolve) => {
    begun = resolve
  })
  const outcome = firstValueFrom(
    runWorker({
      engine: () => engine,
      clock: systemClock,
      log: silentLogger,
      address: { host: '127.0.0.1', port: 0 },
      stop$,
      about: { version: '1.2.3' },
      beside: ({ address: { port } }) => {
        begun(`http://127.0.0.1:${port}`)
        return NEVER
      },
      ...more,
    }),
  )
  return { engine, stop$, url, outcome }
}

const get = async (url: string) => {
  const response = await fetch(url)
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

describe('a worker', () => {
  test('drains and closes when it is told to stop', async () => {
    const { engine, stop$, url, outcome } = start()
    await url
    stop$.next()
    expect(await outcome).toBe<Outcome>('stopped')
    expect(engine.calls).toEqual(['stop', 'close'])
    await expect(fetch(await url)).rejects.toThrow('fetch failed')
  })

  test('ends at once when it is told twice', async () => {
    const { engine, stop$, url, outcome } = start()
    engine.onStop = () => undefined
    await url
    stop$.next()
    stop$.next()
    expect(await outcome).toBe<Outcome>('interrupted')
  })

  test('ends when the drain takes too long', async () => {
    const { engine, stop$, url, outcome } = start({ shutdownTimeoutMs: 30 })
    engine.onStop = () => undefined
    await url
    stop$.next()
    expect(await outcome).toBe<Outcome>('overdue')
  })

  test('ends as failed when its flows have', async () => {
    const { engine, url, outcome } = start()
    await url
    engine.states = { one: 'failed', two: 'stopped' }
    engine.ended$.next()
    expect(await outcome).toBe<Outcome>('failed')
  })

  test('that is stopped is not failed by a flow that had failed before', async () => {
    const { engine, stop$, url, outcome } = start()
    await url
    const failed = {
      ...engine.status()[0],
      flow: 'old',
      state: 'failed' as const,
      since: systemClock.scheduler.now() - 1000,
    }
    const status = engine.status
    engine.status = () => [...status(), failed as FlowStatus]
    stop$.next()
    expect(await outcome).toBe<Outcome>('stopped')
  })

  test('tells its health, readiness, metrics and version', async () => {
    const { engine, stop$, url, outcome } = start()
    const base = await url
    expect(await get(`${base}/health`)).toMatchObject({ status: 200, text: expect.stringContaining('"status":"ok"') })
    expect((await get(`${base}/ready`)).status).toBe(200)
    const { status } = engine
    const trouble = new WeirError('WEIR_SOURCE_UNREACHABLE', 'reading a stream: nobody answers')
    engine.status = () => status().map((flow) => ({ ...flow, trouble }))
    expect((await get(`${base}/health`)).status).toBe(200)
    expect(await get(`${base}/ready`)).toMatchObject({ status: 503, text: expect.stringContaining('nobody answers') })
    expect((await get(`${base}/metrics`)).text).toContain('weir_flow_ready{flow="one"} 0')
    engine.status = status
    engine.states = { one: 'failed', two: 'assigning' }
    expect(await get(`${base}/health`)).toMatchObject({ status: 503, text: expect.stringContaining('it has failed') })
    expect((await get(`${base}/ready`)).status).toBe(503)
    const metrics = await get(`${base}/metrics`)
    expect(metrics).toMatchObject({ status: 200, type: expect.stringContaining('text/plain; version=0.0.4') })
    expect(metrics.text).toContain('weir_flow_state{flow="one",state="failed"} 1')
    expect(JSON.parse((await get(`${base}/version`)).text)).toEqual({ version: '1.2.3' })
    expect(JSON.parse((await get(`${base}/views`)).text)).toEqual({ views: [] })
    engine.onStop = () => undefined
    stop$.next()
    engine.states = { one: 'running' }
    expect((await get(`${base}/ready`)).status).toBe(503)
    engine.ended$.next()
    await outcome
  })

  test('does not run when its port is taken, or its flows can not be built', async () => {
    const first = start()
    const port = Number(new URL(await first.url).port)
    const second = start({ address: { host: '127.0.0.1', port } })
    await expect(second.outcome).rejects.toMatchObject({ code: 'WEIR_HTTP_PORT_TAKEN' })
    const error = new WeirError('WEIR_CONFIG_EMBEDDED', 'not in production')
    await expect(
      start({
        engine: () => {
          throw error
        },
      }).outcome,
    ).rejects.toBe(error)
    first.stop$.next()
    await first.outcome
  })
})

describe('the log', () => {
  function logged(format: 'json' | 'pretty', write: (log: ReturnType<typeof createLog>) => void) {
    const lines: string[] = []
    const redact = (text: string) => text.replaceAll('hunter2', '[secret]')
    write(createLog({ level: 'info', format, destination: { write: (line) => lines.push(line) }, redact }))
    return lines
  }

  test('is a line of JSON an event, with what it belongs to', () => {
    const [line] = logged('json', (log) =>
      log.child({ flow: 'one' }).warn({ stage: 'map', correlationId: 'c' }, 'late'),
    )
    expect(JSON.parse(line ?? '')).toMatchObject({
      level: 'warn',
      flow: 'one',
      stage: 'map',
      correlationId: 'c',
      msg: 'late',
    })
  })

  test('never shows a secret, wherever it stands', () => {
    const lines = logged('json', (log) => {
      log.info({ url: 'redis://:hunter2@host' }, 'with hunter2')
      log.error({ error: new WeirError('WEIR_SINK_FAILED', 'as hunter2', { cause: new Error('hunter2') }) }, 'failed')
      log.info({ connection: { password: 'other' } }, 'connecting')
    })
    expect(lines.join('')).not.toContain('hunter2')
    expect(lines.join('')).not.toContain('other')
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ error: { code: 'WEIR_SINK_FAILED', message: 'as [secret]' } })
  })

  test('for people is a short line', () => {
    const [line] = logged('pretty', (log) => log.child({ flow: 'one' }).info({ stage: 'map' }, 'running'))
    expect(line).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: \[one map\] running\n$/)
  })

  test('no record can write a line of its own', () => {
    const forged = 'late\n[12:00:00.000] INFO: all is well'
    const lines = logged('pretty', (log) => {
      log.info({ stage: 'map', error: new Error(forged) }, forged)
      log.warn({ error: new WeirError('WEIR_RECORD_INVALID', forged, { hint: forged }) }, 'rejected')
    })
    const begun = lines
      .join('')
      .split('\n')
      .filter((line) => line.startsWith('['))
    expect(begun.map((line) => line.slice(0, 31).replace(/\d/g, '0'))).toEqual([
      expect.stringContaining('INFO: [map] late') as string,
      expect.stringContaining('WARN: rejected') as string,
    ])
  })

  test('leaves out what is below its level', () => {
    expect(logged('json', (log) => log.debug('nothing'))).toEqual([])
  })
})
