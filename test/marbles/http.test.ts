import { concat, defer, map, mergeMap, NEVER, type Observable, of, repeat, take, tap, timer } from 'rxjs'
import { type RunHelpers, TestScheduler } from 'rxjs/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  correlationOf,
  type Epoch,
  exactNumbers,
  type HttpReply,
  type HttpRequest,
  type HttpRoute,
  headerOf,
  jsonOf,
  type SourceContext,
  type SourceTask,
  type StreamRecord,
  silentLogger,
  WeirError,
} from '../../src/model/index.js'
import { http, httpPost } from '../../src/sources/http.js'

const Event = z.object({ user: z.string(), nested: z.object({ size: z.number() }).optional() })

interface Kit extends RunHelpers {
  readonly scheduler: TestScheduler
  readonly task: SourceTask
  readonly route: HttpRoute
  /** Ends the flow: the route goes. */
  end(): void
  post(body: unknown, more?: Partial<HttpRequest>): Observable<HttpReply>
  epoch(options?: { room?: number; cut$?: Observable<unknown> }): Epoch
}

function source(run: (kit: Kit) => void, options: object = {}) {
  const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected))
  scheduler.run((helpers) => {
    const routes: HttpRoute[] = []
    const serve = (route: HttpRoute) => defer(() => (routes.push(route), NEVER))
    const clock = { now: () => scheduler.now(), scheduler }
    const context = { clock, log: silentLogger, http: { serve } } as unknown as SourceContext
    const task = httpPost.build(httpPost.options.parse({ path: '/events', body: Event, ...options }), context)
    const lifetime = task.lifetime$?.subscribe()
    const route = routes[0] as HttpRoute
    run({
      ...helpers,
      scheduler,
      task,
      route,
      end: () => lifetime?.unsubscribe(),
      post: (body, more) =>
        route.handle({ body, bytes: 10, headers: {}, rawHeaders: [], query: {}, correlationId: 'c1', ...more }),
      epoch: ({ room = 100, cut$ = NEVER } = {}) => {
        let left = room
        return { number: 1, room: () => left, take: (records) => void (left -= records), cut$ }
      },
    })
    scheduler.flush()
    lifetime?.unsubscribe()
  })
}

const user = (record: StreamRecord) => (record.value as { user: string }).user
const status = ({ status }: HttpReply) => String(status)
/** Each letter is a request of one event of that user. */
const posts = ({ cold, post }: Kit, marbles: string) =>
  cold(marbles).pipe(mergeMap((letter) => post({ user: letter }).pipe(map((reply) => `${letter}${reply.status}`)), 100))

describe('an epoch', () => {
  test('emits events as they come and ends 2 ms after its first one', () =>
    source((kit) => {
      kit.expectObservable(posts(kit, '-----ab-c'), '1s !').toBe('---------')
      kit.expectObservable(kit.task.read(kit.epoch()).pipe(map(user))).toBe('-----ab|')
    }))

  test('ends when it is full, and leaves a request that has no room to the next', () =>
    source((kit) => {
      kit.post([{ user: 'a' }, { user: 'b' }]).subscribe()
      kit.post([{ user: 'c' }, { user: 'd' }]).subscribe()
      kit.expectObservable(kit.task.read(kit.epoch({ room: 3 })).pipe(map(user))).toBe('(ab|)')
      kit.expectObservable(defer(() => kit.task.read(kit.epoch({ room: 2 }))).pipe(map(user))).toBe('(cd|)')
    }))

  test('takes a request whole when it alone is larger than the epoch', () =>
    source((kit) => {
      kit.post([{ user: 'a' }, { user: 'b' }]).subscribe()
      kit.expectObservable(kit.task.read(kit.epoch({ room: 1 })).pipe(map(user))).toBe('(ab|)')
    }))

  test('waits for its cut while nothing comes', () =>
    source((kit) => {
      const cut$ = kit.hot('----x')
      kit.expectObservable(kit.task.read(kit.epoch({ cut$ })).pipe(map(user))).toBe('----|')
      kit.expectSubscriptions(cut$.subscriptions).toBe('^---!')
    }))

  test('that is cut already takes nothing', () =>
    source((kit) => {
      kit.post({ user: 'a' }).subscribe()
      kit.expectObservable(kit.task.read(kit.epoch({ cut$: of('cut') })).pipe(map(user))).toBe('|')
      expect(kit.task.positions()).toEqual([{ topic: 'http:/events', partition: 0, offset: 0 }])
    }))

  test('stops to emit when the pipe has gone', () =>
    source((kit) => {
      kit.post([{ user: 'a' }]).subscribe()
      kit.post([{ user: 'b' }]).subscribe()
      kit.expectObservable(kit.task.read(kit.epoch()).pipe(take(1), map(user))).toBe('(a|)')
      kit.scheduler.schedule(() => expect(kit.task.positions()[0]?.offset).toBe(1), 1)
    }))
})

