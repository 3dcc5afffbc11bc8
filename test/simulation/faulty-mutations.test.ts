import { EMPTY, mergeMap } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Rejections } from '../../src/engine/rejections.js'
import { StageContexts, type Surroundings } from '../../src/engine/stage-contexts.js'
import { collect, flow, json } from '../../src/index.js'
import { Ahead } from '../../src/model/ahead.js'
import { Batch, type SinkTask, StreamRecord } from '../../src/model/index.js'
import { PartitionStore } from '../../src/state/partition-store.js'
import { allDone, busy, firstBroken, firstBrokenOf, results } from './mutants.js'
import { counted, counts, scenario, source, topic, Visit, visits } from './visits.js'

/** Takes an array for a batch. */
function unpacking(task: SinkTask): SinkTask {
  const each = (record: StreamRecord) =>
    Array.isArray(record.value) ? record.value.map((value) => record.with(value)) : [record]
  return {
    open: () => task.open?.() ?? EMPTY,
    write: (records$) => task.write(records$.pipe(mergeMap(each, 1))),
  }
}

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

  test('an array is taken for a batch', () => {
    expect(firstBroken(/^arrays/, { sink: unpacking })).toMatch(results)
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

  test('a store that a stage does not tell of is let through', () => {
    const told = counts()
    const untold = { ...told, definition: { ...told.definition, stores: () => [] } }
    const tried = scenario('untold counts', flow(source, json(Visit), untold, topic()), counted, visits)
    expect(() => firstBrokenOf([tried])).toThrow(/it keeps the store 'counts'/)
    const { operator } = StageContexts.prototype
    vi.spyOn(StageContexts.prototype, 'operator').mockImplementation(function (this: StageContexts, ...given) {
      const { stores } = (this as unknown as { around: Surroundings }).around
      return { ...operator.apply(this, given), store: (...store) => stores.declare(...store) }
    })
    expect(firstBrokenOf([tried])).toMatch(results)
  })
})
