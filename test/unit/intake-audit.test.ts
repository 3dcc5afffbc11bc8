import { concat, defer, EMPTY, NEVER, type Observable, of, throwError } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { expect, onTestFinished, test } from 'vitest'
import {
  type AuditEvent,
  type AuditLog,
  type HttpRequest,
  type Logger,
  silentLogger,
  WeirError,
} from '../../src/model/index.js'
import { VirtualClock } from '../../src/testing/virtual-clock.js'
import { WorkerHttpServer } from '../../src/worker/http-server.js'
import { IntakeAudit, type IntakeRequest } from '../../src/worker/intake-audit.js'

const request = (correlationId: string, more: Partial<IntakeRequest> = {}): IntakeRequest => ({
  route: 'POST /events',
  correlationId,
  caller: { address: '127.0.0.1' },
  status: 202,
  ...more,
})

/** A log that is away until it is said to be there. */
class FakeLog implements AuditLog {
  readonly address = 'nowhere'
  readonly events: AuditEvent[] = []
  readonly calls: string[] = []
  isThere = true

  open = (): Observable<never> => this.call('open')
  close = (): Observable<never> => this.call('close')
  write = (events: readonly AuditEvent[]): Observable<never> =>
    concat(
      this.call('write'),
      defer(() => (this.events.push(...events), EMPTY)),
    )

  private call(name: string): Observable<never> {
    return defer(() => {
      this.calls.push(name)
      return this.isThere || name === 'close'
        ? EMPTY
        : throwError(() => new WeirError('WEIR_SINK_UNREACHABLE', 'writing the audit: nobody answers'))
    })
  }
}

function audited(
  run: (kit: { audit: IntakeAudit; target: FakeLog; scheduler: TestScheduler; said: string[] }) => void,
) {
  const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected))
  const said: string[] = []
  const tell = (...told: unknown[]) => void said.push(String(told.at(-1)))
  const log = { ...silentLogger, info: tell, warn: tell, error: tell } as Logger
  const target = new FakeLog()
  const audit = new IntakeAudit(target, 'shop', new VirtualClock(scheduler), log)
  scheduler.run(() => {
    run({ audit, target, scheduler, said })
  })
}

const ids = ({ events }: FakeLog) => events.map(({ correlationId }) => correlationId)

test('an audit that is away keeps what comes, and writes it once it is there', () => {
  audited(({ audit, target, scheduler, said }) => {
    target.isThere = false
    audit.run().subscribe()
    audit.took(request('a'))
    scheduler.schedule(() => audit.took(request('b')), 1_500)
    scheduler.schedule(() => expect(audit.status()).toEqual({ written: 0, lost: 0, waiting: 2 }), 5_500)
    scheduler.schedule(() => void (target.isThere = true), 5_600)
    scheduler.schedule(() => {
      expect(ids(target)).toEqual(['a', 'b'])
      expect(audit.status()).toEqual({ written: 2, lost: 0, waiting: 0 })
      expect(said).toEqual([expect.stringMatching(/nobody answers.*all the same/), expect.stringContaining('again')])
      audit.stop().subscribe()
    }, 6_500)
  })
})

test('what is too much is counted, told once, and lost', () => {
  audited(({ audit, target, said }) => {
    target.isThere = false
    for (let count = 0; count < 20_010; count++) audit.took(request(String(count)))
    expect(audit.status()).toEqual({ written: 0, lost: 10, waiting: 20_000 })
    expect(said).toHaveLength(1)
    audit.over()
    expect(said.at(-1)).toBe('20010 events of the audit are lost')
  })
})

test('a worker that ends writes the rest before the connections are closed', () => {
  audited(({ audit, target, scheduler }) => {
    audit.run().subscribe()
    scheduler.schedule(() => {
      audit.took(request('last'))
      audit.stop().subscribe({ complete: () => target.calls.push('stopped') })
    }, 300)
    scheduler.flush()
    expect(ids(target)).toEqual(['last'])
    expect(target.calls).toEqual(['open', 'write', 'close', 'stopped'])
  })
})

test('what is in doubt is no refusal, and what was taken in part no acceptance', () => {
  audited(({ audit, target, scheduler }) => {
    for (const [status, accepted] of [[202, 1], [422, 0], [422, 1], [500, 0], [503, 0], [401]] as const)
      audit.took(request('x', { status, accepted }))
    audit.run().subscribe()
    audit.stop().subscribe()
    scheduler.flush()
    expect(target.events.map(({ outcome }) => outcome)).toEqual([
      'accepted',
      'refused',
      'accepted in part',
      'unknown',
      'refused',
      'refused',
    ])
  })
})

const token = 'the token of the shop'

async function serving() {
  const told: IntakeRequest[] = []
  const options = {
    token: 'the token of nobody',
    tokens: { shop: token },
    took: (one: IntakeRequest) => told.push(one),
  }
  const server = new WorkerHttpServer(silentLogger, options)
  onTestFinished(() => server.close())
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  const reply = { status: 202, body: { accepted: 2 } }
  const handle = ({ brought }: HttpRequest) => defer(() => (brought?.(2), of(reply)))
  const route = { method: 'POST', path: '/events', bodyLimit: 50, handle } as const
  server.serve(route).subscribe()
  server.serve({ ...route, method: 'GET', path: '/views', handle: () => NEVER }).subscribe()
  const post = async (body: string, shown?: string, path = '/events?secret=1') => {
    const headers = {
      'content-type': 'application/json',
      'x-correlation-id': 'c1',
      ...(shown === undefined ? {} : { authorization: `Bearer ${shown}` }),
    }
    const { status } = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body, headers })
    return status
  }
  return { post, told }
}

test('who brought records is told by the name of the token and the address, whatever came of it', async () => {
  const { post, told } = await serving()
  expect(await post('[1,2]', token)).toBe(202)
  expect(await post('[1,2]', 'the token of nobody')).toBe(202)
  expect(await post('[1,2]', 'the token of a thief')).toBe(401)
  expect(await post('[1,', token)).toBe(400)
  expect(await post(`["${'x'.repeat(60)}"]`, token)).toBe(413)
  // Nothing that takes records is there.
  expect(await post('1', token, '/other')).toBe(404)
  const caller = { name: 'shop', address: '127.0.0.1' }
  const common = { route: 'POST /events', correlationId: 'c1' }
  expect(told).toEqual([
    { ...common, caller, status: 202, code: undefined, records: 2, accepted: 2 },
    {
      ...common,
      caller: { name: undefined, address: '127.0.0.1' },
      status: 202,
      code: undefined,
      records: 2,
      accepted: 2,
    },
    { ...common, caller: { name: undefined, address: '127.0.0.1' }, status: 401, code: 'token' },
    { ...common, caller, status: 400, code: undefined },
    { ...common, caller, status: 413, code: undefined },
  ])
  expect(JSON.stringify(told)).not.toMatch(/secret|token of|xxx/)
})