describe('a record', () => {
  test('is written with the digits that its body had', () =>
    source((kit) => {
      const texts = [
        '{"user":"a","nested":{"size":0.10000000000000000001}}',
        '{"more":1,"user":"b","nested":{"size":1e-400}}',
      ]
      const more = { exact: exactNumbers(`[${texts.join()}]`) }
      kit
        .post(
          texts.map((text) => JSON.parse(text) as unknown),
          more,
        )
        .subscribe()
      const written$ = kit.task.read(kit.epoch({ room: 2 })).pipe(map(({ value }) => jsonOf(value)))
      const [a, b] = [texts[0] as string, '{"user":"b","nested":{"size":1e-400}}']
      kit.expectObservable(written$).toBe('(ab|)', { a, b })
    }))

  test('has its time of arrival, correlation id, trace and origin', () =>
    source((kit) => {
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
      const records: StreamRecord[] = []
      kit.task.read(kit.epoch()).subscribe((record) => records.push(record))
      kit.scheduler.schedule(
        () => kit.post([{ user: 'a' }, { user: 'b' }], { headers: { traceparent } }).subscribe(),
        4,
      )
      kit.flush()
      expect(records.map(({ key, value, timestamp, origin }) => ({ key, value, timestamp, origin }))).toEqual([
        { key: null, value: { user: 'a' }, timestamp: 4, origin: { topic: 'http:/events', partition: 0, offset: 0 } },
        { key: null, value: { user: 'b' }, timestamp: 4, origin: { topic: 'http:/events', partition: 0, offset: 1 } },
      ])
      expect(records.map(correlationOf)).toEqual(['c1', 'c1'])
      expect(headerOf(records[0]?.headers ?? [], 'traceparent')).toBe(traceparent)
    }))

  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  test.each([
    ['goes on with what vendors add', { traceparent: trace, tracestate: 'a=1, b=2' }, [trace, 'a=1,b=2']],
    ['goes on without what does not hold', { traceparent: trace, tracestate: 'A=1' }, [trace, undefined]],
    ['is none where nobody tells one', { tracestate: 'a=1' }, [undefined, undefined]],
    [
      'is begun anew where it does not hold',
      { traceparent: trace.toUpperCase(), tracestate: 'a=1' },
      [expect.stringMatching(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/), undefined],
    ],
  ])('a trace %s', (_, headers, told) =>
    source((kit) => {
      const records: StreamRecord[] = []
      kit.task.read(kit.epoch()).subscribe((record) => records.push(record))
      kit.scheduler.schedule(() => kit.post({ user: 'a' }, { headers }).subscribe(), 4)
      kit.flush()
      const [record] = records
      expect(['traceparent', 'tracestate'].map((name) => headerOf(record?.headers ?? [], name))).toEqual(told)
    }),
  )
})

