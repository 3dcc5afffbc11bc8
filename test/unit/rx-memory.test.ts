import {
  bufferCount,
  concatMap,
  count,
  delay,
  distinct,
  distinctUntilChanged,
  filter,
  groupBy,
  map,
  mergeMap,
  type Observable,
  type OperatorFunction,
  of,
  pairwise,
  pipe,
  reduce,
  scan,
  take,
  tap,
  timeout,
  toArray,
} from 'rxjs'
import { describe, expect, test } from 'vitest'
import { consoleSink, flow, json, rx } from '../../src/index.js'
import { compiled, config, orders } from '../support/compiling.js'

const warningsOf = (operator: OperatorFunction<never, unknown>) => {
  const declared = flow(orders, json(), rx(operator as OperatorFunction<unknown, unknown>), consoleSink())
  return compiled(config(declared)).flows[0]?.warnings ?? []
}

const add = (sum: number, n: number) => sum + n
/** As somebody may write an operator: nothing in its text tells what it is made of. */
const own = (source$: Observable<never>) => source$.pipe(filter(Boolean), distinct())

describe('an RxJS operator with memory', () => {
  test.each([
    ['scan', scan(add, 0), 'scan', 'aggregate'],
    ['reduce', reduce(add, 0), 'scan', 'aggregate'],
    ['count', count(), 'scan', 'aggregate'],
    ['distinct', distinct(), 'distinct', 'aggregate'],
    ['distinctUntilChanged', distinctUntilChanged(), 'distinctUntilChanged', 'collect'],
    ['groupBy', groupBy(String), 'groupBy', 'keyBy'],
    ['pairwise', pairwise(), 'pairwise', 'collect'],
    ['bufferCount', bufferCount(10), 'buffer', 'batch'],
    ['toArray', toArray(), 'toArray', 'batch'],
    ['take', take(5), 'take', 'filter'],
    ['one in a pipe', pipe(map(String), pairwise(), map(String)), 'pairwise', 'collect'],
    ['one in an operator of its own', own, 'distinct', 'aggregate'],
  ])('is warned of, and the stage that lasts is named: %s', (_, operator, remembers, instead) => {
    const warnings = warningsOf(operator)
    const told = warnings.find(({ message }) => message.includes(`by ${remembers}`))
    expect(told?.message).toMatch(/^flow 'flow': 'rx' remembers records by .*, and forgets them with every epoch$/)
    expect(told?.hint).toContain(instead)
    expect(told?.declaredAt).toBeInstanceOf(Error)
  })

  test('nothing is said of those that have none, and nothing runs', () => {
    let ran = 0
    const without = pipe(
      map(() => ran++),
      filter(() => ran++ > 0),
      tap(() => ran++),
      concatMap(() => of(1).pipe(scan(add, 0), toArray())),
      mergeMap(() => of(1).pipe(take(1)), 2),
      delay(1),
      timeout(50),
    )
    expect(warningsOf(without)).toEqual([])
    expect(
      warningsOf(() => {
        throw new Error('not to be subscribed to')
      }),
    ).toEqual([])
    expect(ran).toBe(0)
  })
})
