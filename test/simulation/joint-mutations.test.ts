import { defer, ignoreElements, merge, type Observable, Subject, tap } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import * as missing from '../../src/aggregates/internal/missing.js'
import { Assignment } from '../../src/engine/assignment.js'
import * as routing from '../../src/engine/branching.js'
import { EventTime } from '../../src/engine/event-time.js'
import { Inputs } from '../../src/engine/inputs.js'
import { Rejections } from '../../src/engine/rejections.js'
import { receive } from '../../src/engine/repartition/receive.js'
import { repartitionSink } from '../../src/engine/repartition/repartition-sink.js'
import { Supervision } from '../../src/engine/supervision.js'
import { FlowTask } from '../../src/engine/task.js'
import * as times from '../../src/engine/time-stages.js'
import {
  isSamePartition,
  type PartitionProgress,
  type Position,
  type SourceTask,
  StreamRecord,
  type TopicPartition,
  WeirError,
} from '../../src/model/index.js'
import { Place } from '../../src/operators/internal/groups.js'
import * as keyless from '../../src/operators/internal/keyless.js'
import * as packing from '../../src/state/packing.js'
import { TopicBeginning } from '../../src/state/topic-protocol/beginning.js'
import { Judgement } from '../../src/state/topic-protocol/judgement.js'
import { allDone, busy, firstBroken, results, sourceOf } from './mutants.js'
import { timed, windows } from './visits.js'

const twoResults = /^each group has one result a window/

/** The engine's own parts as they are inside. */
interface TaskInside {
  parts: { readonly pipeline: { readonly sources: readonly SourceTask[] } }
  commit(epoch: unknown): Observable<never>
}
const task = FlowTask.prototype as unknown as TaskInside

interface PartitionTimeInside {
  streamTime: number
  readonly idle: boolean
}
interface TimeInside {
  readonly times: { values(): Iterable<PartitionTimeInside> }
  readonly clock: { now(): number }
  lowest(): number
  passed(): number
  isIdle(time: PartitionTimeInside): boolean
  standing(time: PartitionTimeInside): number
}
interface Commits {
  readonly committed: { get(topic: string, partition: number): { readonly progress?: PartitionProgress } | undefined }
}
interface Chooses {
  readonly known: { readonly given: readonly Position[] }
  chosen(at: TopicPartition, group: readonly Position[]): Position | undefined
}
const eventTime = EventTime.prototype as unknown as TimeInside

afterEach(() => {
  vi.restoreAllMocks()
})

describe('nothing is lost between stages', busy, () => {
  test('records are routed before every branch has subscribed', () => {
    vi.spyOn(routing, 'branching').mockImplementation(
      (branches) => (records$) =>
        defer(() => {
          const lanes = branches.map(({ node, run }) => ({ node, run, given: new Subject<StreamRecord>() }))
          const laneOf = (record: StreamRecord) => lanes.find(({ node }) => node.when?.(record.value, record) ?? true)
          const routed$ = records$.pipe(
            tap({
              next: (record) => laneOf(record)?.given.next(record),
              complete: () => lanes.forEach(({ given }) => given.complete()),
            }),
            ignoreElements(),
          )
          return merge(...lanes.map(({ run, given }) => run(given)), routed$)
        }),
    )
    expect(firstBroken(/^a topic and a table/)).toMatch(/^no committed position is ahead/)
  })

  test('what goes to an internal topic that is being opened is lost', () => {
    const { build } = repartitionSink
    vi.spyOn(repartitionSink, 'build').mockImplementation((joint, context) => {
      const sink = build.call(repartitionSink, joint, context)
      const { write } = sink
      sink.write = (records$) =>
        defer(() => {
          const given = new Subject<StreamRecord>()
          const read$ = records$.pipe(tap(given), ignoreElements())
          return merge(write.call(sink, given), read$)
        })
      return sink
    })
    expect(firstBroken(/^(keyed|shared) windows/)).toMatch(/^(results|everything|no committed)/)
  })

  test('what is late is decided anew after a restart', () => {
    const { assign } = EventTime.prototype
    vi.spyOn(EventTime.prototype, 'assign').mockImplementation(function (this: EventTime, partition, progress) {
      assign.call(this, partition, progress && { ...progress, watermark: undefined })
    })
    expect(firstBroken(/dead letters of trailing|late records by key/)).toMatch(/./)
  })
})

