import { afterEach, describe, expect, test, vi } from 'vitest'
import { Rejections } from '../../src/engine/rejections.js'
import { Ahead } from '../../src/model/ahead.js'
import { PartitionStore } from '../../src/state/partition-store.js'
import { allDone, busy, firstBroken } from './mutants.js'

describe('records that nobody can take', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('a time of the year 2999 is believed', () => {
    vi.spyOn(Ahead.prototype, 'errorOf').mockReturnValue(undefined)
    expect(firstBroken(/between times/)).toMatch(/./)
  })

  test('what has no time is skipped', () => {
    const { reject } = Rejections.prototype
    vi.spyOn(Rejections.prototype, 'reject').mockImplementation(function (this: Rejections, ...given) {
      const { code } = given[3] as { readonly code?: string }
      if (code !== 'WEIR_RECORD_NO_TIME') reject.apply(this, given)
    })
    expect(firstBroken(/between times/)).toMatch(allDone)
  })

  test('a change of a store stays in memory', () => {
    vi.spyOn(PartitionStore.prototype, 'touch').mockImplementation(() => undefined)
    expect(firstBroken(/counts by key, exactly/)).toMatch(/^a restore brings what is in memory/)
  })
})
