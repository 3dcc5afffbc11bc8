import { identity, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  type Configurable,
  defineOperator,
  type Flow,
  flatMap,
  flow,
  json,
  kafka,
  type Operator,
  operate,
  type RejectionPolicy,
  rejectionPolicy,
  type StoreCodec,
  type StreamRecord,
} from '../../src/index.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly id: number
  readonly user: string
}
type Kept = unknown[]

const isOdd = (id: number) => id % 5 === 1
const oddities: Readonly<Record<string, (id: number) => unknown>> = {
  'a function': (id) => () => id,
  'a symbol': (id) => Symbol(String(id)),
  'an instance of a class': () => new (class Made {})(),
  'what contains itself': () => {
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    return cyclic
  },
}

const whole: StoreCodec<Kept> = { version: 1, save: (kept) => kept, load: (saved) => saved as Kept }
/** Tells of a value what has come to it since it was saved. */
const byChanges = (): StoreCodec<Kept> => {
  const told = new WeakMap<Kept, number>()
  const since = (kept: Kept, from: number) => {
    told.set(kept, kept.length)
    return kept.slice(from)
  }
  return {
    version: 1,
    save: (kept) => since(kept, 0),
    changes: (kept) => since(kept, told.get(kept) ?? 0),
    load(saved) {
      const kept = [...(saved as Kept)]
      told.set(kept, kept.length)
      return kept
    },
    apply(kept, more) {
      kept.push(...(more as Kept))
      told.set(kept, kept.length)
      return kept
    },
  }
}
const throwing: StoreCodec<Kept> = {
  ...whole,
  save(kept) {
    if (kept.some((item) => typeof item !== 'number')) throw new TypeError('refused by a codec')
    return kept
  },
}

const definition = defineOperator({
  name: 'remember',
  summary: 'Keeps what has come of each key, in place, and tells it.',
  options: z.strictObject({
    name: z.string(),
    oddity: z.custom<(id: number) => unknown>(),
    codec: z.custom<StoreCodec<Kept>>(),
    onError: rejectionPolicy.optional(),
  }),
  stores: ({ name }) => [`${name}.kept`],
  build: ({ name, oddity, codec }, context) => {
    const store = context.store(`${name}.kept`, codec)
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(record) {
        const { id, user } = record.value as Visit
        const part = store.for(record)
        const kept = isOdd(id) ? oddity(id) : id
        let entry = part.get(0, user)
        if (entry === undefined) entry = part.add(0, user, [kept])
        else {
          entry.value.push(kept)
          part.touch(entry)
        }
        output.next(record.with([...entry.value]))
      },
    }))
  },
})
const remember = (
  oddity: (id: number) => unknown,
  codec: StoreCodec<Kept>,
  onError?: RejectionPolicy,
): Operator<Visit, Kept> => definition.declare({ name: 'seen', oddity, codec, onError } satisfies Configurable<object>)

/** What came of visits of one user, in epochs of so many. */
function fed(
  declared: Flow,
  ids: readonly unknown[],
  maxRecords: number,
  { crashAt, forMs = 20_000 }: { crashAt?: number; forMs?: number } = {},
) {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { epoch: { maxRecords, everyMs: 100 } })
  for (const [index, id] of ids.entries()) virtual.append(100 * index + 1, id)
  scheduler.schedule(() => virtual.start(), 0)
  if (crashAt !== undefined) scheduler.schedule(() => (virtual.crash(), virtual.start()), crashAt)
  scheduler.schedule(() => virtual.stop(), forMs)
  scheduler.flush()
  const told = virtual.committed.map(({ value }) => value)
  const letters = virtual.deadLetters.map(({ record: { origin }, error }) => [origin.offset, error] as const)
  return { told, letters, status: virtual.status() }
}
const visit = (id: number) => ({ id, user: 'ann' })
const read = [kafka.source({ topic: 'visits' }), json<Visit>()] as const

const codecs = { whole: () => whole, 'by changes': byChanges, throwing: () => throwing }
test.each(
  Object.keys(oddities).flatMap((oddity) =>
    Object.keys(codecs).flatMap((codec) => [1, 10].map((maxRecords) => [oddity, codec, maxRecords] as const)),
  ),
)(
  'a record of which a stage keeps what can not be packed is a dead letter, and the others are kept: %s, saved %s, epochs of %i',
  (oddity, codec, maxRecords) => {
    const stage = remember(oddities[oddity] as (id: number) => unknown, codecs[codec as 'whole'](), 'dead-letter')
    const declared = flow(...read, stage, listSink())
    const { told, letters, status } = fed(declared, [2, 6, 3, 11, 1, 4].map(visit), maxRecords, { crashAt: 450 })
    expect(told).toEqual([[2], [2, 3], [2, 3, 4]])
    expect([...new Set(letters.map(([offset]) => offset))]).toEqual([1, 3, 4])
    for (const [, { code, place }] of letters) expect([code, place.stage]).toEqual(['WEIR_STAGE_FAILED', 'seen'])
    expect(status).toMatchObject({ state: 'stopped', error: undefined })
  },
)

test('of many records that were made of one only that which can not be kept is a dead letter', () => {
  const several = flatMap((ids: readonly number[]) => ids.map(visit))
  const stage = remember(oddities['a function'] as never, whole, 'dead-letter')
  const declared = flow(kafka.source({ topic: 'visits' }), json<number[]>(), several, stage, listSink())
  const { told, letters } = fed(declared, [[2, 6, 3], [11], [4, 1]], 10)
  expect(told.at(-1)).toEqual([2, 3, 4])
  expect([...new Set(letters.map(([offset]) => offset))]).toEqual([0, 1, 2])
})

test('without a policy a record that can not be kept stops the flow, and the stage, the place and what to do are told', () => {
  const stage = remember(oddities['a function'] as never, whole)
  const { told, status } = fed(flow(...read, stage, listSink()), [2, 6, 3].map(visit), 10, { forMs: 3_600_000 })
  expect(told).toEqual([[2]])
  expect(status).toMatchObject({
    state: 'failed',
    error: {
      code: 'WEIR_STAGE_FAILED',
      message: expect.stringContaining("keeping the state of 'seen.kept': a function at [1] can not be kept"),
      hint: expect.stringContaining('onError'),
      place: { stage: 'seen', offset: 1 },
    },
  })
})

test('a stage that keeps what can be kept is not tried', () => {
  const stage = remember(identity, whole, 'dead-letter')
  const { told, letters } = fed(flow(...read, stage, listSink()), [2, 6, 3].map(visit), 10)
  expect([told.at(-1), letters]).toEqual([[2, 6, 3], []])
})
