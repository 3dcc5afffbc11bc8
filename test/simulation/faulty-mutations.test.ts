import { afterEach, describe, expect, test, vi } from 'vitest'
import { Rejections } from '../../src/engine/rejections.js'
import { collect } from '../../src/index.js'
import { Ahead } from '../../src/model/ahead.js'
import { Batch, StreamRecord } from '../../src/model/index.js'
import { PartitionStore } from '../../src/state/partition-store.js'
import { allDone, busy, firstBroken } from './mutants.js'

describe('what stages do with records', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('a time of the year 2999 is believed', () => {
    vi.spyOn(Ahead.prototype, 'errorOf').mockReturnValue(undefined)
    expect(firstBroken(/between times/)).toMatch(/./)
  })

  test('the dead letter of a batch is its last record', () => {
    const { record } = Batch.prototype
    vi.spyOn(Batch.prototype, 'record').mockImplementation(function (this: Batch, index) {
      const { key, value, timestamp, headers } = record.call(this, index)
      return new StreamRecord(key, value, timestamp, headers, record.call(this, this.length - 1).origin)
    })
    expect(firstBroken(/refused records in batches/)).toMatch(/./)
  })

  test('what has no time is skipped', () => {
    const { reject } = Rejections.prototype
    vi.spyOn(Rejections.prototype, 'reject').mockImplementation(function (this: Rejections, ...given) {
      const { code } = given[3] as { readonly code?: string }
      if (code !== 'WEIR_RECORD_NO_TIME') reject.apply(this, given)
    })
    expect(firstBroken(/between times/)).toMatch(allDone)
  })

  test('lists are in the order in which their parts come', () => {
    const tail = Object.getPrototypeOf(collect((value) => value, { max: 1 }).init()) as {
      insert(placed: unknown): void
    }
    vi.spyOn(tail, 'insert').mockImplementation(function (this: { items: unknown[] }, placed) {
      this.items.push(placed)
    })
    expect(firstBroken(/lists in order/)).toMatch(/^results are those of the model/)
    expect(firstBroken(/the last of shared lists/)).toMatch(/^results are those of the model/)
  })

  test('a change of a store stays in memory', () => {
    vi.spyOn(PartitionStore.prototype, 'touch').mockImplementation(() => undefined)
    expect(firstBroken(/counts by key, exactly/)).toMatch(/^a restore brings what is in memory/)
  })
})
