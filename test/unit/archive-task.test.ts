import {
  BehaviorSubject,
  concat,
  defer,
  EMPTY,
  filter,
  from,
  ignoreElements,
  NEVER,
  type Observable,
  of,
  Subject,
  take,
  takeWhile,
  tap,
  throwError,
  VirtualTimeScheduler,
} from 'rxjs'
import { beforeEach, describe, expect, test } from 'vitest'
import type { FileFormat } from '../../src/codecs/archive/file-format.js'
import { type SinkContext, StreamRecord, type TopicPartition } from '../../src/model/index.js'
import { BlobFault } from '../../src/sinks/archive/blob-fault.js'
import type { Cut } from '../../src/sinks/archive/cut.js'
import { Meter } from '../../src/sinks/archive/meter.js'
import type { Spools } from '../../src/sinks/archive/spool.js'
import { type ArchiveSettings, type ArchiveStore, ArchiveTask } from '../../src/sinks/archive/task.js'
import { TaskStores } from '../../src/state/index.js'
import { listLog } from '../support/list-log.js'

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
let kept: unknown
/** What others have left behind in the store, and what of it was thrown away. */
let [leftBehind, swept]: [string[], string[]] = [[], []]
/** What comes of a file that is begun, and of one that is given up. */
let refused: BlobFault | undefined
let aborted$: Observable<never> = EMPTY
/** Of the spools. */
const disk$ = new BehaviorSubject<Spools['state']>({ state: 'closed' })
const log = listLog()
let made: object[] = []
/** What tells the topic from others of its name, where that is known. */
let topicId: string | undefined
/** What becomes of each file, if it is not stored. */
let failing: Error | undefined
let now = 0
/** How often stores were opened, and closed. */
let [opened, closed] = [0, 0]

