import { NEVER, type Observable, tap, VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { compile, Engine, type Flow } from '../../src/engine/index.js'
import { consoleSink, flow, generate, http, rx } from '../../src/index.js'
import { type HttpReply, type HttpRoute, silentLogger } from '../../src/model/index.js'

/** Runs a flow in virtual time; `use` is given its route. */
function run(declared: Flow, use: (route: HttpRoute | undefined) => void = () => undefined): void {
  const scheduler = new VirtualTimeScheduler()
  let served: HttpRoute | undefined
  const engine = new Engine(compile({ flows: { flow: declared } }, { environment: {} }), {
    clock: { now: () => scheduler.now(), scheduler },
    log: silentLogger,
    http: {
      serve: (route) => {
        served = route
        return NEVER
      },
    },
    production: false,
    dataDirectory: '.',
  })
  engine.run().subscribe()
  scheduler.schedule(() => use(served), 100)
  scheduler.schedule(() => engine.stop(), 2_000)
  scheduler.flush()
}

describe('the record that fills an epoch is in it', () => {
  test('generated ones', () => {
    const seen: number[] = []
    const indices = generate({ rate: 1_000, count: 10, value: (_random, index) => index })
    run(flow(indices, rx(tap((index: number) => seen.push(index))), consoleSink()).with({ epoch: { maxRecords: 3 } }))
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('posted ones, and their callers are answered', () => {
    const seen: number[] = []
    const statuses: number[] = []
    const answered = (reply$: Observable<HttpReply>) => reply$.subscribe(({ status }) => statuses.push(status))
    const posted = http.post('/numbers', { body: z.number() })
    const declared = flow(posted, rx(tap((value: number) => seen.push(value))), consoleSink())
    run(declared.with({ epoch: { maxRecords: 4 } }), (route) => {
      for (const body of [[1, 2], [3, 4], 5, [6, 7, 8, 9, 10]]) {
        answered(
          route?.handle({ body, bytes: 10, headers: {}, rawHeaders: [], query: {}, correlationId: 'c' }) ?? NEVER,
        )
      }
    })
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(statuses).toEqual([202, 202, 202, 202])
  })
})
