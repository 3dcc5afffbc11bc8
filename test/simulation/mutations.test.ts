import { concat, concatMap, defer, EMPTY, filter, map, mergeMap, NEVER, Observable, of, tap } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { EpochBudget } from '../../src/engine/epoch.js'
import { EventTime } from '../../src/engine/event-time.js'
import { Inputs } from '../../src/engine/inputs.js'
import { Rejections } from '../../src/engine/rejections.js'
import { StageContexts } from '../../src/engine/stage-contexts.js'
import { FlowTask } from '../../src/engine/task.js'
import {
  type AssignmentChange,
  type CheckpointStore,
  type EpochTransaction,
  partitionName,
  type SinkTask,
  type SourceTask,
  type TopicPartition,
} from '../../src/model/index.js'
import { Place } from '../../src/operators/internal/groups.js'
import { Slices } from '../../src/operators/internal/slices.js'
import { PartitionStore } from '../../src/state/partition-store.js'
import type { Sabotage } from '../../src/testing/simulation/simulation.js'
import { allDone, busy, committing, durable, firstBroken, once, results, sourceOf, storeOf } from './mutants.js'

const keyOf = (task: string, partition: TopicPartition) => `${task} ${partitionName(partition)}`

/** Lets everybody commit, whoever has the partition. */
function withoutFencing(store: CheckpointStore): CheckpointStore {
  const generations = new Map<string, number>()
  const fair = committing((partition, { task }) => ({
    ...partition,
    generation: generations.get(keyOf(task, partition)) ?? 0,
  }))(store)
  return storeOf(fair, {
    acquire: (task, partitions) =>
      store.acquire(task, partitions).pipe(
        tap((acquired) => {
          for (const partition of acquired) generations.set(keyOf(task, partition), partition.generation)
        }),
      ),
  })
}

/** Gives every owner of a partition the generation of the first. */
function withoutGenerations(store: CheckpointStore): CheckpointStore {
  const open = withoutFencing(store)
  return storeOf(open, {
    acquire: (task, partitions) =>
      open.acquire(task, partitions).pipe(map((all) => all.map((partition) => ({ ...partition, generation: 1 })))),
  })
}

/** Takes what it was given and says at once that it is written, while it still writes. */
function acknowledgingEarly(task: SinkTask): SinkTask {
  return {
    write: (records$) =>
      new Observable((out) => {
        task
          .write(records$.pipe(tap({ complete: () => out.complete(), error: (error: unknown) => out.error(error) })))
          .subscribe({
            error: () => undefined,
          })
      }),
  }
}

/** Goes on with the transaction of an epoch that has failed. */
function withoutRollback(store: CheckpointStore): CheckpointStore {
  let open: EpochTransaction | undefined
  return storeOf(store, {
    begin: () => {
      const transaction = (open ??= store.begin())
      const { commit } = transaction
      transaction.commit = (epoch) => {
        open = undefined
        return commit.call(transaction, epoch)
      }
      transaction.rollback = () => EMPTY
      return transaction
    },
  })
}

function releasingEarly(source: SourceTask): SourceTask {
  return sourceOf(source, {
    assignments$: source.assignments$.pipe(
      concatMap((change) =>
        change.kind === 'revoked' ? concat(change.release(), of({ ...change, release: () => EMPTY })) : of(change),
      ),
    ),
  })
}

const stranger = { topic: 'of somebody else', partition: 0, offset: 1 }

/** Flows that are one task, and count once. */
const oneTask = /^(copies|doubles|counts|windows|totals).*exactly once/

