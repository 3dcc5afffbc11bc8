import fc from 'fast-check'
import { VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { EventTime, type TimeScope } from '../../src/engine/event-time.js'
import { Inputs } from '../../src/engine/inputs.js'
import type { TopicPartition } from '../../src/model/index.js'

const never = Number.NEGATIVE_INFINITY

/** Event time of topic `t`. The test says how much time passes, and what the wall clock says. */
function setUp(
  partitions: number,
  {
    outOfOrderMs = 0,
    idleAfterMs = 100,
    scope,
  }: { outOfOrderMs?: number; idleAfterMs?: number; scope?: TimeScope } = {},
) {
  const clock = { at: 1_000_000, wall: 0 }
  const scheduler = Object.assign(new VirtualTimeScheduler(), { now: () => clock.at })
  const time = new EventTime({ now: () => clock.wall, scheduler }, scope)
  time.configure({ outOfOrderMs, idleAfterMs })
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic: 't', partition }))
  const read = all.map((partition) => ({ ...partition, offset: 5, end: 5 }))
  time.assigned(0, all, partitions)
  for (const partition of all) time.assign(partition, undefined)
  return {
    time,
    clock,
    all,
    read,
    /** An epoch that took so long: records of these partitions at these times, then the ends, then the commit. */
    epoch(ms: number, records: readonly (readonly [partition: number, at: number])[], ends = read): number {
      for (const [partition, at] of records) time.observe('t', partition, at)
      clock.at += ms
      time.advance(ends)
      const watermark = time.watermark()
      time.committed()
      return watermark
    },
  }
}

describe('the watermark', () => {
  test('is the lowest stream time less the out-of-orderness', () => {
    const { epoch } = setUp(2, { outOfOrderMs: 3 })
    expect(
      epoch(10, [
        [0, 50],
        [1, 20],
        [1, 30],
        [1, 25],
      ]),
    ).toBe(27)
  })

  test('is nowhere while a partition has brought nothing', () => {
    const { epoch } = setUp(2)
    expect(epoch(10, [[0, 50]])).toBe(never)
  })

  test('never goes back', () => {
    const { time, epoch } = setUp(2)
    epoch(10, [
      [0, 50],
      [1, 50],
    ])
    time.assign({ topic: 't', partition: 2 }, { position: 0, streamTime: 7 })
    expect(time.watermark()).toBe(50)
    expect(
      epoch(10, [
        [0, 60],
        [1, 60],
      ]),
    ).toBe(50)
    expect(epoch(10, [[2, 70]])).toBe(60)
  })

  test('never goes back, whatever comes', () => {
    const records = fc.array(fc.tuple(fc.nat(2), fc.nat(1_000)), { maxLength: 4 })
    const isRead = fc.array(fc.boolean(), { minLength: 3, maxLength: 3 })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(80), records, isRead), { maxLength: 40 }), (epochs) => {
        const { time, epoch, read } = setUp(3, { outOfOrderMs: 5 })
        let last = never
        for (const [ms, brought, isReadToEnd] of epochs) {
          const ends = read.map((end, index) => ({ ...end, end: isReadToEnd[index] === true ? 5 : 6 }))
          const watermark = epoch(ms, brought, ends)
          expect(watermark).toBeGreaterThanOrEqual(last)
          expect(time.closed).toBe(watermark)
          last = watermark
        }
      }),
    )
  })

  test('is taken up again where it was committed', () => {
    const { time } = setUp(0)
    time.assign({ topic: 't', partition: 0 }, { position: 9, streamTime: 80, watermark: 60 })
    expect(time.closed).toBe(60)
    expect(time.watermark()).toBe(80)
    expect(time.streamTime({ topic: 't', partition: 0 })).toBe(80)
    time.assign({ topic: 't', partition: 1 }, { position: 9, streamTime: 20, watermark: 50 })
    expect(time.watermark()).toBe(60)
  })

  test('begins anew when every partition is gone', () => {
    const { time, epoch, all } = setUp(2)
    epoch(10, [
      [0, 50],
      [1, 60],
    ])
    time.release(all)
    expect(time.closed).toBe(never)
    time.assign({ topic: 't', partition: 0 }, undefined)
    time.observe('t', 0, 4)
    expect(time.watermark()).toBe(4)
  })

  test('goes on without a partition that is taken away', () => {
    const { time, epoch } = setUp(2)
    epoch(10, [
      [0, 50],
      [1, 20],
    ])
    time.release([{ topic: 't', partition: 1 }])
    expect(time.watermark()).toBe(50)
  })
})

