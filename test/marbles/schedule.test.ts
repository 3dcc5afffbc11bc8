import { concat, concatMap, defer, NEVER, type Observable, of, type SchedulerLike, timer } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { consoleSink, flow, schedule } from '../../src/index.js'
import type { Clock, Epoch, SourceContext, SourceTask, StreamRecord } from '../../src/model/index.js'
import { scheduleDefinition } from '../../src/sources/schedule.js'
import { marbles } from '../../src/testing/index.js'
import { config, faultsOf } from '../support/compiling.js'
import { epochOf, SourceBench } from '../support/source-bench.js'

const partition = { topic: 'schedule:tick', partition: 0 }
const eachSecond = '* * * * * *'
const at = (ms: number) => ({ at: new Date(ms).toISOString() })
/** The runs of the first seconds. */
const seconds = { a: at(1_000), b: at(2_000), c: at(3_000), d: at(4_000), e: at(5_000), f: at(6_000), g: at(7_000) }

const build =
  (options: object = {}) =>
  (context: SourceContext): SourceTask =>
    scheduleDefinition.build(scheduleDefinition.options.parse({ cron: eachSecond, ...options }), context)

/** A source on a bench, and what becomes of its epochs: how long each takes from its end to its commit. */
function bench(clock: Clock) {
  const kept = new SourceBench(partition, clock)
  /** Epochs of one process, each over after a second without a run, as the engine has them. */
  const process = (task: SourceTask, ends: readonly (number | 'fails')[]): Observable<StreamRecord> =>
    task.assignments$.pipe(
      concatMap((change) => {
        if (change.kind !== 'assigned') return NEVER
        const epochs = ends.map((end) =>
          concat(
            task.read(epochOf(9, timer(1_500, clock.scheduler))),
            defer(() => (end === 'fails' ? kept.rewind(task) : after(end, clock.scheduler, () => kept.commit(task)))),
          ),
        )
        return concat(change.start(kept.positions), ...epochs, NEVER)
      }),
    )
  return { kept, process, open: (options?: object) => kept.open(build(options)) }
}

function after<T>(ms: number, scheduler: SchedulerLike, then: () => Observable<T>): Observable<T> {
  return ms === 0 ? then() : timer(ms, scheduler).pipe(concatMap(then))
}

const offsetOf = (task: SourceTask) => task.positions()[0]?.offset

describe('runs', () => {
  test(
    'come at the times of the pattern, with these as timestamps and offsets, one an epoch',
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      const task = open()
      const records: StreamRecord[] = []
      const runs$ = process(task, [0, 0, 0]).pipe(
        concatMap((record) => {
          records.push(record)
          return of(record)
        }),
      )
      expectRecords(runs$, '3500ms !').toBe('1s a 999ms b 999ms c', seconds)
      expectRecords(
        timer(3_400, clock.scheduler).pipe(
          concatMap(() => {
            expect(records.map(({ timestamp, origin }) => [timestamp, origin.offset])).toEqual([
              [1_000, 1],
              [2_000, 2],
              [3_000, 3],
            ])
            expect(offsetOf(task)).toBe(4)
            return NEVER
          }),
        ),
        '3500ms !',
      ).toBe('')
    }),
  )

  test(
    'are none of what came due before the first start',
    marbles(({ clock, expectRecords }) => {
      clock.jump(86_400_000 + 500)
      const { open, process } = bench(clock)
      expectRecords(process(open({ cron: '@daily' }), [0, 0]), '3s !').toBe('')
    }),
  )

  test(
    'end with an epoch that is cut, and go on in the next',
    marbles(({ clock, cold, expectRecords, expectSubscriptions }) => {
      const { kept, open } = bench(clock)
      const cut = cold('300ms x')
      const epochs: Epoch[] = [epochOf(9, cut), epochOf(9)]
      expectRecords(kept.read(open(), epochs), '2s !').toBe('1s a', seconds)
      expectSubscriptions(cut.subscriptions).toBe('^ 299ms !')
    }),
  )

  test('come by the clocks of the zone: once in the night in which 02:30 is left out, and once where it comes twice', () => {
    for (const [night, times] of [
      ['2026-03-29T00:59:58Z', ['2026-03-29T01:00:00.000Z']],
      ['2026-10-25T00:29:58Z', ['2026-10-25T00:30:00.000Z']],
      ['2026-10-25T01:29:58Z', []],
    ] as const) {
      marbles(({ clock, expectRecords }) => {
        clock.jump(Date.parse(night))
        const { open, process } = bench(clock)
        const runs$ = process(open({ cron: '30 2 * * *', timeZone: 'Europe/Berlin' }), [0, 0, 0, 0])
        const [time] = times
        expectRecords(runs$, '5s !').toBe(time === undefined ? '' : '2s a', { a: { at: time } })
      })()
    }
  })
})

