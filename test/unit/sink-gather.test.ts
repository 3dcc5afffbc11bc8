import { concat, NEVER, of, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { gather } from '../../src/sinks/internal/gather.js'

test('an epoch that is left leaves no timer of what was gathered', () => {
  const scheduler = new VirtualTimeScheduler()
  const gathered: number[][] = []
  const epoch$ = concat(of(1), NEVER).pipe(gather({ size: 2, withinMs: 20, scheduler, isWhole: () => false }))
  const subscription = epoch$.subscribe((values) => gathered.push(values))
  expect(scheduler.actions).toHaveLength(1)
  subscription.unsubscribe()
  expect(scheduler.actions).toEqual([])
  expect(gathered).toEqual([])
})
