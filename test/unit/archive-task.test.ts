import {
  BehaviorSubject,
  concat,
  defer,
  EMPTY,
  from,
  ignoreElements,
  type Observable,
  of,
  Subject,
  VirtualTimeScheduler,
} from 'rxjs'
import { beforeEach, describe, expect, test } from 'vitest'
import type { FileFormat } from '../../src/codecs/archive/file-format.js'
import { type SinkContext, StreamRecord, silentLogger, type TopicPartition } from '../../src/model/index.js'
import { BlobFault } from '../../src/sinks/archive/blob-fault.js'
import type { Spools } from '../../src/sinks/archive/spool.js'
import { type ArchiveSettings, type ArchiveStore, ArchiveTask } from '../../src/sinks/archive/task.js'
import { TaskStores } from '../../src/state/index.js'

const day = 86_400_000
const topic = 'events'

interface Event {
  readonly id: string
  readonly at: number
  readonly version: string
}

const scheduler = { current: new VirtualTimeScheduler() }
const state$ = new BehaviorSubject<ArchiveStore['state']>({ state: 'closed' })
const interrupted$ = new Subject<void>()
let leaving: readonly TopicPartition[] = []
let files = new Map<string, string>()
let stores = new TaskStores()
let rejected: string[] = []
/** How often stores were opened, and closed. */
let [opened, closed] = [0, 0]

const text: FileFormat = {
  extension: 'txt',
  open() {
    const rows: string[] = []
    return {
      add(row) {
        if (row.id === 'bad') throw new TypeError('no such row')
        rows.push(row.id)
      },
      get buffered() {
        return rows.join('').length
      },
      isReady: false,
      take: () => EMPTY,
      end: () => defer(() => of(Buffer.from(rows.join('')))),
    }
  },
}

const spools: Spools = {
  open() {
    let content = Buffer.alloc(0)
    return {
      get bytes() {
        return content.length
      },
      append: (pieces$) => void pieces$.subscribe((piece) => (content = Buffer.concat([content, piece]))),
      flush: () => EMPTY,
      readAt: (offset) => (offset < content.length ? of(content.subarray(offset)) : EMPTY),
      remove: () => undefined,
    }
  },
}

const store: ArchiveStore = {
  get state() {
    return state$.value
  },
  state$,
  create(name) {
    let content = ''
    const away$ = state$.pipe(ignoreElements())
    const write = (work: () => void): Observable<never> =>
      defer(() => {
        if (state$.value.state !== 'closed') return away$
        work()
        return EMPTY
      })
    return {
      heldBytes: 0,
      write: (piece) => write(() => void (content += Buffer.from(piece).toString())),
      complete: () => write(() => void files.set(name, content)),
      abort: () => EMPTY,
    }
  },
  list: (prefix) =>
    from([...files].filter(([name]) => name.startsWith(prefix)).map(([name, { length }]) => ({ name, bytes: length }))),
  close: () => (closed++, EMPTY),
}

function taskOf(given: Partial<ArchiveSettings> = {}, ...partitions: number[]): ArchiveTask {
  const settings: ArchiveSettings = {
    name: 'archive',
    maxBytes: 1_000,
    maxRecords: 1_000,
    everyMs: 60_000,
    maxBuffered: 1e9,
    maxWaiting: 1e9,
    format: text,
    rowOf: ({ value, origin }) => ({ ...(value as Event), ...origin, source: '/', type: 't' }),
    timeOf: (row) => (row as unknown as Event).at,
    versionOf: (row) => (row as unknown as Event).version,
    ...given,
  }
  const context = {
    clock: { now: () => 0, scheduler: scheduler.current },
    log: silentLogger,
    time: { told: () => [] },
    store: (name: string, codec: never) => stores.declare(name, codec),
    reject: ({ value }: StreamRecord) => rejected.push((value as Event).id),
    leaving: () => leaving,
    interrupted$,
  } as unknown as SinkContext
  const task = new ArchiveTask(settings, () => (opened++, store), spools, context)
  task.lifetime$.subscribe()
  task.open().subscribe()
  for (const partition of [0, ...partitions]) stores.assign({ topic, partition, generation: 1, sequence: 0 })
  return task
}

beforeEach(() => {
  scheduler.current = new VirtualTimeScheduler()
  state$.next({ state: 'closed' })
  leaving = []
  files = new Map()
  stores = new TaskStores()
  rejected = []
  opened = closed = 0
})

const record = (offset: number, { id = String(offset), at = 0, version = 'v1', partition = 0 } = {}) =>
  new StreamRecord<Event>(null, { id, at, version }, 0, [], { topic, partition, offset })

/** An epoch and its commit. Returns whether it has ended. */
function epoch(task: ArchiveTask, ...records: StreamRecord[]): boolean {
  let isOver = false
  concat(task.write(from(records)), task.committed()).subscribe({ complete: () => (isOver = true) })
  return isOver
}

const names = () => [...files.keys()].map((name) => name.replace(/\d{8}T\d{9}Z_/, ''))

function wait(ms: number): void {
  scheduler.current.schedule(() => undefined, ms)
  scheduler.current.flush()
}

