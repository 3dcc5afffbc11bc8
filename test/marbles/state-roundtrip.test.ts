import { expect, test } from 'vitest'
import { type Aggregate, aggregate, flow, json, kafka } from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

const cents: Aggregate<number, bigint, string> = {
  init: () => 9_007_199_254_740_993n,
  add: (total, value) => total + BigInt(value),
  merge: (total, other) => total + other,
  result: String,
}
const seen: Aggregate<number, Map<number, number>, number> = {
  init: () => new Map(),
  add: (all, value) => all.set(value, (all.get(value) ?? 0) + 1),
  merge: (all, other) => {
    for (const [key, n] of other) all.set(key, (all.get(key) ?? 0) + n)
    return all
  },
  result: (all) => all.size,
}
for (const [name, of, values] of [
  ['bigint', cents, ['9007199254740994', '9007199254740996']],
  ['Map', seen, [1, 2]],
] as const)
  test(
    `state of ${name} survives a crash`,
    marbles(({ flow: run }) => {
      const flowed = run(
        flow(kafka.source({ topic: 't' }), json<number>(), aggregate('n', { of: of as never }), listSink()),
      )
      flowed.source('a--b', { a: 1, b: 2 })
      flowed.crash(' -x--')
      flowed.sink('  a--b', { a: { key: null, value: values[0] }, b: { key: null, value: values[1] } })
      flowed.finally(({ error }) => expect(error?.message).toBe(undefined))
    }),
  )