describe('an answer', () => {
  test('of 202 is given when the epoch has committed, and not before', () =>
    source((kit) => {
      const { task, cold } = kit
      const commit$ = concat(
        cold('---|'),
        defer(() => task.commit(task.positions())),
      )
      const epochs$ = concat(defer(() => task.read(kit.epoch())).pipe(map(user)), commit$).pipe(repeat())
      kit.expectObservable(epochs$, '---------------!').toBe('a----b')
      const replies = { x: 'a202', y: 'b202' }
      kit.expectObservable(posts(kit, 'a---b')).toBe('-----x----y', replies)
    }))

  test('tells how many events were accepted', () =>
    source(({ expectObservable, post, task, epoch }) => {
      const epoch$ = concat(
        task.read(epoch()),
        defer(() => task.commit(task.positions())),
      )
      expectObservable(post([{ user: 'a' }, { user: 'b' }])).toBe('--(r|)', {
        r: { status: 202, body: { accepted: 2 } },
      })
      epoch$.subscribe()
    }))

  test('of 4xx is given for the events that a stage could not take, and of 202 for the others of the epoch', () =>
    source(({ expectObservable, cold, post, task, epoch }) => {
      const read = { topic: 'http:/events', partition: 0 }
      const refuse = (offset: number, isTooLarge: boolean) =>
        task.rejected?.({ ...read, offset }, new WeirError('WEIR_RECORD_REFUSED', 'writing: no', { isTooLarge }))
      const epoch$ = concat(
        task.read(epoch()),
        defer(() => {
          refuse(0, true)
          refuse(2, false)
          refuse(4, false)
          task.rejected?.({ topic: 'another', partition: 0, offset: 1 }, new WeirError('WEIR_RECORD_LATE', 'late'))
          return task.commit(task.positions())
        }),
      )
      const bodies = { a: { user: 'a' }, b: { user: 'b' }, c: { user: 'c' }, d: [{ user: 'd' }, { user: 'e' }] }
      const replies$ = cold('(abcd)', bodies).pipe(mergeMap((body) => post(body), 10))
      const error = 'some events could not be taken'
      const code = 'WEIR_RECORD_REFUSED'
      const refused = (accepted: number, index: number) => {
        return { error, accepted, rejected: [{ index, code }], correlationId: 'c1' }
      }
      expectObservable(replies$, '---------!').toBe('--(abcd)', {
        a: { status: 413, body: refused(0, 0) },
        b: { status: 202, body: { accepted: 1 } },
        c: { status: 422, body: refused(0, 0) },
        d: { status: 422, body: refused(1, 1) },
      })
      epoch$.subscribe()
    }))

  test('of 400 names every fault', () =>
    source(({ expectObservable, post }) => {
      const bodies$ = post([{ user: 'a' }, { user: 1, nested: { size: 'x' } }, {}])
      const faults = [
        { index: 1, path: 'user', message: 'Invalid input: expected string, received number' },
        { index: 1, path: 'nested.size', message: 'Invalid input: expected number, received string' },
        { index: 2, path: 'user', message: 'Invalid input: expected string, received undefined' },
      ]
      expectObservable(bodies$).toBe('(r|)', { r: { status: 400, body: { error: 'the body does not hold', faults } } })
    }))

  test('of 400 has no index when the body is one event', () =>
    source(({ expectObservable, post }) => {
      const faults$ = post('text').pipe(map(({ body }) => (body as { faults: unknown }).faults))
      const faults = [{ path: '', message: 'Invalid input: expected object, received string' }]
      expectObservable(faults$).toBe('(f|)', { f: faults })
    }))

  test('of 400 is given to more events than one request may carry', () =>
    source(
      ({ expectObservable, post }) => {
        expectObservable(post([{ user: 'a' }, { user: 'b' }]).pipe(map(status))).toBe('(s|)', { s: '400' })
      },
      { maxEvents: 1 },
    ))

  test('of 503 tells when to come again while the backlog is full, until a commit makes room', () =>
    source(
      (kit) => {
        kit.post([{ user: 'a' }, { user: 'b' }]).subscribe()
        const full = {
          status: 503,
          headers: { 'retry-after': '1' },
          body: { error: 'too many events wait to be stored' },
        }
        kit.expectObservable(kit.post({ user: 'c' })).toBe('(r|)', { r: full })
        const epoch$ = concat(
          kit.task.read(kit.epoch()),
          defer(() => kit.task.commit(kit.task.positions())),
        )
        epoch$.subscribe()
        kit.expectObservable(kit.cold('---x').pipe(mergeMap(() => kit.post({ user: 'd' }), 1)), '10ms !').toBe('---')
      },
      { backlog: 2, maxEvents: 2, answerWithin: '1h' },
    ))

  test('of 503 is given to bodies that would take too much memory together', () =>
    source(({ expectObservable, post }) => {
      post({ user: 'a' }, { bytes: 60 * 1024 * 1024 }).subscribe()
      expectObservable(post({ user: 'b' }, { bytes: 5 * 1024 * 1024 }).pipe(map(status))).toBe('(s|)', { s: '503' })
    }))

  test('of 503 is given when the flow ends before an epoch took the events', () =>
    source(({ expectObservable, post, end, scheduler }) => {
      expectObservable(post({ user: 'a' }).pipe(map(status))).toBe('---(s|)', { s: '503' })
      scheduler.schedule(end, 3)
    }))

  test('of 503 is given when no epoch took the events for long', () =>
    source(
      ({ expectObservable, post, task, epoch, cold }) => {
        expectObservable(post({ user: 'a' }).pipe(map(status))).toBe('100ms (s|)', { s: '503' })
        const later$ = cold('200ms x').pipe(mergeMap(() => task.read(epoch({ cut$: cold('5ms x') })), 1))
        expectObservable(later$.pipe(map(user)), '300ms !').toBe('')
      },
      { answerWithin: '100ms' },
    ))

  test('of 503 after a long wait makes room for others', () =>
    source(
      ({ expectObservable, post, task, epoch, cold }) => {
        post({ user: 'a' }).subscribe()
        const epoch$ = concat(
          cold('150ms |'),
          task.read(epoch()),
          defer(() => task.commit(task.positions())),
        )
        epoch$.subscribe()
        const later$ = cold('200ms (x|)').pipe(mergeMap(() => post({ user: 'b' }), 1))
        expectObservable(later$.pipe(map(status))).toBe('202ms (s|)', { s: '202' })
      },
      { answerWithin: '100ms', backlog: 1, maxEvents: 1 },
    ))

  test('of 500 is given when the commit takes too long, and the commit then finds nobody', () =>
    source(
      ({ expectObservable, post, task, epoch, cold }) => {
        expectObservable(post({ user: 'a' }).pipe(map(status))).toBe('100ms (s|)', { s: '500' })
        task.read(epoch()).subscribe()
        const commit$ = cold('200ms |').pipe((end$) =>
          concat(
            end$,
            defer(() => task.commit(task.positions())),
          ),
        )
        expectObservable(commit$).toBe('200ms |')
      },
      { answerWithin: '100ms' },
    ))

  test('of 500 is given to the events of a failed epoch, which are not emitted again', () =>
    source((kit) => {
      const { task, epoch } = kit
      const error = new WeirError('WEIR_SINK_FAILED', 'writing: no acknowledgement')
      const start = task.positions()
      const body = {
        error: 'it is not known whether these events were stored',
        code: 'WEIR_SINK_FAILED',
        correlationId: 'c1',
      }
      kit.expectObservable(kit.post({ user: 'a' })).toBe('--(r|)', { r: { status: 500, body } })
      const next$ = defer(() => task.read(epoch({ cut$: kit.cold('--x') })))
      const failed$ = defer(() => (task.failed?.(error), task.rewind(start, error)))
      const run$ = concat(task.read(epoch()), failed$, next$)
      kit.expectObservable(run$.pipe(map(user))).toBe('a---|')
      kit.scheduler.schedule(() => expect(task.positions()).toEqual(start), 3)
    }))

  test.each([
    ['202 when that is stored', 202],
    ['500 when that fails for good', 500],
  ])('waits while the next try looks for the event that its epoch was refused for, and is %s', (_, answered) =>
    source((kit) => {
      const { task, epoch } = kit
      const start = task.positions()
      const failing = (error: WeirError) => defer(() => (task.failed?.(error), task.rewind(start, error)))
      const ends: Readonly<Record<number, Observable<never>>> = {
        202: defer(() => task.commit(task.positions())),
        500: failing(new WeirError('WEIR_SINK_FAILED', 'writing: no acknowledgement')),
      }
      const run$ = concat(
        task.read(epoch()),
        failing(new WeirError('WEIR_RECORD_REFUSED', 'committing: no', { atOnce: true })),
        defer(() => task.read(epoch())),
        ends[answered] as Observable<never>,
      )
      kit.expectObservable(kit.post({ user: 'a' }).pipe(map(status))).toBe('----(s|)', { s: String(answered) })
      kit.expectObservable(run$.pipe(map(user))).toBe('a-a-|')
    }),
  )

  test('of 500 is given to events of a failed epoch whose flow ends before they were tried again', () =>
    source((kit) => {
      kit.expectObservable(kit.post({ user: 'a' }).pipe(map(status))).toBe('---(s|)', { s: '500' })
      kit.scheduler.schedule(() => kit.task.read(kit.epoch()).subscribe(), 0)
      kit.scheduler.schedule(() => {
        kit.task.failed?.(new WeirError('WEIR_RECORD_REFUSED', 'committing: no', { atOnce: true }))
        kit.end()
      }, 3)
    }))

  test('waits while the task is tried again, and is 500 after three failed tries', () =>
    source((kit) => {
      const error = new WeirError('WEIR_SINK_UNREACHABLE', 'connecting: nobody answers')
      timer(5, 5, kit.scheduler)
        .pipe(
          take(3),
          tap(() => kit.task.failed?.(error)),
        )
        .subscribe()
      const body = { error: 'not stored after 3 tries', code: 'WEIR_SINK_UNREACHABLE', correlationId: 'c1' }
      kit.expectObservable(kit.post({ user: 'a' })).toBe('15ms (r|)', { r: { status: 500, body } })
    }))
})