describe('the surroundings, or what the engine does with them', busy, () => {
  test.each<[string, RegExp, Sabotage, RegExp]>([
    ['fencing is ignored', oneTask, { kept: withoutFencing }, /^no effect counts after fencing/],
    ['it commits before its sinks have flushed', /^copies, /, { sink: acknowledgingEarly }, durable],
    ['it releases before it commits', /copies/, { source: releasingEarly }, /^a partition is released after/],
    [
      'a rewind is forgotten',
      /at least once/,
      { source: (source) => sourceOf(source, { rewind: () => EMPTY }) },
      durable,
    ],
    [
      'records are emitted twice',
      /exactly once/,
      {
        source: (source) =>
          sourceOf(source, { read: (epoch) => source.read(epoch).pipe(mergeMap((one) => of(one, one), 1)) }),
      },
      /^(each result comes out once|nothing else|results are)/,
    ],
    [
      'positions are committed that were not read',
      /copies/,
      {
        source: (source) =>
          sourceOf(source, { positions: () => source.positions().map((at) => ({ ...at, offset: at.offset + 1 })) }),
      },
      durable,
    ],
    [
      'positions stay behind what is committed',
      oneTask,
      {
        checkpoints: committing((partition) => {
          const position = Math.max(0, partition.progress.position - 1)
          return { ...partition, progress: { ...partition.progress, position } }
        }),
      },
      /^(positions do not go back|everything is done|each result comes out once)/,
    ],
    [
      'state is not restored',
      /counts|windows/,
      { checkpoints: (store) => storeOf(store, { load: () => EMPTY }) },
      results,
    ],
    [
      'state is not committed',
      /counts|windows/,
      { checkpoints: committing((partition) => ({ ...partition, chunks: [] })) },
      results,
    ],
    [
      'the log is truncated too far',
      /counts|windows/,
      { checkpoints: committing((partition) => ({ ...partition, truncateBefore: partition.sequence })) },
      results,
    ],
    [
      'stream times are forgotten',
      /^windows/,
      {
        checkpoints: committing((partition) => ({ ...partition, progress: { position: partition.progress.position } })),
      },
      /^(everything is done|each result comes out once|results are|nothing else|no task errs by itself)/,
    ],
    ['an epoch that failed is not undone', /copies, exactly once/, { checkpoints: withoutRollback }, once],
    [
      'an epoch has no end',
      /copies/,
      {
        source: (source) =>
          sourceOf(source, {
            read: (epoch) =>
              source.read({ number: epoch.number, cut$: epoch.cut$, take: () => undefined, room: () => 1_000 }),
          }),
      },
      /^memory is bounded by the epoch/,
    ],
    [
      'a sink never acknowledges',
      /copies, at/,
      { sink: (task) => ({ write: (records$) => concat(task.write(records$), NEVER) }) },
      allDone,
    ],
    [
      'what is revoked is not given back',
      /copies/,
      {
        source: (source) =>
          sourceOf(source, { assignments$: source.assignments$.pipe(filter(({ kind }) => kind === 'assigned')) }),
      },
      /^what is revoked is given back/,
    ],
    [
      'a group is told of topics that are not its own',
      /two topics/,
      { source: (source) => sourceOf(source, { commit: (positions) => source.commit([...positions, stranger]) }) },
      /^a group is told of its own topics only/,
    ],
    [
      'binary keys are taken for text',
      /^late records by key/,
      {
        source: (source) =>
          sourceOf(source, {
            read: (epoch) => source.read(epoch).pipe(map((record) => record.keyed(record.key && String(record.key)))),
          }),
      },
      /^groups are told apart/,
    ],
    [
      'generations stay the same',
      oneTask,
      { kept: withoutGenerations },
      /^(no effect counts after fencing|positions do not go back)/,
    ],
  ])('%s', (_, named, sabotage, promise) => {
    expect(firstBroken(named, sabotage)).toMatch(promise)
  })
})

/** The engine's own parts as they are inside. */
const task = FlowTask.prototype as unknown as Record<string, (...args: never[]) => unknown>

