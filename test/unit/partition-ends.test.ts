import { NEVER, of, throwError, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { PartitionEnds } from '../../src/engine/partition-ends.js'
import type { PartitionEnd, SourceTask } from '../../src/model/index.js'

/** Ends of a source that answers the first question, and after it does what the test says. */
function asked(later: () => ReturnType<SourceTask['ends']>) {
  const scheduler = new VirtualTimeScheduler()
  const end: PartitionEnd = { topic: 't', partition: 0, offset: 4, end: 7 }
  let questions = 0
  const source = { ends: () => (questions++ === 0 ? of([end]) : later()) } as unknown as SourceTask
  const ends = new PartitionEnds([source], { now: () => scheduler.now(), scheduler })
  const watching = ends.watch().subscribe()
  const freshAt = (ms: number) => {
    scheduler.maxFrames = ms
    scheduler.flush()
    scheduler.frame = ms
    return ends.fresh([{ topic: 't', partition: 0, offset: 6 }])
  }
  return { freshAt, watching }
}

test.each([
  ['does not answer any more', () => NEVER],
  ['answers with an error', () => throwError(() => new Error('away'))],
])('where a partition ends is known for less than 3 s when its broker %s', (_, later) => {
  const { freshAt, watching } = asked(later)
  const known = [{ topic: 't', partition: 0, offset: 6, end: 7 }]
  expect(freshAt(0)).toEqual(known)
  expect(freshAt(2_999)).toEqual(known)
  expect(freshAt(3_000)).toEqual([])
  watching.unsubscribe()
})
