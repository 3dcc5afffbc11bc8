import fc from 'fast-check'
import { throwError } from 'rxjs'
import { expect, test } from 'vitest'
import { WeirError } from '../../src/model/index.js'
import { EngineBench } from '../support/engine-bench.js'

const partitions = [0, 1, 2]

/** The consumer group as it may behave: it gives partitions, takes them, loses them, and begins anew with each member. */
class Group {
  private held = new Set<number>()
  private seen = 0

  constructor(private readonly bench: EngineBench) {}

  give(partition: number): void {
    this.follow()
    if (this.bench.source.connections === 0 || this.held.has(partition)) return
    this.held.add(partition)
    this.bench.source.assign([partition], partitions.length)
  }

  take(partition: number, lost: boolean): void {
    this.follow()
    if (!this.held.delete(partition)) return
    this.bench.source.revoke([partition], { lost })
  }

  /** A source that has connected anew holds nothing. */
  private follow(): void {
    const { entries } = this.bench.diary
    for (; this.seen < entries.length; this.seen++) if (entries[this.seen]?.endsWith(' connect')) this.held.clear()
  }
}

type Event = (bench: EngineBench, group: Group) => void

const partition = fc.constantFrom(...partitions)
const delay = fc.constantFrom(0, 0, 1, 30, 700)
const unreachable = () => new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'the store is away')

/** Fails the next time, and never again. */
const once = (bench: EngineBench, ms: number, then: () => void) => () => {
  then()
  const failed$ = throwError(unreachable)
  return ms === 0 ? failed$ : bench.after(ms).pipe((waited$) => waited$.pipe(() => failed$))
}

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 8,
    arbitrary: partition.map(
      (p): Event =>
        (bench) =>
          bench.source.feed(p, `v${p}`),
    ),
  },
  {
    weight: 5,
    arbitrary: partition.map(
      (p): Event =>
        (_, group) =>
          group.give(p),
    ),
  },
  {
    weight: 3,
    arbitrary: partition.map(
      (p): Event =>
        (_, group) =>
          group.take(p, false),
    ),
  },
  {
    weight: 2,
    arbitrary: partition.map(
      (p): Event =>
        (_, group) =>
          group.take(p, true),
    ),
  },
  {
    weight: 1,
    arbitrary: partition.map(
      (p): Event =>
        (bench) =>
          bench.checkpoints.steal([p]),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Event>((bench) => bench.source.fail(new Error('the group is away'))) },
  {
    weight: 2,
    arbitrary: delay.map(
      (ms): Event =>
        (bench) =>
          (bench.sink.acknowledgeWith = () => bench.after(ms)),
    ),
  },
  {
    weight: 1,
    arbitrary: delay.map(
      (ms): Event =>
        (bench) => {
          const usual = bench.sink.acknowledgeWith
          bench.sink.acknowledgeWith = once(bench, ms, () => (bench.sink.acknowledgeWith = usual))
        },
    ),
  },
  {
    weight: 1,
    arbitrary: delay.map(
      (ms): Event =>
        (bench) => {
          bench.checkpoints.commitWith = once(bench, ms, () => (bench.checkpoints.commitWith = () => bench.after(ms)))
        },
    ),
  },
  {
    weight: 1,
    arbitrary: delay.map(
      (ms): Event =>
        (bench) => {
          bench.checkpoints.confirmWith = once(bench, ms, () => (bench.checkpoints.confirmWith = () => bench.after(0)))
        },
    ),
  },
  {
    weight: 1,
    arbitrary: delay.map(
      (ms): Event =>
        (bench) => {
          bench.checkpoints.acquireWith = once(bench, ms, () => (bench.checkpoints.acquireWith = () => bench.after(ms)))
        },
    ),
  },
)

const script = fc.array(fc.tuple(fc.constantFrom(0, 1, 20, 90, 400, 3_000), event), { maxLength: 50 })

function play(steps: readonly (readonly [number, Event])[]) {
  const bench = new EngineBench({ attempts: Number.MAX_SAFE_INTEGER, epoch: { maxRecords: 3, every: 300 } }).start()
  const group = new Group(bench)
  let now = 0
  for (const [ms, happen] of steps) {
    now += ms
    bench.until(now)
    happen(bench, group)
  }
  return { bench, group, now }
}

test('whatever happens in whatever order, each record is counted once, and written', () => {
  fc.assert(
    fc.property(script, (steps) => {
      const { bench, group, now } = play(steps)
      // The troubles are over; the group gives what it has not given.
      for (const later of [35_000, 70_000, 105_000]) {
        bench.until(now + later)
        for (const partition of partitions) group.give(partition)
      }
      bench.until(now + 140_000)
      expect(bench.status).toMatchObject({ state: 'running', failures: 0 })
      const fed = partitions.map((partition) => bench.source.logs.get(partition)?.length ?? 0)
      const positions = new Map(bench.source.positions().map(({ partition, offset }) => [partition, offset]))
      expect(partitions.map((partition) => positions.get(partition))).toEqual(fed)
      expect(partitions.map((partition) => bench.counts[`v${partition}`] ?? 0)).toEqual(fed)
      for (const { rollbacks, commits } of bench.checkpoints.transactions) {
        expect(rollbacks).toBeLessThanOrEqual(1)
        expect(commits).toBeLessThanOrEqual(1)
      }
      bench.engine.stop()
      bench.until(now + 143_000)
      expect(bench.status.state).toBe('stopped')
      expect(bench.source.connections).toBe(0)
      expect(bench.scheduler.actions).toEqual([])
    }),
    { numRuns: 150 },
  )
})

test('whatever happens, a flow that is told to stop does so, and leaves nothing behind', () => {
  fc.assert(
    fc.property(script, (steps) => {
      const { bench, now } = play(steps)
      bench.engine.stop()
      // No more than what an epoch and a commit of it may take here.
      bench.until(now + 3_000)
      expect(bench.status.state).toBe('stopped')
      expect(bench.source.connections).toBe(0)
      expect(bench.scheduler.actions).toEqual([])
    }),
    { numRuns: 300 },
  )
})

test('whatever happens, a partition that the group takes is released without waiting for retries', () => {
  fc.assert(
    fc.property(script, partition, (steps, taken) => {
      const { bench, group, now } = play(steps)
      // A restart begins anew with the group, and then nothing is owed.
      const life = bench.states.filter((state) => state.endsWith('starting')).length
      group.give(taken)
      bench.until(now + 5_000)
      bench.diary.take()
      group.take(taken, false)
      bench.until(now + 8_000)
      const lives = bench.states.filter((state) => state.endsWith('starting')).length
      const released = bench.diary.entries.some((entry) => entry.endsWith(`release ${taken}`))
      expect(released || lives > life || bench.source.connections === 0).toBe(true)
    }),
    { numRuns: 300 },
  )
})
