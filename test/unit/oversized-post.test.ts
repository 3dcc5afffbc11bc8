import { firstValueFrom, NEVER } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { compile, Engine } from '../../src/engine/index.js'
import { flow, http, kafka } from '../../src/index.js'
import { type HttpRoute, silentLogger, systemClock } from '../../src/model/index.js'

test('one client with events that are too large does not stop the flow', async () => {
  expect(() => kafka.sink({ topic: 't', onError: 'dead-letter' } as never)).not.toThrow()
  const declared = flow(
    http.post('/e', { body: z.object({ text: z.string() }) }),
    kafka.sink({ topic: 'events' }),
  ).with({ attempts: 3 })
  const topology = compile(
    { connections: { kafka: kafka({ brokers: 'embedded' }) }, flows: { f: declared } },
    { environment: {} },
  )
  const routes: HttpRoute[] = []
  const engine = new Engine(topology, {
    clock: systemClock,
    log: silentLogger,
    production: false,
    dataDirectory: '.',
    http: { serve: (route) => (routes.push(route), NEVER) },
  })
  const running = engine.run().subscribe()
  onTestFinished(async () => {
    running.unsubscribe()
    await engine.close()
  })
  const post = (text: string) => {
    const body = { text }
    const bytes = JSON.stringify(body).length
    expect(bytes).toBeLessThan(1_048_576)
    return firstValueFrom(
      routes[0]!.handle({ body, bytes, headers: {}, rawHeaders: [], query: {}, correlationId: 'c' }),
    )
  }
  const statuses: number[] = []
  statuses.push((await post('fine')).status)
  for (let i = 0; i < 3; i++) statuses.push((await post('x'.repeat(1_020_000))).status)
  expect(statuses).toEqual([202, 202, 202, 202])
  expect(engine.status()[0]!.state).not.toBe('failed')
})