describe('a record', () => {
  test('that trails by the least does not move stream time back', () => {
    const { time } = setUp(1)
    expect([50, 49, 48, 49].map((at) => time.observe('t', 0, at))).toEqual([0, 1, 2, 1])
    expect(time.streamTime({ topic: 't', partition: 0 })).toBe(50)
  })

  test('trails its own partition by so much', () => {
    const { time } = setUp(2)
    expect(time.observe('t', 0, 50)).toBe(0)
    expect(time.observe('t', 0, 40)).toBe(10)
    expect(time.observe('t', 1, 40)).toBe(0)
    expect(time.observe('t', 0, 50)).toBe(0)
  })

  test('trails nothing in a partition that is not assigned', () => {
    const { time } = setUp(1)
    expect(time.observe('other', 7, 40)).toBe(0)
    expect(time.streamTime({ topic: 'other', partition: 7 })).toBeUndefined()
  })

  test('trails as it did when its epoch is replayed', () => {
    const { time, epoch } = setUp(1)
    epoch(10, [[0, 50]])
    const before = [time.observe('t', 0, 45), time.observe('t', 0, 70), time.observe('t', 0, 60)]
    time.assign({ topic: 't', partition: 0 }, { position: 5, streamTime: 50, watermark: 50 })
    const after = [time.observe('t', 0, 45), time.observe('t', 0, 70), time.observe('t', 0, 60)]
    expect(after).toEqual(before)
    expect(after).toEqual([5, 0, 10])
  })
})

describe('an idle partition', () => {
  test('that is read to its end is not awaited after idleAfter', () => {
    const { epoch } = setUp(2)
    expect(
      epoch(10, [
        [0, 50],
        [1, 20],
      ]),
    ).toBe(20)
    expect(epoch(99, [[0, 60]])).toBe(20)
    expect(epoch(1, [[0, 61]])).toBe(61)
  })

  test('that never brought anything is not awaited either', () => {
    const { epoch } = setUp(2)
    expect(epoch(99, [[0, 50]])).toBe(never)
    expect(epoch(1, [[0, 51]])).toBe(51)
  })

  test('is awaited as long as it is not read to its end', () => {
    const { epoch, read } = setUp(2)
    const behind = read.map((end) => ({ ...end, end: 6 }))
    epoch(10, [
      [0, 50],
      [1, 20],
    ])
    expect(epoch(5_000, [[0, 60]], behind)).toBe(20)
    expect(epoch(5_000, [[0, 70]], behind)).toBe(20)
    expect(epoch(0, [[0, 70]])).toBe(70)
  })

  test('is awaited as long as nobody tells its end', () => {
    const { epoch, read } = setUp(2)
    epoch(10, [
      [0, 50],
      [1, 20],
    ])
    expect(epoch(5_000, [[0, 60]], [])).toBe(20)
    expect(epoch(5_000, [[0, 60]], read.slice(0, 1))).toBe(20)
  })

  test('of which the end is not known any more is awaited again', () => {
    const { time, epoch } = setUp(2)
    epoch(10, [
      [0, 50],
      [1, 20],
    ])
    expect(epoch(200, [[0, 60]])).toBe(60)
    epoch(10, [[0, 70]], [])
    time.observe('t', 0, 90)
    expect(time.watermark()).toBe(60)
  })

  test('is awaited again with its next record, at once', () => {
    const { time, epoch } = setUp(2)
    epoch(10, [
      [0, 50],
      [1, 20],
    ])
    expect(epoch(200, [[0, 60]])).toBe(60)
    time.observe('t', 0, 90)
    expect(time.watermark()).toBe(90)
    time.observe('t', 1, 30)
    expect(time.watermark()).toBe(60)
    time.observe('t', 1, 75)
    expect(time.watermark()).toBe(75)
  })

  test('is not idle again before idleAfter has passed anew', () => {
    const { epoch } = setUp(2)
    epoch(10, [
      [0, 50],
      [1, 20],
    ])
    epoch(200, [[0, 60]])
    epoch(10, [
      [0, 90],
      [1, 70],
    ])
    expect(epoch(99, [[0, 95]])).toBe(70)
    expect(epoch(1, [[0, 96]])).toBe(96)
  })
})