describe('a run that takes long', () => {
  test(
    'has those left out that come due until it is committed',
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      // The first is committed at 3.2 s.
      expectRecords(process(open(), [2_200, 0, 0]), '5500ms !').toBe('1s a 2999ms d 999ms e', seconds)
    }),
  )

  test(
    'leaves out for good, also when the process ends behind it',
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      const first$ = process(open(), [2_200, 0])
      expectRecords(first$, '3900ms !').toBe('1s a', seconds)
      const second$ = timer(3_950, clock.scheduler).pipe(concatMap(() => process(open({ missed: 'run-once' }), [0, 0])))
      expectRecords(second$, '5500ms !').toBe('4s d 999ms e', seconds)
    }),
  )

  test(
    'leaves none out with overlap: allow, in an epoch that has room',
    marbles(({ clock, expectRecords }) => {
      const { kept, open } = bench(clock)
      expectRecords(kept.read(open({ overlap: 'allow' }), [epochOf(3)]), '5s !').toBe('1s a 999ms b 999ms c', seconds)
    }),
  )
})

describe('a run whose epoch failed', () => {
  test.each(['run-once', 'skip'])('comes again as it was, whatever came due meanwhile (missed: %s)', (missed) =>
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      expectRecords(process(open({ missed }), ['fails', 'fails', 0, 0]), '2500ms !').toBe('1s (aaa) 995ms b', seconds)
    })(),
  )

  test(
    'comes again after the process has ended, as the last that was missed',
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      // Under way when the process ended.
      const first$ = process(open(), [0, 10_000])
      expectRecords(first$, '2200ms !').toBe('1s a 999ms b', seconds)
      const second$ = timer(2_300, clock.scheduler).pipe(concatMap(() => process(open(), [0, 0])))
      expectRecords(second$, '3500ms !').toBe('2300ms b 699ms c', seconds)
    }),
  )
})

describe('runs that were missed', () => {
  const restarted = (missed: string, expected: string) =>
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      expectRecords(process(open({ missed }), [0]), '1200ms !').toBe('1s a', seconds)
      const second$ = timer(5_500, clock.scheduler).pipe(concatMap(() => process(open({ missed }), [0, 0])))
      expectRecords(second$, '7s !').toBe(expected, seconds)
    })

  test('are made up for by one, that of the last time', restarted('run-once', '5500ms e 499ms f'))
  test('are left out', restarted('skip', '6s f'))

  test.each([
    ['run-once', '10m a'],
    ['skip', ''],
  ])('are so too where the computer was asleep (%s)', (missed, expected) =>
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      const task = open({ cron: '5 * * * *', missed })
      // Ten minutes in which nothing ran, and the clock went on.
      const asleep$ = timer(10, clock.scheduler).pipe(
        concatMap(() => {
          clock.jump(600_000)
          return NEVER
        }),
      )
      const runs$ = process(task, [0, 0])
      expectRecords(asleep$, '2s !').toBe('')
      expectRecords(runs$, '2s !').toBe(expected === '' ? '' : '1500ms a', { a: at(300_000) })
    })(),
  )
})

describe('the clock of the computer', () => {
  test(
    'that is set back has no run made twice: the next waits until it has come beyond the last',
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      const setBack$ = timer(2_100, clock.scheduler).pipe(
        concatMap(() => {
          clock.jump(-2_000)
          return NEVER
        }),
      )
      expectRecords(setBack$, '9s !').toBe('')
      expectRecords(process(open(), [0, 0, 0, 0, 0, 0]), '6s !').toBe('1s a 999ms b 2999ms c', seconds)
    }),
  )

  test(
    'that is set ahead has one run made for all that it leapt over',
    marbles(({ clock, expectRecords }) => {
      const { open, process } = bench(clock)
      const setAhead$ = timer(1_100, clock.scheduler).pipe(
        concatMap(() => {
          clock.jump(3_000)
          return NEVER
        }),
      )
      expectRecords(setAhead$, '9s !').toBe('')
      // What waits for the next second was told to wait for one.
      expectRecords(process(open(), [0, 0, 0]), '3500ms !').toBe('1s a 999ms e 999ms f', seconds)
    }),
  )
})

test.each([
  [{ cron: '* * * *' }, /cron.*'\* \* \* \*' is no schedule: expected five fields/s],
  [{ cron: '0 0 30 2 *' }, /cron.*that never comes/s],
  [{ cron: '@daily', timeZone: 'Europe/Berln' }, /timeZone.*there is no such time zone/s],
  [{ cron: '@daily', overlap: 'queue' }, /overlap/],
])('%j is refused, and it is said why', (options, why) => {
  const faults = faultsOf(config(flow(schedule(options as never), consoleSink())))
  expect(faults.map(({ message }) => message).join('\n')).toMatch(why)
})
