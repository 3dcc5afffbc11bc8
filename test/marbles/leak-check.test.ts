import { filter, ignoreElements, interval, merge, type OperatorFunction, tap as rxTap } from 'rxjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineOperator, type Operator, type OperatorContext, type StreamRecord } from '../../src/model/index.js'
import { map } from '../../src/operators/map.js'
import { rx } from '../../src/operators/rx.js'
import { type MarbleHelpers, marbles } from '../../src/testing/marbles.js'

type Build = (context: OperatorContext) => OperatorFunction<StreamRecord, StreamRecord>

function custom(build: Build): Operator<unknown, string> {
  const definition = defineOperator({
    name: 'custom',
    summary: 'A stage of this test.',
    options: z.object({}),
    build: (_, context) => build(context),
  })
  return definition.declare({})
}

/** How a marble test of a stage fails, when the diagrams themselves hold. */
function faultOf(run: (helpers: MarbleHelpers) => void): string {
  try {
    marbles(run)()
    return 'none'
  } catch (error) {
    return (error as Error).message
  }
}

const passing = (helpers: MarbleHelpers, stage: Operator<string, unknown>) => {
  const source = helpers.records('-a-|')
  helpers.expectRecords(source.pipe(helpers.operator(stage))).toBe('-a-|')
  helpers.expectSubscriptions(source.subscriptions).toBe('^--!')
}

test('a test whose diagrams hold passes', () => {
  expect(faultOf((helpers) => passing(helpers, rx(rxTap())))).toBe('none')
})

test.each([
  ['values', '-b-|', '^--!'],
  ['times', 'a--|', '^--!'],
  ['completion', '-a--|', '^--!'],
  ['subscriptions', '-a-|', '^---!'],
])('a test fails when the %s are others', (_what, expected, subs) => {
  const fault = faultOf(({ records, operator, expectRecords, expectSubscriptions }) => {
    const source = records('-a-|')
    expectRecords(source.pipe(operator(map((value: string) => value)))).toBe(expected)
    expectSubscriptions(source.subscriptions).toBe(subs)
  })
  expect(fault).toContain('Expected values to be strictly deep-equal')
})

test('subscriptions have to be compared', () => {
  const fault = faultOf(({ records, cold, expectRecords, expectSubscriptions }) => {
    const [source, other] = [records('-a-|'), cold('-|')]
    expectRecords(source).toBe('-a-|')
    expectSubscriptions(other.subscriptions).toBe([])
  })
  expect(fault).toContain("the subscriptions of '-a-|' were not compared")
})

test('a subscription that stays open is a leak', () => {
  const fault = faultOf((helpers) => {
    const forgotten = helpers.hot('-x-')
    const forget = () => void forgotten.subscribe()
    passing(helpers, rx(rxTap({ complete: forget })))
    helpers.expectSubscriptions(forgotten.subscriptions).toBe('---^')
  })
  expect(fault).toContain("'-x-' is still subscribed")
})

test('a timer that fires after its stage has ended is a leak', () => {
  const leaking = custom(({ clock }) => (records$) => {
    return records$.pipe(rxTap({ complete: () => clock.scheduler.schedule(() => undefined, 5) }))
  })
  expect(faultOf((helpers) => passing(helpers, leaking))).toContain('a timer fired at 8 ms, after its stage had ended')
})

test('so is one that would go on for ever', () => {
  const ticking = custom(({ clock }) => (records$) => {
    const start = () => void interval(2, clock.scheduler).subscribe()
    return records$.pipe(rxTap({ complete: start }))
  })
  expect(faultOf((helpers) => passing(helpers, ticking))).toContain('a timer fired at 5 ms')
})

test('a timer that its stage takes down with it is none', () => {
  const ticking = custom(
    ({ clock }) =>
      (records$) =>
        merge(records$, interval(2, clock.scheduler).pipe(ignoreElements())),
  )
  const fault = faultOf(({ records, operator, expectRecords, expectSubscriptions }) => {
    const source = records('-a-----')
    expectRecords(source.pipe(operator(ticking)), '------!').toBe('-a----')
    expectSubscriptions(source.subscriptions).toBe('^-----!')
  })
  expect(fault).toBe('none')
})

test('a rejection that was not expected fails the test', () => {
  const rejecting = custom((context) => filter((record) => (context.reject(record, new Error('no')), true)))
  const fault = faultOf((helpers) => {
    const source = helpers.records('-a-|')
    helpers.expectRecords(source.pipe(helpers.operator(rejecting, { onError: 'skip' }))).toBe('-a-|')
    helpers.expectSubscriptions(source.subscriptions).toBe('^--!')
  })
  expect(fault).toContain('WEIR_TASK_UNEXPECTED')
})

test('an expected rejection that did not come fails the test', () => {
  const fault = faultOf((helpers) => {
    passing(helpers, rx(rxTap()))
    helpers.expectRejections('-r', { r: 'WEIR_STAGE_FAILED' })
  })
  expect(fault).toContain('WEIR_STAGE_FAILED')
})

test('a stage asks in vain for what the test did not give it', () => {
  const asking = custom((context) => (context.connection('kafka'), ignoreElements()))
  expect(faultOf((helpers) => passing(helpers, asking))).toContain(
    "running stage 'custom': this marble test has no connection",
  )
})