test('a wall clock that is set makes no partition idle, and no idle one move on', () => {
  const { clock, epoch } = setUp(2)
  epoch(10, [
    [0, 50],
    [1, 20],
  ])
  clock.wall += 3_600_000
  expect(epoch(10, [[0, 60]])).toBe(20)
  clock.wall -= 7_200_000
  expect(epoch(89, [[0, 61]])).toBe(20)
  expect(epoch(1, [[0, 62]])).toBe(62)
  expect(epoch(100, [])).toBe(62)
  clock.wall += 3_600_000
  expect(epoch(10, [])).toBe(72)
})

describe('a partition that others tell of', () => {
  const followed = () => {
    const { time, epoch, all } = setUp(1, { scope: 'partition' })
    return (told: { watermark: number; idle: boolean }, ms: number, end = 0) => {
      time.follow(() => told)
      const ends = all.map((partition) => ({ ...partition, offset: 0, end }))
      epoch(ms, [], ends)
      return { is: time.watermarkOf({ topic: 't', partition: 0 }), awaited: time.told()[0]?.idle === false }
    }
  }

  test('stands where they say, and moves on only as they tell it', () => {
    const after = followed()
    expect(after({ watermark: 50, idle: true }, 10).is).toBe(50)
    expect(after({ watermark: 50, idle: true }, 1_000).is).toBe(50)
    expect(after({ watermark: 1_700, idle: true }, 1_000).is).toBe(1_700)
    expect(after({ watermark: 1_600, idle: true }, 1_000).is).toBe(1_700)
  })

  test('is not idle while something of what they tell is not read yet', () => {
    const after = followed()
    expect(after({ watermark: 50, idle: true }, 10).awaited).toBe(false)
    expect(after({ watermark: 50, idle: true }, 1_000, 1).awaited).toBe(true)
    expect(after({ watermark: 50, idle: true }, 1_000).awaited).toBe(false)
  })
})

test('what others told counts as it was when the epoch ended, however long its commit takes', () => {
  const { time, all, read } = setUp(1, { scope: 'partition' })
  const [partition] = all as [{ topic: string; partition: number }]
  let told = { watermark: 50, idle: true }
  time.follow(() => told)
  time.advance(read)
  expect(time.watermarkOf(partition)).toBe(50)
  told = { watermark: 20, idle: false }
  expect(time.watermarkOf(partition)).toBe(50)
  expect(time.progressOf(partition)).toEqual({ streamTime: undefined, watermark: 50 })
  time.committed()
  expect(time.closedOf('t', 0)).toBe(50)
})

