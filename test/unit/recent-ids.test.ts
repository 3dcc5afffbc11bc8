import { expect, test } from 'vitest'
import type { StoreCodec } from '../../src/model/index.js'
import { RecentIds } from '../../src/sources/internal/recent-ids.js'
import { TaskStores } from '../../src/state/index.js'

const partition = { topic: 'ids', partition: 0 }
const idCodec: StoreCodec<true> = { version: 1, save: (value) => value, load: () => true }

function open(): { readonly ids: RecentIds<true>; readonly stores: TaskStores } {
  const stores = new TaskStores()
  const ids = new RecentIds(stores.declare('ids', idCodec), partition)
  stores.assign({ ...partition, generation: 1, sequence: 0, progress: undefined })
  return { ids, stores }
}

test('the newest 100,000 ids are known, and not many more', () => {
  const { ids } = open()
  for (let id = 0; id < 350_000; id++) ids.add(String(id), true)
  const isKnown = (id: number) => ids.get(String(id)) === true
  expect([349_999, 300_000, 250_000].map(isKnown)).toEqual([true, true, true])
  expect([0, 149_999].map(isKnown)).toEqual([false, false])
})

test('those of what was emitted are known to the next process, again the newest 100,000', () => {
  const first = open()
  for (let offset = 0; offset < 135_000; offset++) first.ids.emit(offset, `id-${offset}`, true)
  const { chunks } = first.stores.commit({ ...partition, offset: 135_000 }, {})
  const second = open()
  for (const bytes of chunks) second.stores.restore(partition, { sequence: 1, bytes })
  second.ids.load()
  expect([134_999, 100_000, 35_000].map((offset) => second.ids.get(`id-${offset}`))).toEqual([true, true, true])
  expect([0, 19_999].map((offset) => second.ids.get(`id-${offset}`))).toEqual([undefined, undefined])
})