describe('the task', () => {
  test('is assigned its one partition and starts at the position it is given', () =>
    source(({ task, expectObservable }) => {
      const started$ = task.assignments$.pipe(
        mergeMap((change) => {
          if (change.kind !== 'assigned') throw new Error(change.kind)
          const given = [{ topic: 'http:/events', partition: 0, offset: 7 }]
          return concat(
            change.start(given),
            defer(() => [[change.partitions, change.total, task.positions()]]),
          )
        }, 1),
      )
      const partitions = [{ topic: 'http:/events', partition: 0 }]
      expectObservable(started$).toBe('s', { s: [partitions, 1, [{ topic: 'http:/events', partition: 0, offset: 7 }]] })
    }))

  test('tells what waits as its lag', () =>
    source(({ task, post, expectObservable }) => {
      post([{ user: 'a' }, { user: 'b' }]).subscribe()
      expectObservable(task.ends()).toBe('(e|)', { e: [{ topic: 'http:/events', partition: 0, offset: 0, end: 2 }] })
    }))
})

test('the options hold a backlog that the largest request fits in', () => {
  expect(httpPost.options.safeParse({ path: '/x', body: Event, backlog: 10 }).error?.issues[0]?.path).toEqual([
    'backlog',
  ])
  expect(httpPost.options.safeParse(http.post('/x', { body: Event }).options).success).toBe(true)
})
