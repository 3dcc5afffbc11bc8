import { delay, of, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import {
  aggregate,
  branch,
  compile,
  count,
  type ErrorPolicy,
  type Flow,
  flatMap,
  flow,
  generate,
  json,
  kafka,
  map,
  mapAsync,
  memory,
  merge,
  otherwise,
  printTopology,
  retry,
  type StreamRecord,
  to,
} from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

/** A call for `id` that fails so often. */
interface Call {
  readonly id: string
  readonly fails: number
}

const source = kafka.source({ topic: 'calls' })
const call = (id: string, fails = 0): Call => ({ id, fails })
const tiers = ['50ms', '100ms'] as const

class Away extends Error {}

/** How often it was tried before. */
const triedOf = ({ origin }: StreamRecord) => origin.retried?.attempts ?? 0

const calling = (onError: ErrorPolicy = retry({ tiers })) =>
  map(
    ({ id, fails }: Call, record) => {
      if (triedOf(record) < fails) throw new Away(`${id} is away`)
      return id
    },
    { name: 'call', onError },
  )
const calls = flow(source, json<Call>(), calling(), listSink())

describe('a record that fails for reasons that pass', () => {
  test(
    'comes back when its time has come, and holds up nobody',
    marbles(({ flow: run }) => {
      const flowed = run(calls)
      flowed.source('ab  ', { a: call('a', 1), b: call('b') })
      flowed.sink('  -b 48ms a', { a: 'a', b: 'b' })
      flowed.finally(({ stages }) =>
        expect(stages.find(({ stage }) => stage === 'call')).toMatchObject({ in: 3, out: 2, retried: 1, rejected: 0 }),
      )
    }),
  )

  test(
    'waits for the next tier after each failure, and goes to the dead letters after the last',
    marbles(({ flow: run }) => {
      const flowed = run(calls)
      const place = { key: 'k', timestamp: 1_000 }
      flowed.source('(ab)', { a: call('a', 2), b: call('b', 3) }, place)
      flowed.sink('  150ms a 20ms', { a: 'a' })
      // With the epoch after the one that it failed in.
      flowed.deadLetters('160ms b', { b: 'WEIR_STAGE_FAILED' })
      flowed.finally(() => {
        const [letter] = flowed.virtual.deadLetters
        expect(letter).toMatchObject({ stage: 'call', attempts: 3 })
        const { origin, key, timestamp, headers } = letter?.record as StreamRecord
        expect({ key, timestamp, headers }).toEqual({ key: 'k', timestamp: 1_000, headers: [] })
        expect(origin).toMatchObject({ partition: 0, offset: 1, key: 'k', timestamp: 1_000, headers: [] })
        expect(String(origin.value)).toBe(JSON.stringify(call('b', 3)))
      })
    }),
  )

  test(
    'is the same record each time: place, key, timestamp and bytes',
    marbles(({ flow: run }) => {
      const seen: StreamRecord[] = []
      const looking = map(
        (value: unknown, record: StreamRecord) => {
          seen.push(record)
          if (triedOf(record) === 0) throw new Away()
          return value
        },
        { onError: retry({ tiers }) },
      )
      const flowed = run(flow(source, looking, listSink<unknown>()))
      flowed.source('a', { a: null }, { key: Buffer.from([0xff, 1]), timestamp: -1, partition: 2 })
      flowed.sink('  50ms a', { a: null })
      flowed.finally(() => {
        const [first, again] = seen.map(({ key, value, timestamp, headers, origin }) => {
          const { topic, partition, offset } = origin
          return { key, value, timestamp, headers, origin: { topic, partition, offset } }
        })
        expect(again).toEqual(first)
        expect(seen[1]?.origin.retried).toEqual({
          topic: 'test.flow.retry.50ms',
          partition: 2,
          offset: 0,
          attempts: 1,
        })
      })
    }),
  )

  test(
    'is in the results once, whenever the process ends',
    marbles(({ flow: run }) => {
      const flowed = run(calls)
      flowed.source('a 10ms b', { a: call('a', 2), b: call('b', 1) })
      // Before it is kept, before it is in the retry topic, while it waits, and when it has come back.
      flowed.crash(' --x 4ms x----x 20ms x 8ms x')
      flowed.sink('  61ms b 88ms a 20ms', { a: 'a', b: 'b' })
      flowed.finally(() => expect(flowed.virtual.committed.map(({ value }) => value)).toEqual(['b', 'a']))
    }),
  )

  test(
    'is one of an asynchronous call, or of a branch',
    marbles(({ flow: run, clock }) => {
      const slow = mapAsync(
        ({ id, fails }: Call, record) =>
          triedOf(record) < fails ? throwError(() => new Away(id)) : of(id).pipe(delay(5, clock.scheduler)),
        { onError: retry({ tiers: ['20ms'] }) },
      )
      const branches = branch(
        to('x', ({ id }: Call) => id === 'x', slow, listSink()),
        otherwise('rest', calling(), listSink()),
      )
      const flowed = run(flow(source, json<Call>(), branches))
      flowed.source('(xb)', { x: call('x', 1), b: call('b', 1) })
      flowed.sink('  25ms x 24ms b', { x: 'x', b: 'b' })
    }),
  )
})

describe('no retry', () => {
  test(
    'for what can never pass: it goes to the dead letters at once',
    marbles(({ flow: run }) => {
      const flowed = run(
        flow(
          source,
          json(undefined, { onError: retry({ tiers }) }),
          map((value) => value as Call),
          calling(retry({ tiers, when: (error) => !(error instanceof Away) })),
          listSink(),
        ),
      )
      flowed.source('ab c', { a: 'no JSON', b: call('b', 1), c: call('c') })
      flowed.sink('  -- c 200ms', { c: 'c' })
      flowed.deadLetters('-ab', { a: 'WEIR_RECORD_MALFORMED', b: 'WEIR_STAGE_FAILED' })
    }),
  )

  test(
    'where a stage has made several of it: the others have come through',
    marbles(({ flow: run }) => {
      const parts = flatMap(({ id, fails }: Call) => [call(`${id}1`), call(`${id}2`, fails)])
      const flowed = run(flow(source, json<Call>(), parts, calling(), listSink()))
      flowed.source('a', { a: call('a', 1) })
      flowed.sink('  b 200ms', { b: 'a1' })
      flowed.deadLetters('10ms a', { a: 'WEIR_STAGE_FAILED' })
    }),
  )

  const refused = (tried: Flow) => () =>
    compile(
      {
        connections: { kafka: kafka({ brokers: 'localhost:1' }) },
        checkpoints: memory(),
        flows: { flow: tried },
      },
      { environment: {} },
    )

  test('in a flow that keeps state of records', () => {
    const counts = aggregate('counts', { by: 'all', of: count() })
    const tried = flow(source, json<Call>(), calling(), counts, kafka.sink({ topic: 'counts' }))
    expect(refused(tried)).toThrow(/'call' has records tried again, and 'counts' keeps state of records/)
  })

  test('of records that come from no topic, or from several', () => {
    const made = generate({ rate: 1, value: () => call('a') })
    const sink = () => kafka.sink<string>({ topic: 'results' })
    expect(refused(flow(made, calling(), sink()))).toThrow(/no retry topics can be made beside its source/)
    const two = merge(source, kafka.source({ topic: 'more' }))
    expect(refused(flow(two, json<Call>(), calling(), sink()))).toThrow(/they come from several sources/)
  })

  test('where nobody keeps what waits', () => {
    const lasting = flow(source, json<Call>(), calling(), kafka.sink({ topic: 'results' }))
    const config = { connections: { kafka: kafka({ brokers: 'localhost:1' }) }, flows: { flow: lasting } }
    expect(() => compile(config, { environment: {}, isLasting: true })).toThrow(/'retry' keeps its state in memory/)
  })
})

test('retry topics are in the graph', () => {
  const shown = flow(source, json<Call>(), calling(), kafka.sink({ topic: 'results' }))
  const config = {
    app: 'shop',
    connections: { kafka: kafka({ brokers: 'localhost:1' }) },
    checkpoints: 'kafka',
    flows: { calls: shown },
  }
  const graph = printTopology(compile(config, { environment: {} }))
  expect(graph).toContain('│ retry')
  expect(graph).toContain('⇄ retry.50ms   shop.calls.retry.50ms ← call')
  expect(graph).toContain('⇄ retry.100ms  shop.calls.retry.100ms ← call')
})