describe('a file is cut', () => {
  test('by how many records it has', () => {
    const task = taskOf({ maxRecords: 2 })
    epoch(task, ...[0, 1, 2, 3, 4].map((offset) => record(offset)))
    expect([...files]).toEqual([
      ['events/v1/dt=1970-01-01/pid=0/19700101T000000000Z_offset0_count2.txt', '01'],
      ['events/v1/dt=1970-01-01/pid=0/19700101T000000000Z_offset2_count2.txt', '23'],
    ])
    expect(task.holds({ topic, partition: 0 })).toBe(0)
    epoch(task)
    expect(task.holds({ topic, partition: 0 })).toBe(4)
  })

  test('by its size', () => {
    epoch(taskOf({ maxBytes: 6 }), record(0, { id: 'aaaa' }), record(1, { id: 'bbbb' }), record(2))
    expect(names()).toEqual(['events/v1/dt=1970-01-01/pid=0/offset0_count2.txt'])
  })

  test('by its age, whether or not anything comes', () => {
    const task = taskOf()
    epoch(task, record(0))
    wait(59_999)
    epoch(task, record(1))
    expect(names()).toEqual([])
    wait(1)
    epoch(task)
    expect(names()).toEqual(['events/v1/dt=1970-01-01/pid=0/offset0_count2.txt'])
  })

  test('when its partition goes to another task, and no other with it', () => {
    const task = taskOf({}, 1)
    leaving = [{ topic, partition: 1 }]
    epoch(task, record(0), record(7, { partition: 1 }))
    expect(names()).toEqual(['events/v1/dt=1970-01-01/pid=1/offset7_count1.txt'])
  })

  test('when it is the largest, and there is more in memory than may be', () => {
    const large = 'x'.repeat(1 << 20)
    const task = taskOf({ maxBytes: 1e9, maxBuffered: 100 }, 1)
    epoch(task, record(0, { partition: 1 }), record(0, { id: large }), record(1), record(1, { partition: 1 }))
    expect(names()).toEqual(['events/v1/dt=1970-01-01/pid=0/offset0_count1.txt'])
  })

  test('between records, however many events one of them has', () => {
    const task = taskOf({ maxRecords: 2 })
    epoch(task, record(0), record(1, { id: 'a' }), record(1, { id: 'b' }), record(1, { id: 'c' }), record(2))
    expect([...files.values()]).toEqual(['0abc'])
  })
})

test('days and versions that interleave have files of their own', () => {
  const task = taskOf({ maxRecords: 2 })
  const of = (offset: number, at: number, version = 'v1') => record(offset, { at, version })
  epoch(task, of(0, 0), of(1, day), of(2, 0, '../v2'), of(3, 5), of(4, day + 7), of(5, 1, '../v2'))
  expect([...files]).toEqual([
    ['events/v1/dt=1970-01-01/pid=0/19700101T000000000Z_offset0_count2.txt', '03'],
    ['events/v1/dt=1970-01-02/pid=0/19700102T000000000Z_offset1_count2.txt', '14'],
    ['events/%2E.%2Fv2/dt=1970-01-01/pid=0/19700101T000000000Z_offset2_count2.txt', '25'],
  ])
})

test('nothing is stored before its cut is committed', () => {
  const task = taskOf({ maxRecords: 1 })
  task.write(of(record(0))).subscribe()
  expect(names()).toEqual([])
  task.committed().subscribe()
  expect(names()).toEqual(['events/v1/dt=1970-01-01/pid=0/offset0_count1.txt'])
})

test('what an epoch that failed had taken in is forgotten', () => {
  const task = taskOf({ maxRecords: 2 })
  task.write(of(record(0))).subscribe()
  epoch(task, record(0), record(1))
  expect([...files.values()]).toEqual(['01'])
})

test('a record that the format does not take is rejected, and the others are written', () => {
  epoch(taskOf({ maxRecords: 2 }), record(0), record(1, { id: 'bad' }), record(2))
  expect(rejected).toEqual(['bad'])
  expect([...files.values()]).toEqual(['02'])
})

describe('as long as the store takes nothing', () => {
  const error = new BlobFault('WEIR_BLOB_UNREACHABLE', 'asking the store: it does not answer')

  test('an epoch waits, the flow is in trouble, and all goes on when it is back', () => {
    const task = taskOf({ maxRecords: 1 })
    state$.next({ state: 'open', since: 0, error })
    expect(task.trouble()).toBe(error)
    let isOver = false
    task.write(of(record(0))).subscribe({ complete: () => (isOver = true) })
    expect(isOver).toBe(false)
    state$.next({ state: 'closed' })
    expect([isOver, task.trouble()]).toEqual([true, undefined])
    task.committed().subscribe()
    expect([...files.values()]).toEqual(['0'])
  })

  test('an epoch goes on where nobody asks it: the next upload finds out how it is', () => {
    const task = taskOf({ maxRecords: 1 })
    state$.next({ state: 'half-open', since: 0, error })
    expect(task.trouble()).toBe(error)
    expect(epoch(task, record(0))).toBe(true)
  })

  test('who begins anew has a store of its own, that knows nothing of that', () => {
    const task = taskOf({ maxRecords: 1 })
    state$.next({ state: 'open', since: 0, error })
    expect(task.trouble()).toBe(error)
    task.close().subscribe()
    expect([closed, task.trouble()]).toEqual([1, undefined])
    state$.next({ state: 'closed' })
    task.open().subscribe()
    expect(epoch(task, record(0))).toBe(true)
    expect([opened, [...files.values()]]).toEqual([2, ['0']])
  })

  test('an epoch ends all the same when the task has something else to do', () => {
    const task = taskOf()
    state$.next({ state: 'open', since: 0, error })
    let isOver = false
    task.write(of(record(0))).subscribe({ complete: () => (isOver = true) })
    interrupted$.next()
    expect(isOver).toBe(true)
  })

  test('a partition that leaves is not kept for longer than ten seconds', () => {
    const task = taskOf()
    task.write(EMPTY).subscribe()
    leaving = [{ topic, partition: 0 }]
    let isOver = false
    task.write(of(record(0))).subscribe()
    state$.next({ state: 'open', since: 0, error })
    task.committed().subscribe({ complete: () => (isOver = true) })
    expect(isOver).toBe(false)
    wait(10_000)
    expect(isOver).toBe(true)
  })
})