describe('several inputs', busy, () => {
  test('each source is given the positions of all', () => {
    const { commit } = task
    vi.spyOn(task, 'commit').mockImplementation(function (this: TaskInside, epoch) {
      const { parts } = this
      const { sources } = parts.pipeline
      const all = () => sources.flatMap((source) => source.positions())
      const confused = sources.map((source) => sourceOf(source, { commit: () => source.commit(all()) }))
      this.parts = { ...parts, pipeline: { ...parts.pipeline, sources: confused } }
      try {
        return commit.call(this, epoch)
      } finally {
        this.parts = parts
      }
    })
    expect(firstBroken(/two topics/)).toMatch(/^a group is told of its own topics only/)
  })

  test('what was said last of the order of an input holds for all', () => {
    vi.spyOn(EventTime.prototype, 'ofInput').mockImplementation(function (this: EventTime) {
      return this
    })
    expect(firstBroken(/each in its own order/)).toMatch(results)
  })

  test('an input that is not assigned yet has no partitions', () => {
    vi.spyOn(Inputs.prototype, 'areKnown', 'get').mockReturnValue(true)
    vi.spyOn(Inputs.prototype, 'totalOf').mockImplementation(function (this: Inputs, input) {
      return (this as unknown as { totals: ReadonlyMap<number, number> }).totals.get(input) ?? 0
    })
    expect(firstBroken(/windows of two topics/)).toMatch(results)
  })

  test('what one input tells of its partitions is taken for all', () => {
    const { build } = receive
    vi.spyOn(receive, 'build').mockImplementation((options, context) => {
      return build.call(receive, { ...options, inputs: [options.inputs.flat()] }, context)
    })
    expect(firstBroken(/windows of two topics/)).toMatch(results)
  })

  test('where all partitions are idle, the one that is furthest ahead counts', () => {
    vi.spyOn(eventTime, 'lowest').mockImplementation(function (this: TimeInside) {
      const all = [...this.times.values()]
      const awaited = all.filter((time) => !this.isIdle(time)).map((time) => this.standing(time))
      return awaited.length > 0 ? Math.min(...awaited) : Math.max(...all.map((time) => this.standing(time)))
    })
    expect(firstBroken(/^windows of partitions that rest/)).toMatch(/./)
  })
})

describe('faults of records and systems', busy, () => {
  test('a record that is refused ends its epoch', () => {
    const { reject } = Rejections.prototype
    vi.spyOn(Rejections.prototype, 'reject').mockImplementation(function (this: Rejections, counts, _, ...given) {
      reject.call(this, counts, 'fail', ...given)
    })
    expect(firstBroken(/^refused/)).toMatch(allDone)
  })

  test('an outage is held against the records', () => {
    const { failed } = Supervision.prototype
    vi.spyOn(Supervision.prototype, 'failed').mockImplementation(function (this: Supervision, error, ...given) {
      const { code, message, remedy } = error
      const blamed = new WeirError(code, message, { remedy })
      Object.defineProperty(blamed, 'culprit', { value: 'record' })
      return failed.call(this, blamed, ...given)
    })
    expect(firstBroken(/few attempts/)).toMatch(/^nobody gives up on a server/)
  })

  test('an empty epoch makes well again what has failed', () => {
    const { succeeded } = Supervision.prototype
    vi.spyOn(Supervision.prototype, 'succeeded').mockImplementation(function (this: Supervision, at, records, now) {
      succeeded.call(this, at, records, now)
      if (records === 0) this.failingSince = undefined
    })
    expect(firstBroken(/^copies, /)).toMatch(/^health says since when records fail/)
  })

  test('a dead letter from behind an internal topic is a message of that', () => {
    const { reject } = Rejections.prototype
    vi.spyOn(Rejections.prototype, 'reject').mockImplementation(function (
      this: Rejections,
      counts,
      policy,
      given,
      ...more
    ) {
      const { key, value, timestamp, headers, origin, behindMs } = given
      const record = new StreamRecord(key, value, timestamp, headers, { ...origin, from: undefined }, behindMs)
      reject.call(this, counts, policy, record, ...more)
    })
    expect(firstBroken(/behind an internal topic/)).toMatch(/^a dead letter is the record that was refused/)
  })
})

