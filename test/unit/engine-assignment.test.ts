import { concat, Subject, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { EngineBench, held } from '../support/engine-bench.js'

describe('an assignment', () => {
  test('is acquired and restored before reading starts, at the committed positions', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.feed(0, 'a', 'b')
    bench.until(150)
    bench.diary.take()
    bench.source.revoke([0])
    bench.diary.take()
    bench.source.assign([0])
    expect(bench.diary.take()).toEqual(['150 acquire 0', '150 load 0', '150 start 0 at 0@2'])
    bench.source.feed(0, 'a')
    bench.until(300)
    expect(bench.counts['a']).toBe(2)
  })

  test('of new partitions starts where the group says, and a replay goes back to there', () => {
    const bench = new EngineBench().start()
    bench.source.assign([0, 1])
    expect(bench.diary.take()).toEqual(['0 lifetime', '0 connect', '0 open', '0 acquire 0,1', '0 start 0,1 at '])
    bench.sink.writeWith = () => {
      throw new Error('away')
    }
    bench.source.feed(1, 'a')
    bench.until(600)
    expect(bench.diary.take()).toEqual(['500 acquire 0,1', '500 rewind to 0@0,1@0'])
  })

  test('that comes during an epoch waits until that is committed', () => {
    const bench = new EngineBench().startWith([0])
    bench.until(10)
    bench.sink.acknowledgeWith = () => bench.after(30)
    bench.source.feed(0, 'a')
    bench.source.assign([1], 2)
    bench.until(100)
    expect(bench.diary.take()).toEqual([
      '10 write a',
      '40 commit 0@1',
      '40 mirror 0@1',
      '40 acquire 1',
      '40 start 1 at ',
    ])
  })
})

test('without any partition, as a member has it that is one too many, leaves the task idle', () => {
  const bench = new EngineBench().start()
  bench.source.assign([], 3)
  bench.until(500_000)
  expect(bench.status).toMatchObject({ state: 'idle', error: undefined })
  bench.source.assign([1], 3)
  bench.source.feed(1, 'a')
  bench.until(500_200)
  expect(bench.status.state).toBe('running')
  expect(bench.counts['a']).toBe(1)
})

describe('a revocation', () => {
  test('cuts the epoch, lets it drain and commit, and then releases', () => {
    const bench = new EngineBench().startWith([0, 1])
    bench.until(10)
    bench.sink.acknowledgeWith = () => bench.after(30)
    bench.source.feed(0, 'a')
    bench.until(20).source.revoke([0])
    bench.until(90)
    expect(bench.diary.take()).toEqual(['20 write a', '50 commit 0@1,1@0', '50 mirror 0@1,1@0', '50 release 0'])
    bench.source.feed(1, 'b')
    bench.until(300)
    expect(bench.diary.take()).toContain('180 commit 1@1')
  })

  test('takes state and time of its partitions with it', () => {
    const bench = new EngineBench().startWith([0, 1])
    bench.source.feed(0, 'a')
    bench.source.feed(1, 'b')
    bench.until(150)
    expect(bench.kept()).toEqual({ stores: [0, 1], times: [0, 1] })
    bench.source.revoke([1])
    bench.until(300)
    expect(bench.kept()).toEqual({ stores: [0], times: [0] })
  })

  test('of everything leaves the task waiting, and no epoch runs', () => {
    const bench = new EngineBench().startWith([0])
    bench.until(10).source.revoke([0])
    const transactions = bench.checkpoints.transactions.length
    bench.until(5_000)
    expect(bench.diary.take()).toEqual(['10 commit 0@0', '10 mirror 0@0', '10 release 0'])
    expect(bench.checkpoints.transactions).toHaveLength(transactions)
  })

  test('of everything leaves the task idle, which is no ailment, until it gets partitions again', () => {
    const bench = new EngineBench().startWith([0])
    bench.until(10).source.revoke([0])
    bench.until(500_000)
    expect(bench.status).toMatchObject({ state: 'idle', lastCommitAt: undefined, watermark: undefined })
    bench.source.assign([0])
    bench.until(500_050)
    expect(bench.status).toMatchObject({ state: 'running', since: 500_000 })
    bench.until(500_200)
    expect(bench.status.lastCommitAt).toBeGreaterThan(500_000)
  })

  test('is not held up by the wait before a retry', () => {
    const bench = new EngineBench().startWith([0])
    bench.sink.writeWith = () => {
      throw new Error('away')
    }
    bench.source.feed(0, 'a')
    bench.until(100).source.revoke([0])
    expect(bench.status.state).toBe('idle')
    expect(bench.diary.take()).toEqual(['100 release 0', '100 acquire ', '100 rewind to '])
  })

  test('is not held up by the wait before a retry when the draining epoch is what failed', () => {
    const bench = new EngineBench().startWith([0])
    bench.until(10)
    bench.source.feed(0, 'a')
    bench.sink.acknowledgeWith = () =>
      concat(
        bench.after(30),
        throwError(() => new Error('away')),
      )
    bench.source.revoke([0])
    bench.until(40)
    expect(bench.diary.take()).toEqual(['10 write a', '40 release 0', '40 acquire ', '40 rewind to '])
  })
})

