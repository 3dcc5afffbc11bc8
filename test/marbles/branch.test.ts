import { describe, expect, test } from 'vitest'
import { batch, branch, filter, flow, json, kafka, map, otherwise, to } from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

const numbers = kafka.source({ topic: 'numbers' })
const values = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6 }
const times = (factor: number) => map((value: number) => value * factor)

describe('a record', () => {
  test(
    'goes to the first branch that takes it',
    marbles(({ flow: run }) => {
      const declared = flow(
        numbers,
        json<number>(),
        branch(
          to('small', (value) => value < 3, listSink()),
          to('even', (value) => value % 2 === 0, listSink()),
          otherwise('rest', listSink()),
        ),
      )
      const flowed = run(declared)
      flowed.source('123456', values)
      flowed.sink('  12----', values, 'list')
      flowed.sink('  ---4-6', values, 'list-2')
      flowed.sink('  --3-5-', values, 'list-3')
    }),
  )

  test(
    'that no branch takes goes nowhere, and is committed',
    marbles(({ flow: run }) => {
      const declared = flow(numbers, json<number>(), branch(to('large', (value) => value > 3, listSink())))
      const flowed = run(declared)
      flowed.source('123456', values)
      flowed.crash(' ---x--')
      flowed.sink('  ---456', values)
    }),
  )

  test(
    'is seen by conditions with its key and its place',
    marbles(({ flow: run }) => {
      const declared = flow(
        numbers,
        json<number>(),
        branch(
          to('first', (_value, { origin }) => origin.offset === 0, listSink()),
          otherwise('rest', listSink()),
        ),
      )
      const flowed = run(declared)
      flowed.source('12', values)
      flowed.sink('  1-', values, 'list')
      flowed.sink('  -2', values, 'list-2')
    }),
  )
})

describe('a branch', () => {
  test(
    'has stages of its own, and may end in branches',
    marbles(({ flow: run }) => {
      const inner = branch<number>(
        to('ten', (value) => value === 10, listSink()),
        otherwise('other', listSink()),
      )
      const declared = flow(
        numbers,
        json<number>(),
        branch(
          to(
            'small',
            (value) => value < 4,
            times(10),
            filter((value) => value !== 20),
            inner,
          ),
          otherwise('large', times(100), listSink()),
        ),
      )
      const flowed = run(declared)
      flowed.source('12345', values)
      flowed.sink('  a----', { a: 10 }, 'list')
      flowed.sink('  --b--', { b: 30 }, 'list-2')
      flowed.sink('  ---cd', { c: 400, d: 500 }, 'list-3')
    }),
  )

  test(
    'is flushed with the others when the epoch ends, and only then is it committed',
    marbles(({ flow: run }) => {
      const declared = flow(
        numbers,
        json<number>(),
        branch(
          to('odd', (value) => value % 2 === 1, batch({ size: 9 }), listSink()),
          otherwise('even', listSink()),
        ),
      )
      const flowed = run(declared, { epoch: { maxRecords: 100, everyMs: 5 } })
      flowed.source('123-4', values)
      flowed.sink('  -----a', { a: [1, 3] }, 'list')
      flowed.sink('  -2--4-', values, 'list-2')
      flowed.finally(({ stages }) => {
        const sinks = stages.filter(({ kind }) => kind === 'sink')
        expect(sinks.map(({ out }) => out)).toEqual([1, 2])
        expect(flowed.virtual.committed.map(({ value }) => value)).toEqual([2, 4, [1, 3]])
      })
    }),
  )

  test(
    'that fails fails the epoch: what the others wrote is replayed with it',
    marbles(({ flow: run }) => {
      let isAway = true
      const declared = flow(
        numbers,
        json<number>(),
        branch(
          to('odd', (value) => value % 2 === 1, listSink()),
          otherwise('even', listSink()),
        ),
      )
      const flowed = run(declared, {
        epoch: { maxRecords: 3, everyMs: 50 },
        beforeWrite: ({ value }) => {
          if (value === 3 && isAway) {
            isAway = false
            throw new Error('the sink is away')
          }
        },
      })
      flowed.source('123', values)
      flowed.sink('  1- 500ms (13)', values, 'list')
      flowed.sink('  -2 500ms 2', values, 'list-2')
      flowed.finally(({ state }) => {
        expect(state).toBe('running')
        expect(flowed.virtual.committed.map(({ value }) => value)).toEqual([1, 2, 3])
      })
    }),
  )
})

test(
  'a condition that throws fails the epoch, with the branch and the place of the record',
  marbles(({ flow: run }) => {
    const declared = flow(
      numbers,
      json<number | null>(),
      branch(
        to('any', () => false, listSink()),
        to('small', (value) => (value as number).toFixed().length < 2, listSink()),
      ),
    )
    const flowed = run(declared)
    flowed.source('1n', { 1: 1, n: 'null' })
    flowed.sink('  1-', values)
    flowed.finally(({ state, error }) => {
      expect(state).toBe('retrying')
      expect(error).toMatchObject({
        code: 'WEIR_STAGE_FAILED',
        place: { flow: 'flow', stage: 'small', partition: { partition: 0 }, offset: 1 },
      })
    })
  }),
)
