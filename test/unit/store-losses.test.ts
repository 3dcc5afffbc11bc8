import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { StoreLosses } from '../../src/engine/store-losses.js'
import { type Logger, StreamRecord, silentLogger } from '../../src/model/index.js'
import { TaskStores } from '../../src/state/index.js'

const here = { topic: 't', partition: 0 }

test('a store that is full is told of at once, and then once a minute while it goes on', () => {
  let now = 5
  const told: string[] = []
  const log: Logger = { ...silentLogger, warn: (...said: unknown[]) => void told.push(String(said.at(-1))) }
  const stores = new TaskStores()
  const store = stores.declare('users', { version: 1, save: () => 0, load: () => 0 }, { maxKeys: 1 })
  const scheduler = Object.assign(new VirtualTimeScheduler(), { now: () => now })
  // The wall clock was set back meanwhile.
  const losses = new StoreLosses(stores, { now: () => -now, scheduler }, log)
  stores.assign({ ...here, generation: 1, sequence: 0 })
  let keys = 0
  const epoch = (added: number) => {
    for (let each = 0; each < added; each++)
      store.for(new StreamRecord(null, 0, 0, [], { ...here, offset: 0 })).add(0, keys++, 0)
    stores.commit({ ...here, offset: 0 }, {})
    losses.committed()
  }
  epoch(1)
  expect(told).toEqual([])
  epoch(2)
  now += 30_000
  epoch(3)
  now += 30_000
  epoch(4)
  now += 60_000
  epoch(0)
  expect(told).toEqual([
    "the store 'users' is full: 2 keys, those touched longest ago, are gone",
    "the store 'users' is full: 7 keys, those touched longest ago, are gone",
  ])
  expect(losses.all).toEqual([{ store: 'users', expired: 0, evicted: 9 }])
})
