import { concat, delay, EMPTY, lastValueFrom, NEVER, of, throwError, toArray } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { mapAsync } from '../../src/operators/map-async.js'
import { marbles, testRecord } from '../../src/testing/marbles.js'

const values = { a: 1, b: 2, c: 3, d: 4 }
const failure = new Error('refused')

describe('order and concurrency', () => {
  test(
    'results leave in the order of their records, however long each call takes',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('abc|      ', values)
      const slow = cold('     ----(x|)  ')
      const quick = cold('     -(y|)     ')
      const soon = cold('       --(z|)   ')
      const expected = '      ----(xyz|)'

      const call = (value: number) => [slow, quick, soon][value - 1] ?? EMPTY
      expectRecords(source.pipe(operator(mapAsync(call)))).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe('^--!')
      expectSubscriptions(slow.subscriptions).toBe('  ^---!')
      expectSubscriptions(quick.subscriptions).toBe(' -^!')
      expectSubscriptions(soon.subscriptions).toBe('  --^-!')
    }),
  )

  test(
    'or as they come',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('ab|    ', values)
      const slow = cold('     ----(x|)')
      const quick = cold('     -(y|)')
      const expected = '      --y-(x|)'

      const call = (value: number) => (value === 1 ? slow : quick)
      expectRecords(source.pipe(operator(mapAsync(call, { ordered: false })))).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe('^-!')
      expectSubscriptions(slow.subscriptions).toBe('  ^---!')
      expectSubscriptions(quick.subscriptions).toBe(' -^!')
    }),
  )

  test.each([true, false])('no more calls run at once than the concurrency (ordered: %s)', (ordered) => {
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('(abcd|)        ', values)
      const call = cold('     -----(x|)      ')
      const expected = '      -----(xx)-(xx|)'

      expectRecords(source.pipe(operator(mapAsync(() => call, { concurrency: 2, ordered })))).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe('(^!)')
      expectSubscriptions(call.subscriptions).toBe(['^----!', '^----!', '-----^----!', '-----^----!'])
    })()
  })

  test(
    'a call that waits behind a slow one makes room for the next when it is done',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('(abc|)    ', values)
      const slow = cold('     ------(x|)')
      const quick = cold('    --(y|)    ')
      const third = cold('      --(z|)  ')
      const expected = '      ------(xyz|)'

      const call = (value: number) => [slow, quick, third][value - 1] ?? EMPTY
      expectRecords(source.pipe(operator(mapAsync(call, { concurrency: 2 })))).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe('(^!)')
      expectSubscriptions(slow.subscriptions).toBe('  ^-----!')
      expectSubscriptions(quick.subscriptions).toBe(' ^-!')
      expectSubscriptions(third.subscriptions).toBe(' --^-!')
    }),
  )

  test(
    'a call may have none or many results, which leave together when it is done',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('ab|       ', values)
      const many = cold('     -x-y-|    ')
      const expected = '      -----(xy|)'

      expectRecords(source.pipe(operator(mapAsync((value: number) => (value === 1 ? many : EMPTY))))).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe('^-!')
      expectSubscriptions(many.subscriptions).toBe('  ^----!')
    }),
  )

  test(
    'each result derives from its own record',
    marbles(({ operator, records, clock, expectObservable, expectSubscriptions }) => {
      const [a, b] = [testRecord(3, { key: 'a', offset: 4 }), testRecord(1, { key: 'b', offset: 5 })]
      const source = records('(ab|)  ', { a, b })
      const expected = '      ---(xy|)'

      const stage = operator(mapAsync((value: number, { key }) => of(key).pipe(delay(value, clock.scheduler))))
      expectObservable(source.pipe(stage)).toBe(expected, { x: a?.with('a'), y: b?.with('b') })
      expectSubscriptions(source.subscriptions).toBe('(^!)')
    }),
  )
})

