import { concat, concatMap, defer, map, NEVER, type Observable, of, take, throwError, timer } from 'rxjs'
import { describe, expect, test } from 'vitest'
import type { MeasuredGroup, PartitionLag } from '../../src/kafka/measured-groups.js'
import { type SourceTask, WeirError } from '../../src/model/index.js'
import type { GroupLag } from '../../src/sources/lag/group-lag.js'
import { LagTask } from '../../src/sources/lag/task.js'
import { type MarbleHelpers, marbles } from '../../src/testing/marbles.js'
import { epochOf, SourceBench } from '../support/source-bench.js'

const partition = { topic: 'lag:watched', partition: 0 }
const unreachable = new WeirError('WEIR_SOURCE_UNREACHABLE', 'measuring the lag of groups: nobody answers')

/** One that is so many records behind in `orders`, the oldest of which came at a time. */
const measured = (records: number, unreadSince: number | null = records === 0 ? null : 0, group = 'billing') => ({
  group,
  state: 'stable' as const,
  partitions: [{ topic: 'orders', partition: 0, committed: 10, end: 10 + records, records, unreadSince }],
})

type Answer = readonly MeasuredGroup[] | WeirError

interface Kit {
  readonly bench: SourceBench
  readonly task: SourceTask<GroupLag>
  /** When it was measured, ms. */
  readonly asked: readonly number[]
}

/** A source that measures each 10 ms, which takes so long, and finds these, the last one again and again. */
function open({ clock }: MarbleHelpers, answers: readonly Answer[], takesMs = 1, groups?: readonly string[]): Kit {
  const asked: number[] = []
  const measure$ = defer(() => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] as Answer
    asked.push(clock.now())
    return timer(takesMs, clock.scheduler).pipe(
      concatMap(() => (answer instanceof WeirError ? throwError(() => answer) : of(answer))),
    )
  })
  const bench = new SourceBench(partition, clock)
  const task = bench.open((context) => new LagTask({ groups, everyMs: 10 }, measure$, context))
  return { bench, task, asked }
}

const brief = (records$: Observable<{ value: unknown }>) =>
  records$.pipe(
    map(({ value }) => {
      const { group, topic, records, seconds, growth, drainSeconds } = value as GroupLag
      return [group, topic, records, seconds, growth, drainSeconds]
    }),
  )

describe('what is told of a group', () => {
  test(
    'is a record for each topic, by the time of its measurement',
    marbles((helpers) => {
      const { expectObservable } = helpers
      const parts: PartitionLag[] = [
        { topic: 'orders', partition: 0, committed: 1, end: 4, records: 3, unreadSince: 0 },
        { topic: 'orders', partition: 1, committed: null, end: 2, records: 2, unreadSince: null },
        { topic: 'users', partition: 0, committed: 9, end: 10, records: 0, unreadSince: null },
      ]
      const { bench, task } = open(helpers, [[{ group: 'billing', state: 'empty', partitions: parts }]])
      const records$ = bench.read(task, [epochOf(2)]).pipe(
        map(({ key, timestamp, value, origin }) => ({ key, timestamp, value, offset: origin.offset })),
        take(2),
      )
      const common = { group: 'billing', state: 'empty', growth: null }
      expectObservable(records$).toBe('-(ab|)', {
        a: {
          key: 'billing/orders',
          timestamp: 1,
          offset: 0,
          value: {
            ...common,
            topic: 'orders',
            records: 5,
            seconds: 0.001,
            drainSeconds: null,
            partitions: [
              { partition: 0, committed: 1, end: 4, records: 3, seconds: 0.001 },
              { partition: 1, committed: null, end: 2, records: 2, seconds: null },
            ],
          },
        },
        b: {
          key: 'billing/users',
          timestamp: 1,
          offset: 1,
          value: {
            ...common,
            topic: 'users',
            records: 0,
            seconds: 0,
            drainSeconds: 0,
            partitions: [{ partition: 0, committed: 9, end: 10, records: 0, seconds: 0 }],
          },
        },
      })
    }),
  )

  test(
    'says by how much it grows, and when it will be over',
    marbles((helpers) => {
      const { expectObservable } = helpers
      const { bench, task } = open(
        helpers,
        [100, 200, 40, 0, 0].map((records) => [measured(records)]),
      )
      const records$ = brief(bench.read(task, [epochOf(5)])).pipe(
        map((fields) => (fields as unknown[]).slice(4)),
        take(5),
      )
      // 10 ms apart, over all that were seen.
      expectObservable(records$).toBe('-a 9ms b 9ms c 9ms d 9ms (e|)', {
        a: [null, null],
        b: [10_000, null],
        c: [-3_000, 0.013],
        d: [-3_333.333, 0],
        e: [-2_500, 0],
      })
    }),
  )

  test(
    'looks back five times, and forgets a group that is gone',
    marbles((helpers) => {
      const { expectObservable } = helpers
      const answers = [1_000, 0, 10, 20, 30, 40].map((records): Answer => [measured(records)])
      const { bench, task } = open(helpers, [...answers, [], [measured(50)]])
      const records$ = brief(bench.read(task, [epochOf(7)])).pipe(
        map((fields) => (fields as unknown[])[4]),
        take(7),
      )
      expectObservable(records$).toBe('-a 9ms b 9ms c 9ms d 9ms e 9ms f 19ms (g|)', {
        a: null,
        b: -100_000,
        c: -49_500,
        d: -32_666.667,
        e: -24_250,
        f: 1_000,
        g: null,
      })
    }),
  )

  test(
    'is not known to be late where nobody could tell',
    marbles((helpers) => {
      const { bench, task } = open(helpers, [[measured(3, null)]])
      helpers
        .expectObservable(brief(bench.read(task, [epochOf(1)])).pipe(take(1)))
        .toBe('-(a|)', { a: ['billing', 'orders', 3, null, null, null] })
    }),
  )
})