describe('when all partitions are idle', () => {
  test('each moves on at the pace at which time passes from where it stood, and the watermark is the lowest', () => {
    const { time, epoch } = setUp(2, { outOfOrderMs: 5 })
    const apart = [
      [0, 50],
      [1, 20],
    ] as const
    expect(epoch(10, apart)).toBe(15)
    expect(epoch(100, [])).toBe(15)
    expect(epoch(30, [])).toBe(45)
    expect(time.watermarkOf({ topic: 't', partition: 0 })).toBe(75)
    expect(epoch(1_000, [])).toBe(1_045)
  })

  test('one that was passed over catches up at its own pace, and the watermark waits for it', () => {
    const { epoch } = setUp(2)
    const apart = [
      [0, 500],
      [1, 20],
    ] as const
    epoch(10, apart)
    expect(epoch(100, [[0, 540]])).toBe(540)
    expect(epoch(100, [])).toBe(540)
    expect(epoch(300, [])).toBe(540)
    expect(epoch(600, [])).toBe(1_020)
  })

  test('one that never brought anything has no say', () => {
    const { epoch } = setUp(2)
    epoch(10, [[0, 50]])
    epoch(100, [])
    expect(epoch(30, [])).toBe(80)
  })

  test('what it brings then counts, and the watermark waits where it is', () => {
    const { time, epoch } = setUp(2)
    const apart = [
      [0, 5_000],
      [1, 20],
    ] as const
    epoch(10, apart)
    epoch(100, [])
    expect(epoch(30, [])).toBe(50)
    expect(time.observe('t', 1, 60)).toBe(0)
    expect(time.watermark()).toBe(60)
  })

  test('it moves only at the ends of epochs', () => {
    const { time, clock, epoch } = setUp(1)
    epoch(10, [[0, 50]])
    epoch(100, [])
    clock.at += 500
    expect(time.watermark()).toBe(50)
    expect(epoch(0, [])).toBe(550)
  })

  test('it stays where it is while nothing was ever seen', () => {
    const { epoch } = setUp(2)
    expect(epoch(200, [])).toBe(never)
    expect(epoch(200, [])).toBe(never)
    expect(epoch(10, [[0, 50]])).toBe(50)
  })

  test('a record makes its partition lead again, and the watermark waits for it', () => {
    const { epoch } = setUp(1)
    epoch(10, [[0, 50]])
    epoch(100, [])
    expect(epoch(30, [])).toBe(80)
    expect(epoch(10, [[0, 60]])).toBe(80)
    expect(epoch(10, [[0, 90]])).toBe(90)
  })

  test('what it has moved on by is kept over a restart, from where it goes on, and not before idleAfter', () => {
    const { time, epoch, all } = setUp(1)
    const [partition] = all as [{ topic: string; partition: number }]
    epoch(10, [[0, 50]])
    epoch(100, [])
    expect(epoch(30, [])).toBe(80)
    const progress = { position: 5, ...time.progressOf(partition) }
    expect(progress).toEqual({ position: 5, streamTime: 50, watermark: 80, movedOnMs: 30 })
    time.release(all)
    time.assign(partition, progress)
    expect(time.watermark()).toBe(80)
    expect(epoch(99, [])).toBe(80)
    expect(epoch(1, [])).toBe(80)
    expect(epoch(40, [])).toBe(120)
    expect(time.progressOf(partition).movedOnMs).toBe(70)
  })

  test('a record ends it: nothing of it is kept', () => {
    const { time, epoch, all } = setUp(1)
    epoch(10, [[0, 50]])
    epoch(100, [])
    epoch(30, [])
    epoch(10, [[0, 60]])
    expect(time.progressOf(all[0] as never).movedOnMs).toBeUndefined()
  })

  test('it is worth a commit by the second, later by the twentieth of it, and by any ms before it is given up', () => {
    const { time, epoch } = setUp(1)
    const asked = (ms: number, isKept: boolean) => {
      epoch(ms, [])
      const worth = [time.hasMovedOn(false), time.hasMovedOn(true)]
      if (isKept) time.committed(true)
      return worth
    }
    const { committed } = time
    time.committed = () => undefined
    epoch(10, [[0, 50]])
    epoch(100, [])
    time.committed = committed.bind(time)
    expect(time.hasMovedOn(true)).toBe(false)
    time.committed = (isKept = false) => committed.call(time, isKept)
    expect(asked(999, false)).toEqual([false, true])
    expect(asked(1, true)).toEqual([true, true])
    expect(asked(99_000, true)).toEqual([true, true])
    expect(asked(4_999, false)).toEqual([false, true])
    expect(asked(301, true)).toEqual([true, true])
  })

  test('a new partition ends it', () => {
    const { time, epoch } = setUp(1)
    epoch(10, [[0, 50]])
    epoch(100, [])
    time.assign({ topic: 't', partition: 1 }, undefined)
    expect(epoch(30, [])).toBe(50)
  })
})

