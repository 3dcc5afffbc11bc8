import { concat, EMPTY, finalize, NEVER, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { WeirError } from '../../src/model/index.js'
import { EngineBench } from '../support/engine-bench.js'

const away = () => new Error('the sink is away')
const failing = () => throwError(away)
const stopping = () => new WeirError('WEIR_CHECKPOINT_CORRUPT', 'restoring: nonsense')
const unreachable = () => new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'committing: the answer was lost')

/** Has the first commit fail, and each later one take so long, ms. */
function failOnce(bench: EngineBench, thenMs: number): void {
  bench.checkpoints.commitWith = () => throwError(unreachable)
  bench.source.feed(0, 'a')
  bench.until(100)
  bench.checkpoints.commitWith = () => bench.after(thenMs)
}

describe('a failed epoch', () => {
  test('is rolled back once, and replayed from the last commit', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.feed(0, 'a')
    bench.until(150)
    bench.diary.take()
    bench.sink.acknowledgeWith = failing
    bench.source.feed(0, 'a', 'b')
    bench.until(250)
    expect(bench.counts).toEqual({ a: 2, b: 1 })
    expect(bench.diary.take()).toEqual(['200 write a,b'])
    bench.sink.acknowledgeWith = () => bench.after(0)
    bench.until(800)
    expect(bench.diary.take()).toEqual([
      '700 acquire 0',
      '700 load 0',
      '700 rewind to 0@1',
      '800 write a,b',
      '800 commit 0@3',
      '800 mirror 0@3',
    ])
    expect(bench.counts).toEqual({ a: 2, b: 1 })
    for (const { rollbacks } of bench.checkpoints.transactions) expect(rollbacks).toBeLessThanOrEqual(1)
  })

  test('takes the time of its records with it, so that their replay is not late', () => {
    const bench = new EngineBench({ timed: true }).startWith([0])
    bench.source.feed(0, 'a')
    bench.until(150)
    bench.sink.acknowledgeWith = failing
    bench.source.feed(0, 'b', 'c')
    bench.until(250)
    bench.sink.acknowledgeWith = () => EMPTY
    bench.until(900)
    expect(bench.diary.take()).toContain('800 commit 0@3')
    // What was read: a, b and c, and those two again.
    expect(bench.behind).toEqual([0, 0, 0, 0, 0])
  })

  test('is tried again after 0.5 s, twice as long each time, 30 s at the most, until the attempts are used up', () => {
    const bench = new EngineBench({ attempts: 9 }).startWith([0])
    const tries: number[] = []
    bench.sink.writeWith = () => {
      tries.push(bench.scheduler.now())
      throw away()
    }
    bench.source.feed(0, 'a')
    bench.until(200_000)
    const waits = tries.slice(1).map((at, index) => at - (tries[index] as number))
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    expect(bench.status).toMatchObject({ state: 'failed', failures: 9, error: { message: 'the sink is away' } })
    expect(bench.source.connections).toBe(0)
    expect(bench.diary.take().at(-1)).toBe(`${tries.at(-1)} close`)
  })

  test('counts as recovered when its records are committed', () => {
    const bench = new EngineBench({ attempts: 3 }).startWith([0])
    for (let round = 0; round < 5; round++) {
      let tries = 0
      bench.sink.writeWith = () => {
        if (++tries < 3) throw away()
      }
      bench.source.feed(0, 'a')
      bench.until((round + 1) * 5_000)
      expect(bench.status).toMatchObject({ state: 'running', failures: 0, error: undefined })
    }
  })

  test('does not count as recovered because of an empty epoch before its replay', () => {
    const bench = new EngineBench({ attempts: 3 }).startWith([0])
    bench.sink.writeWith = () => {
      throw away()
    }
    for (const second of [0, 2, 4]) {
      bench.until(second * 1_000)
      bench.source.feed(0, 'a')
      // The broker is slow: what has to be replayed comes an epoch later.
      bench.source.logs.clear()
    }
    expect(bench.status).toMatchObject({ state: 'failed', failures: 3 })
  })

  test('counts as recovered by empty epochs after half a minute', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.fail(new Error('away'))
    bench.until(500).source.assign([0])
    bench.until(29_900)
    expect(bench.status).toMatchObject({ state: 'running', failures: 1 })
    bench.until(30_200)
    expect(bench.status).toMatchObject({ state: 'running', failures: 0, error: undefined })
  })

  test('whose error no retry mends stops the flow at once', () => {
    const bench = new EngineBench().startWith([0])
    bench.sink.writeWith = () => {
      throw stopping()
    }
    bench.source.feed(0, 'a')
    expect(bench.status).toMatchObject({ state: 'failed', failures: 1, error: { code: 'WEIR_CHECKPOINT_CORRUPT' } })
    expect(bench.diary.take()).toEqual(['0 disconnect', '0 close'])
  })

  test('tells its source', () => {
    const bench = new EngineBench().startWith([0])
    const told: unknown[] = []
    Object.assign(bench.source, { failed: (error: unknown) => told.push(error) })
    bench.sink.acknowledgeWith = failing
    bench.source.feed(0, 'a')
    bench.until(100)
    expect(told).toMatchObject([{ code: 'WEIR_TASK_UNEXPECTED', message: 'the sink is away', place: { flow: 'flow' } }])
  })
})

