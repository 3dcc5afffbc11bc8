import { VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { aggregate, count, flow, json, kafka, keyBy, map, recordKey } from '../../src/index.js'
import { marbles, VirtualFlow } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

const numbers = () =>
  flow(
    kafka.source({ topic: 't' }),
    json<number>(),
    map((n) => n),
    listSink(),
  )

const values = { a: 1, b: 2, c: 3 }

describe('after a crash', () => {
  test(
    'a flow without state goes on at what was committed',
    marbles(({ flow: run }) => {
      const flowed = run(numbers())
      flowed.source('a-b-c', values)
      flowed.crash(' ---x-')
      flowed.sink('  a-b-c', values)
    }),
  )

  test(
    'as one with state does',
    marbles(({ flow: run }) => {
      const flowed = run(
        flow(
          kafka.source({ topic: 't' }),
          json<number>(),
          aggregate('n', { of: count() }),
          map(({ value }) => value),
          listSink(),
        ),
      )
      flowed.source('a-b-c', values)
      flowed.crash(' ---x-')
      flowed.sink('  a-b-c', values)
    }),
  )

  test('what was committed is there once: a commit of the first part is none of the second', () => {
    const declared = flow(
      kafka.source({ topic: 't' }),
      json<{ key: string }>(),
      keyBy(({ key }) => key),
      aggregate('n', { by: recordKey, maxKeys: 10, of: count() }),
      listSink(),
    )
    const scheduler = new VirtualTimeScheduler()
    const virtual = new VirtualFlow(declared, scheduler, { repartition: true, epoch: { maxRecords: 7, everyMs: 200 } })
    for (let at = 10; at < 1_000; at += 10) virtual.append(at, { key: 'a' })
    scheduler.schedule(() => virtual.start(), 0)
    scheduler.schedule(() => virtual.crash(), 212)
    scheduler.schedule(() => virtual.start(), 212)
    scheduler.schedule(() => virtual.stop(), 5_000)
    scheduler.schedule(() => virtual.crash(), 6_000)
    scheduler.flush()
    const counts = virtual.committed.map(({ value }) => (value as { value: number }).value)
    expect(counts).toEqual(Array.from({ length: 99 }, (_, index) => index + 1))
  })
})

describe('a diagram', () => {
  test.each([
    ['a', 1],
    ['a---', 4],
    ['a 9s', 9_001],
    ['a 9s -', 9_002],
    ['(a)   ', 3],
    ['a 5ms ---', 9],
  ])("'%s' ends at %i ms, its trailing time included", (diagram, end) => {
    let endedAt = 0
    marbles(({ flow: run }) => {
      const flowed = run(numbers())
      flowed.source(diagram, values)
      flowed.sink('a', values)
      flowed.crash('')
      const { virtual } = flowed
      const { stop } = virtual
      virtual.stop = () => {
        endedAt = virtual.clock.scheduler.now()
        stop.call(virtual)
      }
    })()
    // A flow is stopped 1 ms after the longest diagram.
    expect(endedAt).toBe(end + 1)
  })

  test("tells the flow's last error where it expected records", () => {
    const failing = marbles(({ flow: run }) => {
      const flowed = run(
        flow(
          kafka.source({ topic: 't' }),
          json<number>(),
          map((): number => {
            throw new Error('a fault of the test')
          }),
          listSink(),
        ),
      )
      flowed.source('a', values)
      flowed.sink('  a', values)
    })
    expect(failing).toThrow(/The last error of the flow: .*a fault of the test/s)
  })
})