describe('a partition that others were told to be idle', () => {
  const part = { topic: 't', partition: 0, generation: 0 }

  /** One that brought a record, was idle for long enough to be told so, and has brought another one. */
  function woken() {
    const { time, epoch } = setUp(1)
    const tellers = [time.tells(), time.tells()]
    epoch(10, [[0, 50]])
    epoch(100, [])
    expect(time.toldIdle('t', 0)).toBe(true)
    epoch(10, [[0, 60]])
    return { time, epoch, tellers, told: () => [time.toldIdle('t', 0), time.progressOf(part).toldIdle === true] }
  }

  test('no longer counts as such when all know, and it is where they may have closed windows without it', () => {
    const { time, epoch, told, tellers } = woken()
    tellers[0]?.(part, 70)
    epoch(10, [[0, 80]])
    expect(told()).toEqual([true, true])
    tellers[1]?.(part, 90)
    epoch(10, [[0, 89]])
    expect(told()).toEqual([true, true])
    time.observe('t', 0, 90)
    time.advance([])
    expect([...told(), time.hasNews]).toEqual([true, false, true])
    time.committed()
    expect([...told(), time.hasNews]).toEqual([false, false, false])
  })

  test('counts as such until all know that it is awake again, when it was idle meanwhile', () => {
    const { epoch, told, tellers } = woken()
    for (const teller of tellers) teller(part, 70)
    epoch(100, [])
    epoch(10, [[0, 80]])
    expect(told()).toEqual([true, true])
    for (const teller of tellers) teller(part, 70)
    epoch(10, [])
    expect(told()).toEqual([false, false])
  })

  test('counts as such for whoever has it next, until they know', () => {
    const { time, epoch, told, tellers } = woken()
    time.release([part])
    time.assign({ ...part, generation: 1 }, { position: 5, streamTime: 60, toldIdle: true })
    for (const teller of tellers) teller(part, 50)
    epoch(10, [])
    expect(told()).toEqual([true, true])
    for (const teller of tellers) teller({ ...part, generation: 1 }, 50)
    epoch(10, [])
    expect(told()).toEqual([false, false])
  })
})