describe('a commit', () => {
  test('that failed is replayed', () => {
    const bench = new EngineBench().startWith([0])
    failOnce(bench, 0)
    bench.until(800)
    expect(bench.diary.take()).toEqual([
      '100 write a',
      '600 acquire 0',
      '600 rewind to 0@0',
      '700 write a',
      '700 commit 0@1',
      '700 mirror 0@1',
    ])
    expect(bench.counts).toEqual({ a: 1 })
  })

  test('is told to the sinks when it is done, and not before', () => {
    const bench = new EngineBench().startWith([0])
    bench.sink.committedWith = () => {
      bench.diary.note('committed')
      return EMPTY
    }
    failOnce(bench, 50)
    bench.until(790)
    expect(bench.diary.take()).toEqual([
      '100 write a',
      '600 acquire 0',
      '600 rewind to 0@0',
      '700 write a',
      '750 commit 0@1',
      '750 mirror 0@1',
      '750 committed',
    ])
  })

  test('of which the answer was lost is not repeated', () => {
    const bench = new EngineBench().startWith([0])
    bench.checkpoints.confirmWith = () => throwError(unreachable)
    bench.source.feed(0, 'a')
    bench.until(100)
    bench.checkpoints.confirmWith = () => bench.after(0)
    bench.until(800)
    expect(bench.diary.take()).toEqual([
      '100 write a',
      '100 commit 0@1',
      '600 acquire 0',
      '600 load 0',
      '600 rewind to 0@1',
    ])
    bench.source.feed(0, 'a')
    bench.until(900)
    expect(bench.counts).toEqual({ a: 2 })
  })

  test('that is fenced off begins another life: everything is closed, opened and restored anew', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.feed(0, 'a')
    bench.until(10).checkpoints.steal([0])
    bench.until(700)
    expect(bench.diary.take()).toEqual(['100 write a', '100 disconnect', '100 close', '600 connect', '600 open'])
    expect(bench.states.slice(-3)).toEqual(['100 retrying', '600 starting', '600 assigning'])
    expect(bench.source.connections).toBe(1)
    bench.source.assign([0])
    bench.until(800)
    expect(bench.diary.take()).toEqual([
      '700 acquire 0',
      '700 start 0 at ',
      '800 write a',
      '800 commit 0@1',
      '800 mirror 0@1',
    ])
  })

  test('that is fenced off forgets the changes of the assignment that were still to come', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.feed(0, 'a')
    bench.until(10).checkpoints.steal([0])
    bench.checkpoints.commitWith = () => bench.after(50)
    bench.source.assign([1], 2)
    bench.source.revoke([0])
    bench.until(5_000)
    expect(bench.diary.take()).toEqual(['10 write a', '60 disconnect', '60 close', '560 connect', '560 open'])
    expect(bench.status.state).toBe('assigning')
  })

  test('rolls each transaction back at most once', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.feed(0, 'a')
    bench.until(10).checkpoints.steal([0])
    bench.until(700)
    expect(bench.checkpoints.transactions).toEqual([{ commits: 1, rollbacks: 1 }])
  })

  test('comes after the dead letters are acknowledged', () => {
    const bench = new EngineBench({ rejects: ['bad'] }).startWith([0])
    bench.deadLetters.flushWith = () => bench.after(30)
    bench.source.feed(0, 'bad')
    bench.until(140)
    expect(bench.diary.take()).toEqual([
      '0 dead letter bad WEIR_STAGE_FAILED (attempt 1)',
      '100 flush',
      '130 commit 0@1',
      '130 mirror 0@1',
    ])
  })

  test('does not happen when a dead letter is not acknowledged', () => {
    const bench = new EngineBench({ rejects: ['bad'] }).startWith([0])
    bench.deadLetters.flushWith = () => concat(bench.after(30), throwError(away))
    bench.source.feed(0, 'bad')
    bench.until(140)
    bench.deadLetters.flushWith = () => bench.after(0)
    bench.until(800)
    expect(bench.diary.take()).toEqual([
      '0 dead letter bad WEIR_STAGE_FAILED (attempt 1)',
      '100 flush',
      '630 acquire 0',
      '630 rewind to 0@0',
      '630 dead letter bad WEIR_STAGE_FAILED (attempt 2)',
      '730 flush',
      '730 commit 0@1',
      '730 mirror 0@1',
    ])
  })

  test('of an empty epoch does not write to the checkpoint store', () => {
    const bench = new EngineBench().startWith([0])
    bench.until(1_000)
    // Where it begins is decided once, and kept.
    expect(bench.diary.take()).toEqual(['100 commit 0@0', '100 mirror 0@0'])
    expect(bench.checkpoints.transactions.length).toBeGreaterThan(9)
    expect(bench.checkpoints.transactions.slice(1).every(({ commits }) => commits === 0)).toBe(true)
    expect(bench.status.lastCommitAt).toBe(1_000)
  })

  test('of an epoch that read nothing happens when something was written', () => {
    const bench = new EngineBench({ tells: 'the hour' }).startWith([0])
    bench.until(200)
    expect(bench.diary.take().slice(-2)).toEqual(['200 write the hour', '200 commit 0@0'])
    expect(bench.checkpoints.transactions[1]).toEqual({ commits: 1, rollbacks: 0 })
  })

  test('of an epoch that read nothing happens when state has changed', () => {
    const bench = new EngineBench({ countsEpochs: true }).startWith([0])
    bench.until(300)
    expect(bench.diary.take().slice(-2)).toEqual(['200 commit 0@0', '300 commit 0@0'])
  })

  test('of a flow with checkpoints does not fail because the group does not take the positions', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.commitWith = failing
    bench.source.feed(0, 'a')
    bench.until(1_000)
    expect(bench.diary.take()).toEqual(['100 write a', '100 commit 0@1'])
    expect(bench.status).toMatchObject({ state: 'running', failures: 0 })
  })

  test('of a flow with checkpoints does not wait for the group to take the positions', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.commitWith = () => bench.after(3_000)
    bench.source.feed(0, 'a')
    bench.until(150).source.feed(0, 'b')
    bench.until(4_000)
    const [, , ...later] = bench.diary.take()
    expect(later).toEqual(['200 write b', '200 commit 0@2', '3100 mirror 0@1', '3200 mirror 0@2'])
  })

  test('of a flow without checkpoints waits for the group to take the positions', () => {
    const bench = new EngineBench({ stateful: false }).startWith([0])
    bench.source.commitWith = () => bench.after(3_000)
    bench.source.feed(0, 'a')
    bench.until(150).source.feed(0, 'b')
    bench.until(6_300)
    expect(bench.diary.take()).toEqual(['100 write a', '3100 mirror 0@1', '3200 write b', '6200 mirror 0@2'])
  })

  test('of a flow without checkpoints is the one of the group, and fails with it', () => {
    const bench = new EngineBench({ stateful: false }).startWith([0])
    bench.source.commitWith = failing
    bench.source.feed(0, 'a')
    bench.until(100)
    bench.source.commitWith = () => bench.after(0)
    bench.until(1_000)
    expect(bench.diary.take()).toEqual(['100 write a', '600 rewind to 0@0', '700 write a', '700 mirror 0@1'])
  })
})

