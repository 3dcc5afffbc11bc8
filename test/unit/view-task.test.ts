import { defer, from, ignoreElements, NEVER, type Observable, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { EventTime } from '../../src/engine/event-time.js'
import {
  type SinkContext,
  StreamRecord,
  silentLogger,
  type ViewStorage,
  type ViewWrite,
} from '../../src/model/index.js'
import type { ViewEntry } from '../../src/sinks/view/entries.js'
import { ViewTask } from '../../src/sinks/view/task.js'
import { MemoryViews, TaskStores } from '../../src/state/index.js'

const here = { topic: 't', partition: 0 }

/** A view in one of so many partitions: what it writes of epochs, and how often it has begun to follow others. */
function viewOf(total = 1) {
  const scheduler = new VirtualTimeScheduler(undefined, 0)
  const clock = { now: () => scheduler.now(), scheduler }
  const [stores, time, kept] = [new TaskStores(), new EventTime(clock), new MemoryViews()]
  const writes: ViewWrite[] = []
  const others = { followed: 0 }
  const views: ViewStorage = {
    open: () => kept.open(),
    claim: (claim) => kept.claim(claim),
    write: (write) => defer(() => (writes.push(write), kept.write(write))),
    read: (view) => kept.read(view),
    follow: () => defer(() => (others.followed++, NEVER)),
  }
  const around = { app: 'app', flow: 'flow', stage: 'view', clock, log: silentLogger, http: { serve: () => NEVER } }
  const context = { ...around, time, views, joins: false, store: stores.declare.bind(stores) } as unknown as SinkContext
  const entries = (entry: ViewEntry) => entry
  const task = new ViewTask({ path: '/stats', entries, storage: 'memory', name: 'view' }, context)
  stores.assign({ ...here, generation: 1, sequence: 0, progress: undefined })
  time.assigned(0, [here], total)
  time.assign({ ...here, generation: 1 }, undefined)
  task.lifetime$.subscribe()
  const done = (work$: Observable<unknown>) => void work$.pipe(ignoreElements()).subscribe()
  return {
    others,
    /** An epoch at that time, ms, by the clock and by its records. */
    epoch(at: number, ...made: Omit<ViewEntry, 'table'>[]): Pick<ViewWrite, 'replaces' | 'rows' | 'removed'>[] {
      scheduler.maxFrames = at
      scheduler.flush()
      scheduler.frame = at
      time.observe('t', 0, at)
      const origin = { ...here, offset: 0 }
      done(task.write(from(made.map((entry) => new StreamRecord(null, { table: 't', ...entry }, at, [], origin)))))
      stores.commit({ ...here, offset: 0 }, {})
      done(task.committed())
      return writes.splice(0).map(({ replaces, rows, removed }) => ({ replaces, rows, removed }))
    },
  }
}

const row = (key: string, value: number) => ({ table: 't', key, value })

test('only what has changed is written, also where it is looked whether the storage still has the rest', () => {
  const { epoch } = viewOf()
  expect(epoch(0, { key: 'a', value: 1 })).toEqual([{ replaces: true, rows: [row('a', 1)], removed: [] }])
  expect(epoch(1_000)).toEqual([])
  expect(epoch(9_000, { key: 'b', value: 2 })).toEqual([{ replaces: false, rows: [row('b', 2)], removed: [] }])
})

test('of the values that a key gets in one epoch the one that goes leaves the one that lasts', () => {
  const { epoch } = viewOf()
  expect(epoch(0, { key: 'a', value: 1 }, { key: 'a', value: 2, expires: 20 })).toMatchObject([{ rows: [row('a', 2)] }])
  expect(epoch(19)).toEqual([])
  expect(epoch(20)).toMatchObject([{ rows: [row('a', 1)], removed: [] }])
})

test('others are followed where they have partitions, and where no epoch has run for 5 s', () => {
  const [alone, shared] = [viewOf(1), viewOf(2)]
  for (let at = 0; at <= 3_000; at += 100) for (const { epoch } of [alone, shared]) epoch(at)
  expect([alone.others.followed, shared.others.followed]).toEqual([0, 1])
  alone.epoch(9_000)
  expect(alone.others.followed).toBe(1)
})
