import { map, VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { flow, json, kafka } from '../../src/index.js'
import { defineOperator, type Operator, type StoreCodec, type StreamRecord } from '../../src/model/index.js'
import { VirtualFlow } from '../../src/testing/index.js'
import { listSink } from '../support/list-sink.js'

interface Count {
  n: number
  last?: number
}

const whole: StoreCodec<Count> = { version: 1, save: (value) => value, load: (saved) => saved as Count }

/** A stage that counts, and does it as told. */
function counting(codec: StoreCodec<Count>, touches: (n: number) => boolean, more: object): Operator<number, number> {
  return defineOperator({
    name: 'counting',
    summary: 'A stage of the test.',
    options: z.strictObject({}),
    stores: () => ['counts'],
    build: (_, context) => {
      const store = context.store('counts', codec)
      return map((record: StreamRecord) => {
        const part = store.for(record)
        const entry = part.get(0, 'all') ?? part.add(0, 'all', { n: 0, ...more })
        entry.value.n++
        entry.value.last = record.value as number
        if (touches(entry.value.n)) part.touch(entry)
        return record.with(entry.value.n)
      })
    },
  }).declare({})
}

function run(codec: StoreCodec<Count>, touches: (n: number) => boolean, more: object = {}): readonly unknown[] {
  const scheduler = new VirtualTimeScheduler()
  const declared = flow(kafka.source({ topic: 't' }), json<number>(), counting(codec, touches, more), listSink())
  const virtual = new VirtualFlow(declared, scheduler)
  for (let at = 10; at <= 50; at += 10) virtual.append(at, at)
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.stop(), 100)
  scheduler.schedule(() => virtual.crash(), 200)
  scheduler.flush()
  return virtual.written.map(({ value }) => value)
}

describe('a test of a flow', () => {
  test('fails for state that was changed without touch', () => {
    expect(() => run(whole, (n) => n < 4)).toThrow(
      /the store 'counts' of .* would not come back: the entry "all" is { n: 4, last: 40 } in memory, and { n: 3, last: 30 } after/,
    )
  })

  test('fails for a codec that loses something', () => {
    const lossy: StoreCodec<Count> = { ...whole, save: ({ n }) => ({ n }) }
    expect(() => run(lossy, () => true)).toThrow(/{ n: 1, last: 10 } in memory, and { n: 1 } after a restore/)
  })

  test('holds for what comes back', () => {
    expect(run(whole, () => true)).toEqual([1, 2, 3, 4, 5])
  })

  test.each([{ at: new Date(Number.NaN) }, { dates: new Map([['a', [new Date(Number.NaN), new Date(0)]]]) }])(
    'holds for dates that are none: %o',
    (more) => expect(run(whole, () => true, more)).toEqual([1, 2, 3, 4, 5]),
  )
})