describe('the engine itself', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('it does not go back after a failure', () => {
    const original = task['replayAfter'] as (this: { needsRecovery: boolean }, error: unknown) => Observable<never>
    vi.spyOn(task, 'replayAfter').mockImplementation(function (this: { needsRecovery: boolean }, error: unknown) {
      return concat(
        original.call(this, error),
        defer(() => {
          this.needsRecovery = false
          return EMPTY
        }),
      )
    })
    expect(firstBroken(/copies|doubles/)).toMatch(durable)
  })

  test('stores do not fall back with their epoch', () => {
    const original = task['restore'] as (this: { needsRecovery: boolean }, ...args: unknown[]) => Observable<never>
    vi.spyOn(task, 'restore').mockImplementation(function (this: { needsRecovery: boolean }, ...args: unknown[]) {
      return this.needsRecovery ? EMPTY : original.apply(this, args)
    })
    expect(firstBroken(/counts/)).toMatch(/./)
  })

  test('the watermark is the fastest partition', () => {
    vi.spyOn(EventTime.prototype, 'watermark').mockImplementation(function (this: EventTime) {
      let highest = this.closed
      for (const time of (
        this as unknown as { times: { values(): Iterable<{ streamTime: number }> } }
      ).times.values()) {
        highest = Math.max(highest, time.streamTime - this.outOfOrderMsOf('topic'))
      }
      return highest
    })
    expect(firstBroken(/^windows/)).toMatch(results)
  })

  test('windows are closed when a partition is taken back', () => {
    const over = new WeakSet<EventTime>()
    const { watermark } = EventTime.prototype
    const want = task['want'] as (this: unknown, change: AssignmentChange) => unknown
    vi.spyOn(task, 'want').mockImplementation(function (
      this: { parts: { time: EventTime } },
      change: AssignmentChange,
    ) {
      if (change.kind === 'revoked') over.add(this.parts.time)
      want.call(this, change)
    })
    vi.spyOn(EventTime.prototype, 'watermark').mockImplementation(function (this: EventTime) {
      return over.has(this) ? 8e12 : watermark.call(this)
    })
    expect(firstBroken(/^windows, /)).toMatch(results)
  })

  test('sources of one process are one member of their group', () => {
    const original = StageContexts.prototype.source
    vi.spyOn(StageContexts.prototype, 'source').mockImplementation(function (this: StageContexts, node) {
      const context = original.call(this, node)
      return { ...context, instance: context.instance?.split('.')[0] }
    })
    expect(firstBroken(/two topics/)).toMatch(/^each source is a member of its own/)
  })

  test('the partitions of one input are taken for all', () => {
    vi.spyOn(Inputs.prototype, 'totalOf').mockReturnValue(1)
    expect(firstBroken(/^windows of two topics/, {}, 105)).toMatch(results)
  })

  test('a record that is rejected is forgotten', () => {
    vi.spyOn(Rejections.prototype, 'reject').mockImplementation(() => undefined)
    expect(firstBroken(/^refused/)).toMatch(/is nowhere/)
  })

  test('an epoch is not cut', () => {
    vi.spyOn(EpochBudget.prototype, 'cut').mockImplementation(() => undefined)
    expect(firstBroken(/copies/)).toMatch(/./)
  })

  test('an epoch takes more than its limit', () => {
    vi.spyOn(EpochBudget.prototype, 'take').mockImplementation(() => undefined)
    expect(firstBroken(/copies/)).toMatch(/^memory is bounded by the epoch/)
  })

  test('a change of a store is not remembered', () => {
    vi.spyOn(PartitionStore.prototype, 'touch').mockImplementation(() => undefined)
    expect(firstBroken(/counts|windows/)).toMatch(results)
  })
})

/** What tells a window from its slices, as it is inside. */
interface PlaceInside {
  readonly first: number
  open(first: number, slices: Slices): void
}
const places = Place.prototype as unknown as PlaceInside

describe('windows that share slices of time', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('what was told is told again', () => {
    vi.spyOn(Slices.prototype, 'windowsOf').mockImplementation(function* (this: Slices, segment) {
      const hops = (this.last(segment) - this.first(segment)) / 8_000
      for (let hop = 0; hop <= hops; hop++) yield this.first(segment) + hop * 8_000
    })
    expect(firstBroken(/hopping/)).toMatch(once)
  })

  test('a slice is missing from its last window', () => {
    vi.spyOn(Slices.prototype, 'has').mockImplementation(function (this: Slices, segment, window) {
      return this.first(segment) <= window && window < this.last(segment)
    })
    expect(firstBroken(/hopping/)).toMatch(results)
  })

  test('a slice goes with its first window', () => {
    vi.spyOn(Slices.prototype, 'isDone').mockImplementation(function (this: Slices, segment, watermark) {
      return this.isComplete(segment, watermark)
    })
    expect(firstBroken(/hopping/)).toMatch(results)
  })

  test('what is late for some windows counts in all', () => {
    const { open } = places
    vi.spyOn(places, 'open').mockImplementation(function (this: PlaceInside, _first, slices) {
      open.call(this, this.first, slices)
    })
    expect(firstBroken(/hopping/)).toMatch(results)
  })
})
