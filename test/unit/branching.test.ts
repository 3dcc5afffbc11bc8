import {
  concat,
  concatMap,
  EMPTY,
  ignoreElements,
  lastValueFrom,
  map,
  type Observable,
  of,
  take,
  tap,
  throwError,
  timer,
} from 'rxjs'
import { expect, test } from 'vitest'
import { branching } from '../../src/engine/branching.js'
import { noHeaders, StreamRecord } from '../../src/model/index.js'

type Records = Observable<StreamRecord>

const recordOf = (value: number) =>
  new StreamRecord(null, value, 0, noHeaders, { topic: 'numbers', partition: 0, offset: value })
const records$ = of(...[1, 2, 3, 4].map(recordOf))
const small = (value: unknown) => (value as number) < 3
const isOne = (value: unknown) => value === 1

/** A branch that takes what `when` says, and runs it. */
const lane = (name: string, run: (records$: Records) => Observable<unknown>, when?: (value: unknown) => boolean) => ({
  node: { name, when, stages: [], end: [] },
  run,
})

const into = (list: unknown[]) => (records$: Records) =>
  records$.pipe(
    tap(({ value }) => list.push(value)),
    ignoreElements(),
  )
const later = (run: (records$: Records) => Observable<unknown>) => (records$: Records) =>
  concat(timer(5).pipe(ignoreElements()), run(records$))
const written = (routed$: Observable<unknown>) => lastValueFrom(routed$, { defaultValue: 'all' })

test('a branch that subscribes late gets every record', async () => {
  const [first, rest]: [unknown[], unknown[]] = [[], []]
  const route = branching([lane('small', later(into(first)), small), lane('rest', into(rest))])
  expect(await written(route(records$))).toBe('all')
  expect([first, rest]).toEqual([
    [1, 2],
    [3, 4],
  ])
})

test('branches of a branch that subscribe late get every record', async () => {
  const [one, two, rest]: [unknown[], unknown[], unknown[]] = [[], [], []]
  const inner = branching([lane('one', later(into(one)), isOne), lane('two', later(later(into(two))))])
  const route = branching([lane('small', inner, small), lane('rest', later(into(rest)))])
  expect(await written(route(records$))).toBe('all')
  expect([one, two, rest]).toEqual([[1], [2], [3, 4]])
})

test('nothing is read when a branch fails before it subscribes', async () => {
  let read = 0
  const failing = () => timer(5).pipe(concatMap(() => throwError(() => new Error('no connection'))))
  const route = branching([lane('small', into([]), small), lane('rest', failing)])
  await expect(written(route(records$.pipe(tap(() => read++))))).rejects.toThrow('no connection')
  expect(read).toBe(0)
})

test.each<[string, (records$: Records) => Observable<unknown>]>([
  ['has had enough', (records$) => records$.pipe(take(1))],
  ['never subscribes', () => EMPTY],
  [
    'says that it is done while it still reads',
    (records$) =>
      records$.pipe(
        take(1),
        map(() => undefined),
      ),
  ],
  ['goes on without its records', (records$) => concat(records$.pipe(take(1)), timer(5))],
  ['subscribes twice', (records$) => concat(records$, records$)],
])('the epoch fails when a branch %s', async (_, run) => {
  const route = branching([lane('small', into([]), small), lane('rest', run)])
  await expect(written(route(records$))).rejects.toMatchObject({ code: 'WEIR_STAGE_FAILED', place: { stage: 'rest' } })
})

test('each epoch begins anew', async () => {
  const list: unknown[] = []
  const routed$ = branching([lane('all', later(into(list)))])(records$)
  await written(routed$)
  await written(routed$)
  expect(list).toEqual([1, 2, 3, 4, 1, 2, 3, 4])
})