describe('times', busy, () => {
  test('a time that is rejected moves the others', () => {
    const { definition } = timed
    const { build } = definition
    vi.spyOn(definition, 'build').mockImplementation((given, context) => {
      const options = given as { selector(value: unknown, record: StreamRecord): unknown }
      const through = build.call(definition, given, context)
      const { time } = context
      const move = (record: StreamRecord) => {
        const { topic, partition } = record.origin
        const at = options.selector(record.value, record)
        if (typeof at === 'number' && !Number.isNaN(at)) time.observe(topic, partition, at)
      }
      return (records$) => through(records$.pipe(tap(move)))
    })
    expect(firstBroken(/between times/)).toMatch(/./)
  })

  test('idleness goes by the wall clock', () => {
    vi.spyOn(eventTime, 'passed').mockImplementation(function (this: TimeInside) {
      return this.clock.now()
    })
    expect(firstBroken(/of idle partitions|of trailing partitions|sparse/)).toMatch(/./)
  })

  test('what idle partitions have moved on by is forgotten with their process', () => {
    const { assign } = EventTime.prototype
    vi.spyOn(EventTime.prototype, 'assign').mockImplementation(function (this: EventTime, partition, progress) {
      assign.call(this, partition, progress && { ...progress, movedOnMs: 0 })
    })
    expect(firstBroken(/rest, while processes restart/)).toMatch(allDone)
  })

  test('windows without an eventTime have no time', () => {
    vi.spyOn(times, 'withTimes').mockImplementation((inputs) => inputs)
    expect(firstBroken(/^windows by timestamp/)).toMatch(allDone)
  })
})

describe('what goes in comes out the same', busy, () => {
  test('all records behind keyBy are one group', () => {
    vi.spyOn(windows.definition, 'behindKey').mockImplementation((declared) => declared)
    expect(firstBroken(/by the key that was given/)).toMatch(/./)
  })

  test('records without a key are a group in each partition', () => {
    vi.spyOn(keyless, 'hasKeyless').mockReturnValue(false)
    expect(firstBroken(/keys or none/)).toMatch(twoResults)
  })

  test('what was told of records without a key is forgotten over a restart', () => {
    const { progressOf } = EventTime.prototype
    vi.spyOn(EventTime.prototype, 'progressOf').mockImplementation(function (this: EventTime, partition) {
      return { ...progressOf.call(this, partition), together: undefined }
    })
    expect(firstBroken(/keys or none/, {}, 225)).toMatch(twoResults)
  })

  test('records without a key are late by the time of their own partition', () => {
    const { of } = Place.prototype
    vi.spyOn(Place.prototype, 'of').mockImplementation(function (this: Place<unknown>, record, part) {
      const inside = this as unknown as { closedFor: (record: StreamRecord) => number }
      const { closedFor } = inside
      inside.closedFor = (one) => closedFor(one.keyed(''))
      const entry = of.call(this, record, part)
      inside.closedFor = closedFor
      return entry
    })
    expect(firstBroken(/keys or none/)).toMatch(twoResults)
  })

  test('what is no number is reckoned with', () => {
    vi.spyOn(missing, 'isThere').mockReturnValue(true)
    expect(firstBroken(/numbers that are none/)).toMatch(results)
  })

  test.each<[string, (value: unknown) => unknown]>([
    ['bigint', (value) => (typeof value === 'bigint' ? Number(value) : value)],
    ['a Map', (value) => (value instanceof Map ? Object.fromEntries(value) : value)],
    ['half a surrogate pair', (value) => (typeof value === 'string' ? value.toWellFormed() : value)],
    ['nothing', (value) => (value === undefined ? null : value)],
  ])('%s comes out of an internal topic as something else', (_, lose) => {
    const { pack } = packing
    vi.spyOn(packing, 'pack').mockImplementation((message) => pack(altered(message, lose)))
    expect(firstBroken(/values that JSON does not have/)).toMatch(results)
  })

  test('bigint comes out of state as a number', () => {
    const { packTagged } = packing
    const lose = (value: unknown) => (isTagged(value, 'bigint') ? Number(value.data) : value)
    vi.spyOn(packing, 'packTagged').mockImplementation((section) => packTagged(altered(section, lose)))
    expect(firstBroken(/values that JSON does not have/)).toMatch(/^a restore brings what is in memory/)
  })
})

