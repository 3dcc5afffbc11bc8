import { describe, expect, test } from 'vitest'
import {
  aggregate,
  branch,
  count,
  flow,
  from,
  json,
  kafka,
  keyBy,
  map,
  merge,
  otherwise,
  recordKey,
} from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'
import { compiled, config, orders } from '../support/compiling.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly user: string
}

const values = { a: { user: 'ann' }, b: { user: 'bob' } }
const results = {
  x: { key: 'ann', value: 1 },
  y: { key: 'bob', value: 1 },
  z: { key: 'ann', value: 2 },
  o: { key: null, value: 1 },
  p: { key: null, value: 2 },
  q: { key: null, value: 3 },
}
const byUser = keyBy<Visit>(({ user }) => user)
const visits = () => kafka.source({ topic: 'visits' })

describe('behind keyBy', () => {
  test(
    'an aggregate groups by the key that was given',
    marbles(({ flow: run }) => {
      const flowed = run(flow(visits(), json<Visit>(), byUser, aggregate('n', { of: count() }), listSink()))
      flowed.source('a-b-a', values)
      flowed.sink('  x-y-z', results)
    }),
  )

  test(
    'by an internal topic too',
    marbles(({ flow: run }) => {
      const flowed = run(flow(visits(), json<Visit>(), byUser, aggregate('n', { of: count() }), listSink()), {
        repartition: true,
      })
      flowed.source('a-b-a       ', values)
      flowed.sink('  x---------(yz)', results)
    }),
  )

  test(
    "by: 'all' says the other",
    marbles(({ flow: run }) => {
      const flowed = run(flow(visits(), json<Visit>(), byUser, aggregate('n', { by: 'all', of: count() }), listSink()))
      flowed.source('a-b-a', values)
      flowed.sink('  o-p-q', results)
    }),
  )

  test(
    'in a branch, and behind other stages',
    marbles(({ flow: run }) => {
      const counted = aggregate('n', { of: count() })
      const flowed = run(
        flow(
          visits(),
          json<Visit>(),
          byUser,
          map((visit) => visit),
          branch(otherwise('rest', counted, listSink())),
        ),
      )
      flowed.source('a-b-a', values)
      flowed.sink('  x-y-z', results)
    }),
  )

  test(
    'in an input',
    marbles(({ flow: run }) => {
      const flowed = run(
        flow(
          merge(from(visits(), json<Visit>(), byUser), from(kafka.source({ topic: 'more' }), json<Visit>(), byUser)),
          aggregate('n', { of: count() }),
          listSink(),
        ),
      )
      flowed.source('a-b-a', values)
      flowed.sink('  x-y-z', results)
    }),
  )

  test('bounds need no by: recordKey', () => {
    const declared = flow(orders, json<Visit>(), byUser, aggregate('n', { of: count(), maxKeys: 10 }), listSink())
    const { options } = compiled(config(declared)).flows[0]?.parts[1]?.stages[1] ?? {}
    expect(options).toMatchObject({ by: recordKey })
  })

  test('without keyBy all records are one group, and bounds are refused', () => {
    const declared = flow(orders, json<Visit>(), aggregate('n', { of: count(), maxKeys: 10 }), listSink())
    expect(() => compiled(config(declared))).toThrow(/expected recordKey, or a keyBy before/)
  })
})
