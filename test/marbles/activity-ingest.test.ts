import {
  concat,
  defer,
  EMPTY,
  finalize,
  ignoreElements,
  map,
  mergeMap,
  NEVER,
  type Observable,
  tap,
  throwError,
  timer,
} from 'rxjs'
import { type RunHelpers, TestScheduler } from 'rxjs/testing'
import { describe, expect, test } from 'vitest'
import config from '../../flows.config.js'
import { compile, Engine, Flow } from '../../src/engine/index.js'
import { type HttpRoute, type Sink, type StreamRecord, silentLogger } from '../../src/model/index.js'

const shipped = config.flows['activity-ingest']
if (shipped === undefined) throw new Error('the configuration has this flow')
const shippedSink = shipped.end as Sink<unknown>

const view = (user_id: string) => ({ user_id, activity_type: 'page_view', timestamp: '2024-05-01T12:00:00Z' })

interface Kit extends RunHelpers {
  /** What a caller is answered, and when: a letter is a request, the answer is its letter and its status. */
  answers(marbles: string, bodies?: Readonly<Record<string, unknown>>): Observable<string>
  /** How the topic acknowledges what an epoch wrote. */
  acknowledge: () => Observable<never>
  readonly written: { value: unknown; key: unknown; timestamp: number }[]
  stop(): void
}

/** The shipped flow in virtual time: its own HTTP route, and a list in place of its topic. */
function ingest(check: (kit: Kit) => void) {
  return () => {
    const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected))
    scheduler.run((helpers) => {
      const written: Kit['written'] = []
      const { key } = shippedSink.options as { key: (value: unknown) => unknown }
      const write = (records$: Observable<StreamRecord>) => {
        const before = written.length
        const noted$ = records$.pipe(
          tap(({ value, timestamp }) => written.push({ value, key: key(value), timestamp })),

          ignoreElements(),
        )
        const acknowledged$ = defer(() => (written.length > before ? kit.acknowledge() : EMPTY))
        return concat(noted$, acknowledged$)
      }
      const { connection: _, ...unconnected } = shippedSink.definition
      const sink = {
        ...shippedSink,
        definition: { ...unconnected, build: () => ({ write }) },
      } as unknown as Sink<never>
      let route: HttpRoute | undefined
      const engine = new Engine(
        compile({ flows: { ingest: new Flow(shipped?.inputs ?? [], [], sink) } }, { environment: {} }),
        {
          clock: { now: () => scheduler.now(), scheduler },
          log: silentLogger,
          http: {
            serve: (served) => {
              route = served
              return NEVER.pipe(finalize(() => (route = undefined)))
            },
          },
          production: false,
          dataDirectory: '.',
        },
      )
      const kit: Kit = {
        ...helpers,
        written,
        acknowledge: () => EMPTY,
        stop: () => engine.stop(),
        answers: (marbles, bodies = {}) =>
          helpers.cold(marbles).pipe(
            mergeMap((letter) => {
              const body = bodies[letter] ?? view(letter)
              const reply$ =
                route?.handle({ body, bytes: 99, headers: {}, rawHeaders: [], query: {}, correlationId: letter }) ??
                EMPTY
              return reply$.pipe(map(({ status }) => `${letter}${status}`))
            }, 100),
          ),
      }
      engine.run().subscribe()
      // Virtual time would never end while the flow runs.
      scheduler.schedule(() => engine.stop(), 60_000)
      check(kit)
    })
  }
}

describe('a request', () => {
  test(
    'is answered with 202 when the topic has acknowledged its events',
    ingest((kit) => {
      kit.acknowledge = () => timer(5).pipe(ignoreElements())
      // The epoch ends 2 ms after its first event, and the acknowledgement takes 5 ms.
      kit.expectObservable(kit.answers('-----a')).toBe('----- 7ms x', { x: 'a202' })
    }),
  )

  test(
    'that comes while another is written waits for its own epoch',
    ingest((kit) => {
      kit.acknowledge = () => timer(5).pipe(ignoreElements())
      kit.expectObservable(kit.answers('a--b')).toBe('-------x------y', { x: 'a202', y: 'b202' })
    }),
  )

  test(
    'may carry many events, which are written in their order, each keyed by its user, at the time it came',
    ingest((kit) => {
      const events = ['ann', 'bob', 'ann'].map(view)
      kit.expectObservable(kit.answers('---a', { a: events })).toBe('-----x', { x: 'a202' })
      kit.flush()
      expect(kit.written).toEqual(events.map((value) => ({ value, key: value.user_id, timestamp: 3 })))
    }),
  )

  test(
    'with an event that does not hold is answered with 400, and nothing of it is written',
    ingest((kit) => {
      const bodies = {
        a: [view('ann'), { user_id: '' }],
        b: 'text',
        c: [view('ann')],
        d: { ...view('x'), timestamp: 'now' },
      }
      kit.expectObservable(kit.answers('abdc', bodies)).toBe('xyz--w', { x: 'a400', y: 'b400', z: 'd400', w: 'c202' })
      kit.flush()
      expect(kit.written).toHaveLength(1)
    }),
  )

  test(
    'with more than 1,000 events is answered with 400, with no event at all with 202',
    ingest((kit) => {
      const bodies = { a: Array.from({ length: 1_001 }, () => view('ann')), b: [] }
      kit.expectObservable(kit.answers('ab', bodies)).toBe('xy', { x: 'a400', y: 'b202' })
    }),
  )

  test(
    'of which the write failed is answered with 500, and the next one is taken again',
    ingest((kit) => {
      const answers = [throwError(() => new Error('not acknowledged')), EMPTY]
      kit.acknowledge = () => answers.shift() as Observable<never>
      kit.expectObservable(kit.answers('a 9ms b')).toBe('--x 500ms -y', { x: 'a500', y: 'b202' })
    }),
  )

  test(
    'that was taken when the flow is told to stop is still written and answered',
    ingest((kit) => {
      kit.acknowledge = () => timer(5).pipe(ignoreElements())
      kit.cold('---x').subscribe(() => kit.stop())
      kit.expectObservable(kit.answers('--a')).toBe('--------x', { x: 'a202' })
    }),
  )
})