describe('inputs', () => {
  /** One partition of each of two inputs, told of in their order. */
  function merged(of: readonly { outOfOrderMs: number; idleAfterMs: number }[]) {
    const clock = { at: 0 }
    const scheduler = Object.assign(new VirtualTimeScheduler(), { now: () => clock.at })
    const time = new EventTime({ now: () => clock.at, scheduler }, 'task', new Inputs(of.length))
    const all = of.map((_, input) => ({ topic: `t${input}`, partition: 0 }))
    for (const [input, options] of of.entries()) time.ofInput(input).configure(options)
    const assign = (input: number) => {
      time.assigned(input, [all[input] as TopicPartition], 1)
      time.assign(all[input] as TopicPartition, undefined)
    }
    const epoch = (ms: number, ...records: (readonly [input: number, at: number])[]) => {
      for (const [input, at] of records) time.observe(`t${input}`, 0, at)
      clock.at += ms
      time.advance(all.map((partition) => ({ ...partition, offset: 1, end: 1 })))
      const watermark = time.watermark()
      time.committed()
      return watermark
    }
    return { time, assign, epoch }
  }

  test('have their own out-of-orderness, whichever is declared last', () => {
    const { time, assign, epoch } = merged([
      { outOfOrderMs: 20, idleAfterMs: 100 },
      { outOfOrderMs: 0, idleAfterMs: 100 },
    ])
    assign(0)
    assign(1)
    expect(epoch(1, [0, 50], [1, 40])).toBe(30)
    expect(epoch(1, [0, 90], [1, 60])).toBe(60)
    expect([time.outOfOrderMsOf('t0'), time.outOfOrderMsOf('t1')]).toEqual([20, 0])
  })

  test('have their own idleness', () => {
    const { assign, epoch } = merged([
      { outOfOrderMs: 0, idleAfterMs: 1_000 },
      { outOfOrderMs: 0, idleAfterMs: 100 },
    ])
    assign(0)
    assign(1)
    expect(epoch(1, [0, 50], [1, 40])).toBe(40)
    expect(epoch(150)).toBe(50)
    expect(epoch(150, [1, 45])).toBe(50)
    expect(epoch(99, [0, 60])).toBe(50)
    expect(epoch(1, [0, 70])).toBe(70)
  })

  test('are configured alike by what stands behind their merge', () => {
    const { time } = merged([
      { outOfOrderMs: 20, idleAfterMs: 1 },
      { outOfOrderMs: 0, idleAfterMs: 1 },
    ])
    time.configure({ outOfOrderMs: 7, idleAfterMs: 1 })
    expect([time.outOfOrderMsOf('t0'), time.outOfOrderMsOf('t1')]).toEqual([7, 7])
  })

  test('that others tell of stand beside one that reads for itself', () => {
    const { time, assign, epoch } = merged([
      { outOfOrderMs: 0, idleAfterMs: 1_000 },
      { outOfOrderMs: 0, idleAfterMs: 1_000 },
    ])
    time.ofInput(1).follow(() => ({ watermark: 33, idle: false }))
    assign(0)
    assign(1)
    expect(epoch(1, [0, 50])).toBe(33)
    expect(time.watermarkOf({ topic: 't0', partition: 0 })).toBe(50)
  })

  test('that were not given anything yet are waited for, and then those of nothing are not', () => {
    const { time, assign, epoch } = merged([
      { outOfOrderMs: 0, idleAfterMs: 100 },
      { outOfOrderMs: 0, idleAfterMs: 100 },
    ])
    assign(0)
    expect(epoch(1_000, [0, 50])).toBe(never)
    time.assigned(1, [], 3)
    expect(epoch(1, [0, 60])).toBe(60)
    expect(time.isWhole).toBe(false)
  })

  test('never let the watermark go back, whatever their options and whenever their groups answer', () => {
    const options = fc.record({ outOfOrderMs: fc.nat(50), idleAfterMs: fc.nat(200) })
    const records = fc.array(fc.tuple(fc.nat(1), fc.nat(1_000)), { maxLength: 3 })
    const epochs = fc.array(fc.tuple(fc.nat(80), records), { maxLength: 30 })
    fc.assert(
      fc.property(options, options, fc.nat(10), epochs, (one, other, late, given) => {
        const { time, assign, epoch } = merged([one, other])
        assign(0)
        let last = never
        for (const [index, [ms, brought]] of given.entries()) {
          if (index === late) assign(1)
          const watermark = epoch(ms, ...brought)
          expect(watermark).toBeGreaterThanOrEqual(last)
          if (index < late) expect(watermark).toBe(never)
          last = watermark
        }
        expect(time.outOfOrderMsOf('t1')).toBe(given.length > late ? other.outOfOrderMs : one.outOfOrderMs)
      }),
    )
  })
})

test('a partition that was not read for some time, or never by a task that goes on, is taken for one that was told to be idle', () => {
  const told = (progress: { position: number; sentOnFor?: string } | undefined, goesOn = false) => {
    const { time } = setUp(0)
    time.tells()
    if (goesOn) time.goesOn()
    time.assigned(0, [{ topic: 't', partition: 0 }], 1)
    time.assign({ topic: 't', partition: 0 }, progress)
    return time.toldIdle('t', 0)
  }
  expect(told({ position: 3, sentOnFor: 'nobody reads it' })).toBe(true)
  expect(told(undefined, true)).toBe(true)
  expect(told({ position: 3 }, true)).toBe(false)
  expect(told(undefined)).toBe(false)
})