describe('failures', () => {
  const odd = (value: number) => (value % 2 === 1 ? of(value) : throwError(() => failure))

  test.each([
    ['fail', '-a-#', '', '^--!'],
    ['dead-letter', '-a---c-|', '---r', '^------!'],
    ['skip', '-a---c-|', '---r', '^------!'],
  ] as const)('of a call, by policy %s', (onError, expected, rejected, subs) => {
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('-a-b-c-|', values)
      expectRecords(source.pipe(operator(mapAsync(odd, { onError })))).toBe(expected, values, 'WEIR_STAGE_FAILED')
      expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
      expectSubscriptions(source.subscriptions).toBe(subs)
    })()
  })

  test(
    'of the function itself count as failures of the call',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('a|', values)
      const call = (): never => {
        throw failure
      }
      expectRecords(source.pipe(operator(mapAsync(call)))).toBe('#', {}, 'WEIR_STAGE_FAILED')
      expectSubscriptions(source.subscriptions).toBe('(^!)')
    }),
  )

  test(
    'a rejected record holds back none behind it',
    marbles(({ operator, records, cold, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('(ab|)  ', values)
      const slow = cold('     ---#   ', {}, failure)
      const quick = cold('    -(y|)  ')
      const expected = '      ---(y|)'
      const rejected = '      ---r'

      const call = (value: number) => (value === 1 ? slow : quick)
      expectRecords(source.pipe(operator(mapAsync(call, { onError: 'skip' })))).toBe(expected)
      expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
      expectSubscriptions(source.subscriptions).toBe('(^!)')
      expectSubscriptions(slow.subscriptions).toBe('  ^--!')
      expectSubscriptions(quick.subscriptions).toBe(' ^!')
    }),
  )

  test(
    'are tried again, with pauses that double, and leave no results of the failed tries behind',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('(a|)         ', values)
      const failing = cold('  x#           ', {}, failure)
      const working = cold('          -(y|)')
      const expected = '      ---------(y|)'

      const calls = [failing, failing, working]
      const stage = operator(mapAsync(() => calls.shift() ?? EMPTY, { retry: { attempts: 3, backoff: 2 } }))
      expectRecords(source.pipe(stage)).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe('(^!)')
      expectSubscriptions(failing.subscriptions).toBe(['^!', '---^!'])
      expectSubscriptions(working.subscriptions).toBe('--------^!')
    }),
  )

  test(
    'reject the record after the last try',
    marbles(({ operator, records, cold, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('(a|)  ', values)
      const failing = cold('  -#    ', {}, failure)
      const expected = '      ----|'
      const rejected = '      ----r'

      const stage = operator(mapAsync(() => failing, { retry: { attempts: 2, backoff: 2 }, onError: 'dead-letter' }))
      expectRecords(source.pipe(stage)).toBe(expected)
      expectRejections(rejected, { r: 'WEIR_STAGE_FAILED' })
      expectSubscriptions(source.subscriptions).toBe('(^!)')
      expectSubscriptions(failing.subscriptions).toBe(['^!', '---^!'])
    }),
  )
})

describe('calls that are given up', () => {
  test('by the timeout, which aborts them', () => {
    const aborted: boolean[] = []
    marbles(({ operator, records, cold, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('a---b-|', values)
      const hanging = cold('  -x------')
      const quick = cold('        -(y|)')
      const expected = '      -----y|'
      const rejected = '      ---r'

      const call = (value: number, _record: unknown, signal: AbortSignal) => {
        signal.addEventListener('abort', () => aborted.push(value === 1))
        return value === 1 ? hanging : quick
      }
      expectRecords(source.pipe(operator(mapAsync(call, { timeout: 3, onError: 'skip' })))).toBe(expected)
      expectRejections(rejected, { r: 'WEIR_STAGE_TIMEOUT' })
      expectSubscriptions(source.subscriptions).toBe('^-----!')
      expectSubscriptions(hanging.subscriptions).toBe('^--!')
      expectSubscriptions(quick.subscriptions).toBe('  ----^!')
    })()
    expect(aborted).toEqual([true])
  })

  test(
    'by the timeout are tried again, each with a time of its own',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('(a|) ', values)
      const expected = '      -------#'

      const stage = operator(mapAsync(() => NEVER, { timeout: 3, retry: { attempts: 2, backoff: 1 } }))
      expectRecords(source.pipe(stage)).toBe(expected, {}, 'WEIR_STAGE_TIMEOUT')
      expectSubscriptions(source.subscriptions).toBe('(^!)')
    }),
  )

  test('by the end of the epoch, which aborts them', () => {
    let aborted = 0
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('(ab)------|', values)
      const hanging = cold('  ----------')
      const unsub = '         ---!'

      const call = (_value: number, _record: unknown, signal: AbortSignal) => {
        signal.addEventListener('abort', () => aborted++)
        return hanging
      }
      expectRecords(source.pipe(operator(mapAsync(call, { timeout: 20 }))), unsub).toBe('')
      expectSubscriptions(source.subscriptions).toBe('^--!')
      expectSubscriptions(hanging.subscriptions).toBe(['^--!', '^--!'])
    })()
    expect(aborted).toBe(2)
  })
})

test('takes promises', async () => {
  const outside: { run?: () => Promise<unknown> } = {}
  marbles(({ operator }) => {
    const stage = operator(mapAsync((value: number) => Promise.resolve(value * 2)))
    outside.run = () => lastValueFrom(concat(of(testRecord(1)), of(testRecord(2))).pipe(stage, toArray()))
  })()
  expect(await outside.run?.()).toEqual([
    testRecord(2, { origin: testRecord(1).origin }),
    testRecord(4, { origin: testRecord(2).origin }),
  ])
})
