import { map } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { EpochBudget } from '../../src/engine/epoch.js'
import { allDone, busy, firstBroken, once, sourceOf } from './mutants.js'

describe('runs of a schedule', busy, () => {
  test('a position that lies before its run has it made twice', () => {
    const behind = (all: readonly { topic: string; partition: number; offset: number }[]) =>
      all.map((one) => ({ ...one, offset: one.offset - 1 }))
    expect(
      firstBroken(/^runs of a schedule/, {
        source: (task) => sourceOf(task, { positions: () => behind(task.positions()) }),
      }),
    ).toMatch(once)
  })

  test('a process that begins with what is due after its start forgets what was due before', () => {
    expect(
      firstBroken(/^runs of a schedule, in/, {
        source: (task) =>
          sourceOf(task, {
            assignments$: task.assignments$.pipe(
              map((change) => (change.kind === 'assigned' ? { ...change, start: () => change.start([]) } : change)),
            ),
          }),
      }),
    ).toMatch(allDone)
  })
})

describe('epochs that linger', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('one that is not told that all is read does not end', () => {
    vi.spyOn(EpochBudget.prototype, 'caughtUp').mockImplementation(() => undefined)
    expect(firstBroken(/^lingering/)).toMatch(allDone)
  })
})