describe('measuring', () => {
  test(
    'goes on at its pace, over epochs that are shorter than it takes',
    marbles((helpers) => {
      const { clock, expectObservable } = helpers
      const { bench, task, asked } = open(helpers, [[measured(1)]], 5)
      const short = () => epochOf(1_000, timer(2, clock.scheduler))
      const records$ = bench.read(
        task,
        Array.from({ length: 12 }, () => short()),
      )
      expectObservable(brief(records$).pipe(map(([, , records]) => records))).toBe('-----a 9ms a', { a: 1 })
      clock.scheduler.schedule(() => expect(asked).toEqual([0, 10, 20]), 24)
    }),
  )

  test(
    'is tried again in its turn where nobody answers, and that is told meanwhile',
    marbles((helpers) => {
      const { clock, expectObservable } = helpers
      const { bench, task } = open(helpers, [[measured(1)], unreachable, [measured(2)]])
      const records$ = brief(bench.read(task, [epochOf(2)])).pipe(
        map(([, , records]) => records),
        take(2),
      )
      expectObservable(records$).toBe('-a 19ms (b|)', { a: 1, b: 2 })
      const troubleAt = (ms: number) => timer(ms, clock.scheduler).pipe(map(() => task.trouble?.()?.code ?? 'none'))
      expectObservable(concat(troubleAt(5), troubleAt(10), troubleAt(10))).toBe('5ms a 9ms b 9ms (c|)', {
        a: 'none',
        b: 'WEIR_SOURCE_UNREACHABLE',
        c: 'none',
      })
    }),
  )

  test(
    'is replayed from memory when an epoch fails',
    marbles((helpers) => {
      const { expectObservable } = helpers
      const { bench, task, asked } = open(helpers, [[measured(1), measured(7, 0, 'other')], [measured(2)]])
      const again$ = concat(
        task.read(epochOf(2)),
        defer(() => bench.rewind(task)),
        task.read(epochOf(2)),
        defer(() => bench.commit(task)),
        task.read(epochOf(1)),
        NEVER,
      )
      const records$ = task.assignments$.pipe(
        concatMap((change) => (change.kind === 'assigned' ? concat(change.start([]), again$) : NEVER)),
        take(5),
      )
      expectObservable(records$.pipe(map(({ key, origin }) => [key, origin.offset]))).toBe('-(abab) 4ms (c|)', {
        a: ['billing/orders', 0],
        b: ['other/orders', 1],
        c: ['billing/orders', 2],
      })
      helpers.clock.scheduler.schedule(() => expect(asked).toEqual([0, 10]), 20)
    }),
  )
})