describe('topics that change', busy, () => {
  const changing = /of a changing topic/

  test('a flow goes on where keys are parted from their state', () => {
    vi.spyOn(Judgement.prototype, 'repartition').mockImplementation(function (this: Judgement, topic) {
      this.findings.push({ change: { topic, change: 'grown' }, text: 'goes on', about: { topic } })
    })
    expect(firstBroken(/^windows by key of a changing topic/)).toMatch(/^nobody goes on where it has to stop/)
  })

  test('a flow goes on where it has to stop for a gap', () => {
    const { lose } = Judgement.prototype
    vi.spyOn(Judgement.prototype, 'lose').mockImplementation(function (this: Judgement, ...given) {
      const { rules } = this as unknown as { rules: object }
      lose.apply(Object.assign(Object.create(this) as Judgement, { rules: { ...rules, onGap: 'warn' } }), given)
    })
    expect(firstBroken(changing)).toMatch(/^nobody goes on where it has to stop/)
  })

  test('a flow goes on where it has to stop for another topic', () => {
    const { replace } = Judgement.prototype
    vi.spyOn(Judgement.prototype, 'replace').mockImplementation(function (this: Judgement, ...given) {
      const { rules } = this as unknown as { rules: object }
      replace.apply(
        Object.assign(Object.create(this) as Judgement, { rules: { ...rules, onRecreated: 'restart' } }),
        given,
      )
    })
    expect(firstBroken(/of a (changing|recreated) topic/)).toMatch(/^nobody goes on where it has to stop/)
  })

  test('that a group was set by other means is not noticed', () => {
    const inside = TopicBeginning.prototype as unknown as Chooses
    vi.spyOn(inside, 'chosen').mockImplementation(function (this: Chooses, at, group) {
      return [...this.known.given, ...group].find((position) => isSamePartition(at, position))
    })
    expect(firstBroken(/group that is reset, exactly/)).toMatch(/^it is told that a group was set/)
  })

  test('where to begin is only committed with a record', () => {
    vi.spyOn(Assignment.prototype, 'isUnchanged').mockImplementation(function (this: Assignment, positions) {
      const { committed } = this as unknown as Commits
      return positions.every((at) => committed.get(at.topic, at.partition)?.progress?.position === at.offset)
    })
    expect(firstBroken(/from the latest/)).toMatch(/^where to begin is kept/)
  })
})

function isTagged(value: unknown, tag: string): value is { readonly data: unknown } {
  return typeof value === 'object' && value !== null && (value as { tag?: unknown }).tag === tag
}

/** A value with its parts altered, inside of arrays and plain objects. */
function altered(value: unknown, alter: (part: unknown) => unknown): unknown {
  const part = alter(value)
  if (Array.isArray(part)) return part.map((item) => altered(item, alter))
  if (typeof part !== 'object' || part === null || Object.getPrototypeOf(part) !== Object.prototype) return part
  return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, altered(inner, alter)]))
}
