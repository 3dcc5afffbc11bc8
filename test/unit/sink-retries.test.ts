import { defer, throwError } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { expect, test } from 'vitest'
import { type Fault, type SinkContext, silentLogger, WeirError } from '../../src/model/index.js'
import { retrying } from '../../src/sinks/internal/retrying.js'
import { Faults } from '../../src/sql/index.js'

/** When a write is tried that always fails so, ms. */
function triesOf(error: Error, fault: Fault, retries: number): number[] {
  const scheduler = new TestScheduler(() => undefined)
  const faults = new Faults({ faultOf: () => fault, textOf: String, hintOf: () => undefined })
  const context = { clock: { now: () => scheduler.now(), scheduler }, log: silentLogger } as unknown as SinkContext
  const tries: number[] = []
  const errors: unknown[] = []
  scheduler.run(() => {
    const write$ = defer(() => {
      tries.push(scheduler.now())
      return throwError(() => error)
    })
    write$
      .pipe(retrying({ retries, doing: 'writing', faults, context }))
      .subscribe({ error: (one: unknown) => errors.push(one) })
  })
  expect(errors).toEqual([error])
  return tries
}

test.each<[number, number[]]>([
  [0, [0]],
  [1, [0, 100]],
  [4, [0, 100, 300, 700, 1_500]],
])('with %i retries a write that may pass is tried at %j ms', (retries, tries) => {
  expect(triesOf(new Error('busy'), 'system', retries)).toEqual(tries)
  expect(triesOf(new Error('cut'), 'connection', retries)).toEqual(tries)
})

test('what another try does not mend is not tried again', () => {
  expect(triesOf(new Error('too long'), 'record', 3)).toEqual([0])
  expect(triesOf(new Error('no such table'), 'setup', 3)).toEqual([0])
  expect(triesOf(new WeirError('WEIR_SINK_FAILED', 'writing: judged already'), 'system', 3)).toEqual([0])
})
