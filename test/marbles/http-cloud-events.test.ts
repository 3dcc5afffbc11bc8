import { concat, defer, map, NEVER, type Observable } from 'rxjs'
import { type RunHelpers, TestScheduler } from 'rxjs/testing'
import { describe, expect, test } from 'vitest'
import {
  correlationOf,
  type Epoch,
  type HttpReply,
  type HttpRoute,
  type SourceContext,
  type SourceTask,
  type StreamRecord,
  silentLogger,
  WeirError,
} from '../../src/model/index.js'
import { httpCloudEvents } from '../../src/sources/http.js'
import { least } from '../support/cloudevents.js'

interface Kit extends RunHelpers {
  readonly task: SourceTask
  readonly route: HttpRoute
  post(body: string | Buffer, ...rawHeaders: string[]): Observable<HttpReply>
  /** Reads an epoch, in which these events are rejected, and commits it; gives its records. */
  epoch(...rejected: (readonly [offset: number, isTooLarge?: boolean])[]): readonly StreamRecord[]
}

function source(run: (kit: Kit) => void, options: object = {}) {
  const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected))
  scheduler.run((helpers) => {
    const routes: HttpRoute[] = []
    const serve = (route: HttpRoute) => defer(() => (routes.push(route), NEVER))
    const clock = { now: () => scheduler.now(), scheduler }
    const context = { clock, log: silentLogger, http: { serve } } as unknown as SourceContext
    const task = httpCloudEvents.build(httpCloudEvents.options.parse({ path: '/events', ...options }), context)
    const lifetime = task.lifetime$?.subscribe()
    const route = routes[0] as HttpRoute
    const room: Epoch = { number: 1, room: () => 100, take: () => undefined, cut$: NEVER }
    run({
      ...helpers,
      task,
      route,
      post: (body, ...rawHeaders) => {
        const bytes = Buffer.from(body)
        return route.handle({
          body: bytes,
          bytes: bytes.length,
          headers: {},
          rawHeaders,
          query: {},
          correlationId: 'c1',
        })
      },
      epoch: (...rejected) => {
        const records: StreamRecord[] = []
        const refuse = defer(() => {
          for (const [offset, isTooLarge = false] of rejected) {
            const error = new WeirError('WEIR_RECORD_REFUSED', 'writing: no', { isTooLarge })
            task.rejected?.({ topic: 'http:/events', partition: 0, offset }, error)
          }
          return task.commit(task.positions())
        })
        concat(task.read(room), refuse).subscribe((record) => records.push(record))
        return records
      },
    })
    scheduler.flush()
    lifetime?.unsubscribe()
  })
}

const json = (members: object = {}) => JSON.stringify({ ...least, ...members })
const structured = ['Content-Type', 'application/cloudevents+json'] as const
const batched = ['Content-Type', 'application/cloudevents-batch+json; charset=utf-8'] as const
const headers = Object.entries({ ...least, subject: 'a%20b' }).flatMap(([name, value]) => [`ce-${name}`, value])
const accepted = (count: number) => ({ status: 202, body: { accepted: count } })

test('its route takes bytes of any content type', () =>
  source(({ route }) => {
    expect(route).toMatchObject({ method: 'POST', path: '/events', takes: 'bytes', bodyLimit: 1_048_576 })
  }))

describe('an event', () => {
  test('comes as JSON, with headers, or in a batch, and is answered when it is committed', () =>
    source(({ post, epoch, expectObservable, flush }) => {
      expectObservable(post(json({ data: [1] }), ...structured)).toBe('--(r|)', { r: accepted(1) })
      expectObservable(post('<a/>', ...headers, 'content-type', 'text/xml')).toBe('--(r|)', { r: accepted(1) })
      expectObservable(post(`[${json({ id: 'x' })},${json({ id: 'y' })}]`, ...batched)).toBe('--(r|)', {
        r: accepted(2),
      })
      expectObservable(post('[]', ...batched)).toBe('(r|)', { r: accepted(0) })
      const records = epoch()
      flush()
      const event = { ...least, extensions: {} }
      expect(records.map(({ value }) => value)).toEqual([
        { ...event, data: [1] },
        { ...event, subject: 'a b', datacontenttype: 'text/xml', data: '<a/>' },
        { ...event, id: 'x' },
        { ...event, id: 'y' },
      ])
      expect(records.map(({ key, timestamp, origin }) => [key, timestamp, origin.offset])).toEqual(
        [0, 1, 2, 3].map((at) => [null, 0, at]),
      )
      expect(records.map(correlationOf)).toEqual(['c1', 'c1', 'c1', 'c1'])
    }))

  test('keeps its JSON as it came where it is raw', () =>
    source(
      ({ post, epoch, flush }) => {
        post(`{"data":{"n": 12345678901234567890},${json().slice(1)}`, ...structured).subscribe()
        const records = epoch()
        flush()
        expect(records[0]?.value).toEqual({ ...least, extensions: {}, data: '{"n": 12345678901234567890}' })
      },
      { data: 'raw' },
    ))
})

