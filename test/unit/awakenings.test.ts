import { defer, of, throwError, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { Awakenings } from '../../src/engine/repartition/awakenings.js'
import {
  type ChannelWriter,
  type HeldPartition,
  type PartitionTold,
  type SinkContext,
  silentLogger,
} from '../../src/model/index.js'

const told: PartitionTold = {
  topic: 'source',
  partition: 0,
  generation: 3,
  position: 7,
  before: 0,
  watermark: 50,
  idle: false,
  movedOnMs: 0,
  total: 1,
}

/** An internal topic of two partitions that ends at 10 and 20, and a task that has read it up to what `reads` said last. */
function setUp() {
  const clock = { ms: 0 }
  const scheduler = Object.assign(new VirtualTimeScheduler(), { now: () => clock.ms })
  const state = { toldIdle: true, held: [] as HeldPartition[], isDown: false }
  const asked: string[] = []
  const heard: (readonly [generation: number, closed: number])[] = []
  const context = {
    clock: { scheduler },
    log: silentLogger,
    time: { toldIdle: () => state.toldIdle },
    held: () => defer(() => (asked.push('held'), state.isDown ? throwError(() => new Error('down')) : of(state.held))),
  } as unknown as SinkContext
  const ends = [10, 20].map((offset, partition) => ({ topic: 'internal', partition, offset }))
  const writer = { ends: () => defer(() => (asked.push('ends'), of(ends))) } as unknown as ChannelWriter
  const awakenings = new Awakenings(
    'internal',
    writer,
    ({ generation }, closed) => heard.push([generation, closed]),
    context,
  )
  return {
    awakenings,
    state,
    heard,
    reads: (...positions: number[]) => {
      state.held = positions.map((position, partition) => {
        return {
          task: 'reader',
          topic: 'internal',
          partition,
          generation: 1,
          sequence: 0,
          progress: { position, watermark: position * 10 },
        }
      })
    },
    tells: (more: Partial<PartitionTold> = {}) => awakenings.told('source-0', { ...told, ...more }),
    /** What is asked when so much time has passed. */
    after: (ms: number) => {
      clock.ms += ms
      asked.length = 0
      awakenings.ask().subscribe()
      return asked.join(' ')
    },
  }
}

test('a partition is awaited again when all has been read that was there when it was told to be awake', () => {
  const { awakenings, heard, reads, tells, after } = setUp()
  tells()
  awakenings.acknowledged()
  reads(10, 19)
  expect(after(1_000)).toBe('ends held')
  reads(15, 20)
  expect(after(2_000)).toBe('held')
  expect(heard).toEqual([[3, 200]])
  expect(after(60_000)).toBe('')
})

test('nothing is asked before that is acknowledged, nor of partitions that are idle, have moved on, or were never told to be', () => {
  const { awakenings, state, tells, after } = setUp()
  tells()
  expect(after(5_000)).toBe('')
  tells({ idle: true })
  awakenings.acknowledged()
  expect(after(5_000)).toBe('')
  tells({ movedOnMs: 1 })
  awakenings.acknowledged()
  expect(after(5_000)).toBe('')
  state.toldIdle = false
  tells()
  awakenings.acknowledged()
  expect(after(5_000)).toBe('')
})

test('who goes idle meanwhile, is of another generation or is told by another producer is asked for anew', () => {
  const { awakenings, heard, reads, tells, after } = setUp()
  const again = (change: () => void) => {
    tells()
    awakenings.acknowledged()
    reads(0, 0)
    expect(after(60_000)).toBe('ends held')
    change()
    reads(10, 20)
    expect(after(60_000)).toBe('')
    awakenings.acknowledged()
    expect(after(60_000)).toBe('ends held')
    tells({ idle: true })
  }
  again(() => {
    tells({ idle: true })
    tells()
  })
  again(() => tells({ generation: 4 }))
  again(() => {
    awakenings.clear()
    tells()
  })
  expect(heard.map(([generation]) => generation)).toEqual([3, 4, 3])
})

test('it is asked less and less often, and a store that does not answer fails nothing', () => {
  const { awakenings, state, tells, after } = setUp()
  tells()
  awakenings.acknowledged()
  state.isDown = true
  expect(after(999)).toBe('')
  const asked: number[] = []
  for (let second = 1; second <= 100; second++) if (after(1_000) !== '') asked.push(second)
  expect(asked).toEqual([1, 3, 7, 15, 31, 61, 91])
})
