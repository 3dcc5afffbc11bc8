import { concat, defer, EMPTY, type Observable } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Retries } from '../../src/engine/retry/retries.js'
import { PartitionStore } from '../../src/state/partition-store.js'
import { SimulatedReader } from '../../src/testing/simulation/reader.js'
import { allDone, busy, firstBroken, once } from './mutants.js'

const exactly = /^tried again, exactly once/
const anyOf = /^tried again/

/** What tries again as it is inside. */
interface Inside {
  readonly failed: { clear(): void }
  keep(): void
}

describe('records that are tried again', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('they are written when they fail, and not when that is committed', () => {
    const { flush } = Retries.prototype
    vi.spyOn(Retries.prototype, 'flush').mockImplementation(function (this: Retries) {
      const { failed, keep } = this as unknown as Inside
      const kept$ = defer((): Observable<never> => {
        keep.call(this)
        failed.clear()
        return EMPTY
      })
      return concat(kept$, flush.call(this))
    })
    expect(firstBroken(exactly)).toMatch(once)
  })

  test('what was written twice is tried twice', () => {
    const { get } = PartitionStore.prototype
    vi.spyOn(PartitionStore.prototype, 'get').mockImplementation(function (this: PartitionStore<unknown>, ...of) {
      const entry = get.apply(this, of)
      if (entry !== undefined && this.name === 'retry.sources') entry.value = 0
      return entry
    })
    expect(firstBroken(exactly)).toMatch(once)
  })

  test('what has to wait is passed over', () => {
    vi.spyOn(SimulatedReader.prototype, 'hold').mockImplementation(() => undefined)
    expect(firstBroken(anyOf)).toMatch(allDone)
  })

  test('where one has to wait, nothing is read any more', () => {
    vi.spyOn(SimulatedReader.prototype, 'goOn').mockImplementation(() => undefined)
    expect(firstBroken(anyOf)).toMatch(allDone)
  })

  test('what failed is forgotten', () => {
    vi.spyOn(Retries.prototype as unknown as Inside, 'keep').mockImplementation(() => undefined)
    expect(firstBroken(anyOf)).toMatch(allDone)
  })
})