describe('a request of which nothing is taken', () => {
  const answer = (reply: HttpReply) => reply
  const faults = (...all: object[]) => ({ status: 400, body: { error: 'the body does not hold', faults: all } })

  test('is answered with every fault', () =>
    source(({ post, expectObservable }) => {
      expectObservable(post(json({ source: '', time: 'noon' }), ...structured).pipe(map(answer))).toBe('(r|)', {
        r: faults(
          { path: 'source', message: 'expected a URI-reference that is not empty, got ""' },
          { path: 'time', message: 'expected a date and time by RFC 3339, with its offset, got "noon"' },
        ),
      })
      expectObservable(post('x', 'ce-id', '1', 'ce-source', '/', 'ce-type', '%FF')).toBe('(r|)', {
        r: faults(
          { path: 'type', message: 'its header is not percent-encoded UTF-8' },
          { path: 'specversion', message: 'it is missing' },
          { path: 'type', message: 'it is missing' },
        ),
      })
      expectObservable(post('[1,{}]', ...batched)).toBe('(r|)', {
        r: faults(
          { index: 0, path: '', message: 'expected an object, got 1' },
          ...['id', 'source', 'specversion', 'type'].map((path) => ({ index: 1, path, message: 'it is missing' })),
        ),
      })
    }))

  test.each<[string, string, readonly string[], object]>([
    [
      'no JSON',
      '{',
      structured,
      { status: 400, body: { error: 'reading a CloudEvent: it ends where the name of a member is expected' } },
    ],
    [
      'nothing',
      '',
      structured,
      { status: 400, body: { error: 'reading a CloudEvent: it ends where a value is expected' } },
    ],
    [
      'what nests too deep',
      json({ data: [[1]] }),
      structured,
      { status: 400, body: { error: 'reading a CloudEvent: it nests deeper than 1' } },
    ],
    [
      'another format',
      'x',
      ['content-type', 'application/cloudevents+avro'],
      {
        status: 415,
        body: {
          error:
            'reading a CloudEvent: "application/cloudevents+avro" is no format that is read here. Send application/cloudevents+json.',
        },
      },
    ],
    [
      'too many events',
      `[${json()},${json()},${json()}]`,
      batched,
      faults({ path: '', message: 'expected at most 2 events, got 3' }),
    ],
  ])('for it is %s', (_, body, rawHeaders, reply) => {
    source(
      ({ post, expectObservable }) => void expectObservable(post(body, ...rawHeaders)).toBe('(r|)', { r: reply }),
      {
        maxEvents: 2,
        depth: 1,
      },
    )
  })

  test('is answered with 503 when the backlog is full', () =>
    source(
      ({ post, expectObservable }) => {
        post(`[${json()},${json()}]`, ...batched).subscribe()
        const reply = {
          status: 503,
          headers: { 'retry-after': '1' },
          body: { error: 'too many events wait to be stored' },
        }
        expectObservable(post(json(), ...structured)).toBe('(r|)', { r: reply })
        expectObservable(post(`[{},${json()}]`, ...batched)).toBe('(r|)', { r: reply })
      },
      { backlog: 2, maxEvents: 2 },
    ))
})

describe('a batch of which some is taken', () => {
  const error = 'some events could not be taken'
  const code = 'WEIR_RECORD_NO_CLOUDEVENT'
  const missing = ['id', 'source', 'specversion', 'type'].map((path) => ({ path, message: 'it is missing' }))

  test('is answered with 422, the faults of each event that is none, and those that a stage could not take', () =>
    source(({ post, epoch, expectObservable, flush }) => {
      const batch = `[{},${json({ id: 'x' })},${json({ id: '' })},${json({ id: 'y' })}]`
      const rejected = [
        { index: 0, code, faults: missing },
        {
          index: 2,
          code,
          faults: [{ path: 'id', message: expect.stringContaining('expected a text that is not empty') as string }],
        },
      ]
      const reply = { status: 422, body: { error, accepted: 2, rejected, correlationId: 'c1' } }
      const later = { index: 3, code: 'WEIR_RECORD_REFUSED' }
      const second = { status: 422, body: { error, accepted: 1, rejected: [...rejected, later], correlationId: 'c1' } }
      const third = {
        status: 422,
        body: {
          error,
          accepted: 0,
          rejected: [
            { index: 0, code, faults: missing },
            { index: 1, code: later.code },
          ],
          correlationId: 'c1',
        },
      }
      expectObservable(post(batch, ...batched)).toBe('--(r|)', { r: reply })
      expectObservable(post(batch, ...batched)).toBe('--(r|)', { r: second })
      expectObservable(post(`[{},${json()}]`, ...batched)).toBe('--(r|)', { r: third })
      const records = epoch([3], [4, true])
      flush()
      expect(records.map(({ value }) => (value as { id: string }).id)).toEqual(['x', 'y', 'x', 'y', '1'])
    }))

  test('is answered with 500 when it is in doubt, and with 503 when the flow ends', () =>
    source(({ post, task, expectObservable, cold }) => {
      const body = {
        error: 'it is not known whether these events were stored',
        code: 'WEIR_SINK_FAILED',
        correlationId: 'c1',
      }
      expectObservable(post(`[{},${json()}]`, ...batched)).toBe('-----(r|)', { r: { status: 500, body } })
      task.read({ number: 1, room: () => 100, take: () => undefined, cut$: NEVER }).subscribe()
      cold('-----x').subscribe(() => task.failed?.(new WeirError('WEIR_SINK_FAILED', 'no')))
    }))
})

test('options that leave no room are refused', () => {
  expect(httpCloudEvents.options.safeParse({ path: '/events', backlog: 10 }).error?.issues[0]?.path).toEqual([
    'backlog',
  ])
})