describe('lost partitions', () => {
  test('end the epoch without a commit', () => {
    const bench = new EngineBench().startWith([0])
    bench.until(10)
    bench.source.feed(0, 'a')
    bench.source.revoke([0], { lost: true })
    bench.until(5_000)
    expect(bench.diary.take().filter((entry) => /commit|mirror|write/.test(entry))).toEqual([])
    expect(bench.status.state).toBe('idle')
  })

  test('are released at once, not after the wait before a retry', () => {
    const bench = new EngineBench().startWith([0])
    bench.until(10).source.revoke([0], { lost: true })
    expect(bench.diary.take()).toContain('10 release 0')
  })

  test('are not committed when they are lost while dead letters are flushed', () => {
    const bench = new EngineBench({ rejects: ['bad'] }).startWith([0])
    const flushed = new Subject<void>()
    bench.deadLetters.flushWith = () => held(flushed)
    bench.source.feed(0, 'bad')
    bench.until(150)
    expect(bench.diary.take().at(-1)).toBe('100 flush')
    bench.source.revoke([0], { lost: true })
    flushed.next()
    bench.until(5_000)
    expect(bench.diary.take().filter((entry) => /commit|mirror/.test(entry))).toEqual([])
  })

  test('leave the others: those go back to their last commit', () => {
    const bench = new EngineBench().startWith([0, 1])
    bench.source.feed(0, 'a')
    bench.source.feed(1, 'b')
    bench.until(150)
    bench.diary.take()
    bench.source.feed(1, 'c')
    bench.source.revoke([0], { lost: true })
    bench.until(300)
    expect(bench.diary.take()).toEqual([
      '150 release 0',
      '150 acquire 1',
      '150 load 1',
      '150 rewind to 1@1',
      '250 write c',
      '250 commit 1@2',
      '250 mirror 1@2',
    ])
    expect(bench.counts).toEqual({ a: 1, b: 1, c: 1 })
  })
})

describe('an assignment that changes while the task waits to retry', () => {
  test('ends the wait: the old partitions go back, the new ones are restored', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.feed(0, 'a')
    bench.until(150)
    bench.sink.writeWith = () => {
      throw new Error('away')
    }
    bench.source.feed(0, 'b')
    bench.until(160)
    bench.diary.take()
    bench.sink.writeWith = () => undefined
    bench.source.assign([1], 2)
    expect(bench.diary.take()).toEqual([
      '160 acquire 0',
      '160 load 0',
      '160 rewind to 0@1',
      '160 acquire 1',
      '160 start 1 at ',
    ])
    bench.until(300)
    expect(bench.diary.take()).toEqual(['260 write b', '260 commit 0@2,1@0', '260 mirror 0@2,1@0'])
  })

  test('does not turn a failing restore into a busy loop', () => {
    const bench = new EngineBench({ attempts: 5 }).start()
    bench.checkpoints.acquireWith = () => {
      throw new Error('away')
    }
    bench.source.assign([0])
    bench.until(10_000)
    const acquired = bench.diary.take().filter((entry) => entry.includes('acquire'))
    expect(acquired).toEqual(['0 acquire 0', '500 acquire 0', '1500 acquire 0', '3500 acquire 0', '7500 acquire 0'])
    expect(bench.status.state).toBe('failed')
  })
})

describe('a flow that needs all partitions', () => {
  test('as a newcomer stops after 5 s with only some of them', () => {
    const bench = new EngineBench({ global: true }).start()
    bench.source.assign([0], 2)
    bench.source.feed(0, 'a')
    bench.until(4_999)
    expect(bench.status.state).toBe('running')
    bench.until(5_000)
    expect(bench.status).toMatchObject({
      state: 'failed',
      error: { code: 'WEIR_TOPOLOGY_PARTIAL_ASSIGNMENT', message: expect.stringContaining('1 of 2 partitions (t-0)') },
    })
    expect(bench.diary.take().filter((entry) => /write|commit/.test(entry))).toEqual([])
  })

  test('that had them all waits, and goes on when they return', () => {
    const bench = new EngineBench({ global: true }).startWith([0, 1])
    bench.until(10).source.revoke([1])
    bench.source.feed(0, 'a')
    bench.until(50_000)
    expect(bench.diary.take()).toEqual(['10 commit 0@0,1@0', '10 mirror 0@0,1@0', '10 release 1'])
    bench.source.assign([1], 2)
    bench.until(50_200)
    expect(bench.diary.take()).toContain('50100 commit 0@1,1@0')
  })

  test('that had them all stops after 60 s without them', () => {
    const bench = new EngineBench({ global: true }).startWith([0, 1])
    bench.until(10).source.revoke([1])
    bench.until(60_009)
    expect(bench.status.state).toBe('running')
    bench.until(60_010)
    expect(bench.status.error?.code).toBe('WEIR_TOPOLOGY_PARTIAL_ASSIGNMENT')
  })
})