const text: FileFormat = {
  extension: 'txt',
  codec: 'none',
  emptyBytes: 0,
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
  get state() {
    return disk$.value
  },
  close: () => undefined,
  open() {
    let content = Buffer.alloc(0)
    return {
      get bytes() {
        return content.length
      },
      append: (pieces$) => void pieces$.subscribe((piece) => (content = Buffer.concat([content, piece]))),
      flush: () =>
        disk$.pipe(
          takeWhile(({ state }) => state !== 'closed'),
          ignoreElements(),
        ),
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
    if (refused !== undefined) throw refused
    let content = ''
    const write = (work: () => void): Observable<never> =>
      defer(() => {
        if (failing !== undefined) throw failing
        return state$.pipe(
          filter(({ state }) => state === 'closed'),
          take(1),
          tap(work),
          ignoreElements(),
        )
      })
    return {
      heldBytes: 0,
      write: (piece) => write(() => void (content += Buffer.from(piece).toString())),
      complete: () =>
        write(() => {
          const found = files.get(name)
          if (found !== undefined && found !== content) throw new BlobFault('WEIR_BLOB_CONFLICT', 'another')
          files.set(name, content)
        }),
      abort: () => aborted$,
    }
  },
  list: (prefix) =>
    from([...files].filter(([name]) => name.startsWith(prefix)).map(([name, { length }]) => ({ name, bytes: length }))),
  read: () => EMPTY,
  sweep: (before, isOurs = () => true) =>
    from(leftBehind.filter(isOurs)).pipe(tap((name) => void swept.push(`${name} of before ${before}`))),
  close: () => (closed++, EMPTY),
}

function taskOf(given: Partial<ArchiveSettings> = {}, ...partitions: number[]): ArchiveTask {
  const task = heirOf(given)
  for (const partition of [0, ...partitions]) stores.assign({ topic, partition, generation: 1, sequence: 0 })
  return task
}

/** Goes on with what was committed last. */
function heirOf(given: Partial<ArchiveSettings> = {}): ArchiveTask {
  const settings: ArchiveSettings = {
    name: 'archive',
    maxBytes: 1_000,
    maxRecords: 1_000,
    everyMs: 60_000,
    maxBuffered: 1e9,
    maxWaiting: 1e9,
    format: text,
    formatOf: () => text,
    isDecided: () => of(true),
    haveSameRecords: () => of(false),
    rowOf: ({ value, origin, timestamp }) => ({ ...(value as Event), ...origin, timestamp, source: '/', type: 't' }),
    timeOf: (row) => (row as unknown as Event).at,
    versionOf: (row) => (row as unknown as Event).version,
    ...given,
  }
  const context = {
    clock: { now: () => now, scheduler: scheduler.current },
    log,
    time: { told: () => [{ topic, partition: 0, id: topicId }] },
    store: (name: string, codec: never) => (kept ??= stores.declare(name, codec)),
    reject: ({ value }: StreamRecord) => rejected.push((value as Event).id),
    leaving: () => leaving,
    interrupted$,
    made: (row: object) => made.push(row),
  } as unknown as SinkContext
  const task = new ArchiveTask(
    settings,
    () => (opened++, store),
    () => spools,
    context,
    new Meter('file'),
  )
  task.lifetime$.subscribe()
  task.open().subscribe()
  return task
}

beforeEach(() => {
  scheduler.current = new VirtualTimeScheduler()
  state$.next({ state: 'closed' })
  leaving = []
  files = new Map()
  stores = new TaskStores()
  kept = undefined
  rejected = []
  ;[leftBehind, swept] = [[], []]
  refused = undefined
  aborted$ = EMPTY
  disk$.next({ state: 'closed' })
  log.lines.length = 0
  made = []
  topicId = undefined
  failing = undefined
  now = 0
  opened = closed = 0
})

const record = (offset: number, { id = String(offset), at = 0, version = 'v1', partition = 0, timestamp = 0 } = {}) =>
  new StreamRecord<Event>(null, { id, at, version }, timestamp, [], { topic, partition, offset })

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

  test('when there are so many that their buffers alone are more than may be in memory', () => {
    const wide = { ...text, emptyBytes: 1 << 20 }
    const records = ['a', 'b', 'c', 'd', 'e'].map((version, offset) => record(offset, { version }))
    epoch(taskOf({ format: wide, maxBuffered: 7 << 19 }), ...records)
    expect(names().length).toBe(1)
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

  test('an epoch waits for those who ask it whether it is back', () => {
    const task = taskOf({ maxRecords: 1 })
    state$.next({ state: 'half-open', since: 0, error })
    expect(epoch(task, record(0))).toBe(true)
    state$.next({ state: 'open', since: 0, error })
    let isOver = false
    task.write(of(record(1))).subscribe({ complete: () => (isOver = true) })
    state$.next({ state: 'half-open', since: 0, error })
    expect(isOver).toBe(false)
    state$.next({ state: 'closed' })
    expect(isOver).toBe(true)
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

describe('as long as the disk of the spool is full', () => {
  const error = new BlobFault('WEIR_BLOB_REFUSED', 'keeping what waits: no space left')

  test('an epoch waits, the flow is in trouble, and all goes on when there is space', () => {
    const task = taskOf({ maxRecords: 1 })
    disk$.next({ state: 'open', since: 0, error })
    expect(task.trouble()).toBe(error)
    let isOver = false
    task.write(of(record(0))).subscribe({ complete: () => (isOver = true) })
    expect(isOver).toBe(false)
    disk$.next({ state: 'closed' })
    expect([isOver, task.trouble()]).toEqual([true, undefined])
  })

  test('an epoch ends all the same when the task has something else to do', () => {
    const task = taskOf()
    disk$.next({ state: 'open', since: 0, error })
    let isOver = false
    task.write(of(record(0))).subscribe({ complete: () => (isOver = true) })
    interrupted$.next()
    expect(isOver).toBe(true)
  })
})

describe('a file that was decided on and not stored', () => {
  /** Decides on files, and dies before they are stored. */
  function die(given: Partial<ArchiveSettings>, ...records: StreamRecord[]): void {
    const task = taskOf(given)
    state$.next({ state: 'half-open', since: 0, error: new BlobFault('WEIR_BLOB_UNREACHABLE', 'away') })
    epoch(task, ...records)
    task.close().subscribe()
    state$.next({ state: 'closed' })
    expect(names()).toEqual([])
  }

  test('is made again as it was to be, whatever the next configuration says', () => {
    die({ maxRecords: 2 }, record(0), record(1))
    const other: FileFormat = { ...text, extension: 'other', codec: 'tight' }
    const asked: unknown[] = []
    const formatOf = ({ name, codec }: Cut) => {
      asked.push([name.replace(/.*\./, ''), codec])
      return text
    }
    const heir = heirOf({ maxRecords: 2, format: other, formatOf })
    epoch(heir, record(0), record(1), record(2), record(3))
    expect(asked).toEqual([['txt', 'none']])
    expect(names()).toEqual([
      'events/v1/dt=1970-01-01/pid=0/offset0_count2.txt',
      'events/v1/dt=1970-01-01/pid=0/offset2_count2.other',
    ])
  })

  test('holds its partition back no longer than its records may come, whatever folder the next ones are of', () => {
    die({ maxRecords: 2 }, record(0), record(1))
    const heir = heirOf({ maxRecords: 2 })
    // Record 0 is gone from the topic.
    epoch(heir, record(1), record(2, { at: day }))
    expect(names()).toEqual(['events/v1/dt=1970-01-01/pid=0/offset1_count1.txt'])
    epoch(heir)
    expect(heir.holds({ topic, partition: 0 })).toBe(2)
    expect(log.lines).toEqual([expect.stringMatching(/^error: .*offset0_count2.txt' can't be made again/)])
  })

  test('is not taken for stored where something else lies under its name, by whoever goes on', () => {
    const at = 'events/v1/dt=1970-01-01/pid=0/19700101T000000000Z_offset0_count1.txt'
    files.set(at, 'foreign')
    const failing = (task: ArchiveTask) => {
      let fault: unknown
      const epochs = [of(record(0)), EMPTY, EMPTY].map((records$) => concat(task.write(records$), task.committed()))
      concat(...epochs).subscribe({ error: (error: unknown) => (fault = error) })
      expect(fault).toMatchObject({ code: 'WEIR_BLOB_CONFLICT' })
    }
    failing(taskOf({ maxRecords: 1 }))
    failing(heirOf({ maxRecords: 1 }))
    expect(files.get(at)).toBe('foreign')
    files.delete(at)
    epoch(heirOf({ maxRecords: 1 }), record(0))
    expect(files.get(at)).toBe('0')
  })
})

describe('what is kept of a partition', () => {
  /** Its first record waits, those behind are stored; and then somebody else goes on, who cuts files otherwise. */
  function goOn(...ids: readonly (string | undefined)[]): string[] {
    const [open, ...stored] = [record(0, { version: 'v2' }), record(1), record(2)] as const
    taskOf()
    ids.forEach((id, index) => {
      topicId = id
      epoch(heirOf({ maxRecords: index === 0 ? 2 : 1 }), ...(index === 0 ? [open, ...stored] : stored))
    })
    return names().filter((name) => name.includes('/v1/'))
  }
  const once = ['events/v1/dt=1970-01-01/pid=0/offset1_count2.txt']

  test.each([
    ['when its topic is the same', ['a', 'a']],
    ['when what its topic is was not known', [undefined, 'a']],
    ['when it is not known', ['a', undefined]],
    ['when it was not known in between', ['a', undefined, 'a']],
  ])('is kept %s', (_, ids) => {
    expect(goOn(...ids)).toEqual(once)
  })

  test('is forgotten when another topic has its name', () => {
    expect(goOn('a', undefined, 'b')).toEqual([
      ...once,
      ...[1, 2].map((at) => `${once[0]?.slice(0, -12)}${at}_count1.txt`),
    ])
  })
})

describe('what lies under the name of a file that was decided on', () => {
  const at = 'events/v1/dt=1970-01-01/pid=0/19700101T000000000Z_offset0_count1.txt'

  /** A file is decided on, and something is put there before anybody has stored it. */
  function overtaken(by: string): void {
    const task = taskOf({ maxRecords: 1 })
    state$.next({ state: 'half-open', since: 0, error: new BlobFault('WEIR_BLOB_UNREACHABLE', 'away') })
    epoch(task, record(0))
    task.close().subscribe()
    files.set(at, by)
    state$.next({ state: 'closed' })
  }

  test('is not taken for the file because it is there', () => {
    overtaken('foreign')
    const heir = heirOf({ maxRecords: 1, isDecided: () => of(false) })
    epoch(heir, record(0))
    expect(heir.holds({ topic, partition: 0 })).toBe(0)
    let fault: unknown
    heir.write(EMPTY).subscribe({ error: (error: unknown) => (fault = error) })
    expect(fault).toMatchObject({ code: 'WEIR_BLOB_CONFLICT' })
    expect(files.get(at)).toBe('foreign')
  })

  test('is the file where it has its records, in whatever bytes', () => {
    overtaken('other bytes')
    const heir = heirOf({ maxRecords: 1, isDecided: () => of(false), haveSameRecords: () => of(true) })
    epoch(heir, record(0))
    epoch(heir)
    expect(heir.holds({ topic, partition: 0 })).toBeUndefined()
    expect([...files]).toEqual([[at, 'other bytes']])
    expect(log.lines).toEqual([expect.stringMatching(/^info: .*offset0_count1.txt' is there with the same records/)])
  })

  test('is looked at no longer than until the task has something else to do', () => {
    overtaken('foreign')
    const heir = heirOf({ maxRecords: 1, isDecided: () => NEVER })
    let isOver = false
    heir.write(EMPTY).subscribe({ complete: () => (isOver = true) })
    expect(isOver).toBe(false)
    interrupted$.next()
    expect(isOver).toBe(true)
  })
})

describe('an epoch ends, and not the flow, with', () => {
  test('a file that no store takes', () => {
    const task = taskOf({ maxRecords: 1 })
    refused = new BlobFault('WEIR_BLOB_NAME', 'no such name')
    epoch(task, record(0))
    let error: unknown
    task.write(EMPTY).subscribe({ error: (thrown: unknown) => (error = thrown) })
    expect(error).toBe(refused)
    refused = undefined
    epoch(task, record(0))
    expect([...files.values()]).toEqual(['0'])
  })

  test('an upload that is given up, and of which the store does not want to hear', () => {
    const task = taskOf({ maxRecords: 1 })
    state$.next({ state: 'half-open', since: 0, error: new BlobFault('WEIR_BLOB_UNREACHABLE', 'away') })
    epoch(task, record(0))
    aborted$ = throwError(() => new BlobFault('WEIR_BLOB_UNREACHABLE', 'away'))
    task.write(throwError(() => new Error('read'))).subscribe({ error: () => undefined })
    task.write(EMPTY).subscribe()
    state$.next({ state: 'closed' })
    epoch(task, record(0))
    expect([...files.values()]).toEqual(['0'])
  })
})

test('that there are more files at once than can be meant is told once', () => {
  const task = taskOf()
  for (const start of [0, 1_001]) {
    epoch(task, ...Array.from({ length: 1_001 }, (_, n) => record(start + n, { version: String(n) })))
    expect(log.lines).toEqual([expect.stringMatching(/^warn: archiving: 1001 files are filled at once/)])
  }
})

test('what was left behind in the store is thrown away after a day, and then each day, and nothing of others', () => {
  const ours = 'events/v1/dt=2025-12-21/pid=7/20251221T101500123Z_offset42_count1000.txt'
  leftBehind = [ours, 'events/v1/dt=2025-12-21/pid=7/.weir-1.part', 'backup/of-others.tar']
  const task = taskOf()
  epoch(task)
  const thrown = leftBehind.slice(0, 2).map((name) => `${name} of before ${-day}`)
  expect(swept).toEqual(thrown)
  wait(day - 1)
  epoch(task)
  expect(swept).toEqual(thrown)
  wait(1)
  epoch(task)
  expect(swept).toEqual([...thrown, ...thrown])
})

describe('it measures', () => {
  /** Readings as `name{label=value}: number`. */
  function measured(task: ArchiveTask): Record<string, number> {
    const readings = task.metrics().map(({ metric, labels = {}, value }) => {
      const by = Object.values(labels).join(',')
      return [`${metric.name}{${by}}`, typeof value === 'number' ? value : value.count] as const
    })
    return Object.fromEntries(readings)
  }

  test('what it has in memory and on disk, and how much more it takes', () => {
    const task = taskOf({ maxBuffered: 10, maxWaiting: 8, maxRecords: 2 })
    epoch(task, record(0, { id: 'aaa' }))
    expect(measured(task)).toMatchObject({
      'archive_buffer_bytes{memory}': 3,
      'archive_buffer_bytes{waiting}': 0,
      'archive_buffer_utilisation_ratio{memory}': 0.3,
    })
    const error = new BlobFault('WEIR_BLOB_UNREACHABLE', 'asking the store: it does not answer')
    state$.next({ state: 'half-open', since: 0, error })
    epoch(task, record(1, { id: 'b' }))
    expect(measured(task)).toMatchObject({
      'archive_buffer_bytes{memory}': 0,
      'archive_buffer_bytes{waiting}': 4,
      'archive_buffer_utilisation_ratio{waiting}': 0.5,
      'archive_breaker_state{file,half-open}': 1,
      'archive_breaker_state{file,closed}': 0,
    })
    state$.next({ state: 'closed' })
    expect(measured(task)).toMatchObject({
      'archive_buffer_bytes{waiting}': 0,
      'archive_files_total{file}': 1,
      'archive_records_total{file}': 2,
      'archive_bytes_total{file}': 4,
      'archive_write_duration_seconds{file}': 1,
      'archive_breaker_state{file,closed}': 1,
      'archive_breaker_state{spool,closed}': 1,
    })
    disk$.next({ state: 'open', since: 0, error })
    expect(measured(task)['archive_breaker_state{spool,open}']).toBe(1)
  })

  test('how old the oldest record is that is not stored, be it in memory or on its way', () => {
    const task = taskOf({ maxRecords: 2 })
    const age = () => measured(task)['archive_unstored_age_seconds{}']
    now = 100_000
    expect(age()).toBe(0)
    epoch(task, record(0, { timestamp: 70_000 }), record(1, { timestamp: 80_000, version: 'v2' }))
    expect(age()).toBe(30)
    state$.next({ state: 'half-open', since: 0, error: new BlobFault('WEIR_BLOB_REFUSED', 'no') })
    epoch(task, record(2, { timestamp: 90_000 }))
    now = 110_000
    expect(age()).toBe(40)
    state$.next({ state: 'closed' })
    expect(age()).toBe(30)
  })

  test.each([
    ['without a time waits since it was read', -1, 5],
    ['of tomorrow has not waited', 999_000, 0],
  ])('a record %s', (_, timestamp, seconds) => {
    const task = taskOf()
    now = 110_000
    epoch(task, record(0, { timestamp }))
    now = 115_000
    expect(measured(task)['archive_unstored_age_seconds{}']).toBe(seconds)
  })

  test('nothing of partitions that it has no longer', () => {
    const task = taskOf({}, 1)
    epoch(task, record(0, { id: 'a' }), record(0, { id: 'bb', partition: 1 }))
    stores.release([{ topic, partition: 1 }])
    expect(measured(task)['archive_buffer_bytes{memory}']).toBe(1)
  })

  test('files that can not be stored, by why', () => {
    const task = taskOf({ maxRecords: 1 }, 1)
    failing = new BlobFault('WEIR_BLOB_CONFLICT', 'something else lies there')
    task.write(of(record(0), record(0, { partition: 1 }))).subscribe()
    task.committed().subscribe()
    expect(measured(task)).toMatchObject({
      'archive_failures_total{file,WEIR_BLOB_CONFLICT}': 2,
      'archive_failures_total{file,WEIR_BLOB_UNREACHABLE}': 0,
      'archive_failures_total{file,other}': 0,
      'archive_files_total{file}': 0,
    })
    failing = new Error('a bug')
    stores = new TaskStores()
    kept = undefined
    const other = taskOf({ maxRecords: 1 })
    epoch(other, record(0))
    expect(measured(other)['archive_failures_total{file,other}']).toBe(1)
  })

  test('and tells who watches of each file', () => {
    epoch(taskOf({ maxRecords: 2 }), record(0), record(1))
    const file = 'events/v1/dt=1970-01-01/pid=0/19700101T000000000Z_offset0_count2.txt'
    expect(made).toEqual([{ file, records: 2, bytes: 2 }])
  })
})