describe('a source', () => {
  test('that fails is subscribed anew, and everything else with it', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.feed(0, 'a')
    bench.until(10).source.fail(new WeirError('WEIR_SOURCE_STALLED', 'reading: nothing came'))
    bench.until(600)
    expect(bench.diary.take()).toEqual(['10 disconnect', '10 close', '510 connect', '510 open'])
    expect(bench.source.connections).toBe(1)
  })

  test('keeps its lifetime over all lives, until the flow has ended', () => {
    const bench = new EngineBench()
    bench.source.lifetimeWith = () => NEVER.pipe(finalize(() => bench.diary.note('lifetime over')))
    bench.start().source.fail(new Error('away'))
    bench.until(600)
    bench.engine.stop()
    const lifetimes = bench.diary.take().filter((entry) => /lifetime|close|connect/.test(entry))
    expect(lifetimes).toEqual([
      '0 lifetime',
      '0 connect',
      '0 disconnect',
      '0 close',
      '500 connect',
      '600 disconnect',
      '600 close',
      '600 lifetime over',
    ])
  })

  test('whose lifetime fails is a failed flow', () => {
    const bench = new EngineBench()
    bench.source.lifetimeWith = () => throwError(() => new WeirError('WEIR_HTTP_ROUTE_TAKEN', 'serving: it is taken'))
    bench.start().until(5_000)
    expect(bench.status).toMatchObject({ state: 'failed', failures: 1, error: { code: 'WEIR_HTTP_ROUTE_TAKEN' } })
    expect(bench.source.connections).toBe(0)
  })

  test('whose lifetime fails late leaves nothing open', () => {
    const bench = new EngineBench()
    bench.source.lifetimeWith = () => concat(bench.after(250), throwError(away))
    bench.startWith([0]).source.feed(0, 'a')
    bench.until(5_000)
    expect(bench.diary.take()).toEqual([
      '100 write a',
      '100 commit 0@1',
      '100 mirror 0@1',
      '250 disconnect',
      '250 close',
    ])
    expect(bench.status.state).toBe('failed')
  })
})

describe('what fails while it is closed', () => {
  const withFailingClose = () => {
    const bench = new EngineBench().startWith([0])
    bench.sink.closeWith = failing
    return bench
  }

  test('does not hide why the flow has failed', () => {
    const bench = withFailingClose()
    bench.sink.writeWith = () => {
      throw stopping()
    }
    bench.source.feed(0, 'a')
    bench.until(5_000)
    expect(bench.status).toMatchObject({ state: 'failed', failures: 1, error: { code: 'WEIR_CHECKPOINT_CORRUPT' } })
    expect(bench.diary.take()).toEqual(['0 disconnect', '0 close'])
  })

  test('does not keep a flow from stopping', () => {
    const bench = withFailingClose()
    bench.engine.stop()
    expect(bench.status).toMatchObject({ state: 'stopped', failures: 0 })
  })
})
