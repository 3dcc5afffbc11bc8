import { concat, NEVER, Subject, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { WeirError } from '../../src/model/index.js'
import { EngineBench, held } from '../support/engine-bench.js'

const away = () => new Error('away')

/** A flow whose sink holds its partition back at 0, in the commit of its first record. */
function holding(): EngineBench {
  const bench = new EngineBench({ epoch: { maxRecords: 1 } }).startWith([0])
  bench.sink.holdsAt = 0
  bench.checkpoints.commitWith = () => bench.after(30)
  bench.until(10)
  bench.source.feed(0, 'a')
  expect(bench.diary.take()).toEqual(['10 write a'])
  return bench
}

describe('stop', () => {
  test('lets a running epoch drain and commit', () => {
    const bench = new EngineBench().startWith([0])
    bench.until(10)
    bench.sink.acknowledgeWith = () => bench.after(30)
    bench.source.feed(0, 'a')
    bench.engine.stop()
    expect(bench.status.state).toBe('draining')
    bench.until(1_000)
    expect(bench.diary.take()).toEqual(['10 write a', '40 commit 0@1', '40 mirror 0@1', '40 disconnect', '40 close'])
    expect(bench.states.slice(-2)).toEqual(['10 draining', '40 stopped'])
    expect(bench.ended).toBe('completed')
  })

  test('while an epoch commits has a sink end what it holds back, in another one', () => {
    const bench = holding()
    bench.engine.stop()
    bench.until(1_000)
    const told = ['40 commit 0@0', '40 mirror 0@0', '40 leaving 0', '70 commit 0@1', '70 mirror 0@1']
    expect(bench.diary.take()).toEqual([...told, '70 disconnect', '70 close'])
    expect(bench.ended).toBe('completed')
  })

  test('does not wait for more than one epoch for what a sink goes on to hold back', () => {
    const bench = holding()
    bench.sink.leaving = () => []
    bench.engine.stop()
    bench.until(1_000)
    expect(bench.ended).toBe('completed')
  })

  test('ends a flow that waits for an assignment at once', () => {
    const bench = new EngineBench().start().until(10)
    bench.engine.stop()
    expect(bench.status.state).toBe('stopped')
    expect(bench.diary.take().slice(-2)).toEqual(['10 disconnect', '10 close'])
    expect(bench.ended).toBe('completed')
  })

  test('ends a flow that waits for the rest of its partitions at once', () => {
    const bench = new EngineBench({ global: true }).start()
    bench.source.assign([0], 2)
    bench.engine.stop()
    expect(bench.status.state).toBe('stopped')
  })

  test('ends the wait before a retry', () => {
    const bench = new EngineBench().startWith([0])
    bench.sink.writeWith = () => {
      throw away()
    }
    bench.source.feed(0, 'a')
    bench.until(10)
    expect(bench.status.state).toBe('retrying')
    bench.engine.stop()
    expect(bench.diary.take()).toEqual(['10 disconnect', '10 close'])
    expect(bench.status.state).toBe('stopped')
  })

  test('ends the wait before another life, which does not begin', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.fail(away())
    bench.until(10)
    bench.diary.take()
    bench.engine.stop()
    bench.until(5_000)
    expect(bench.diary.take()).toEqual([])
    expect(bench.states.slice(-3)).toEqual(['0 retrying', '10 draining', '10 stopped'])
    expect(bench.ended).toBe('completed')
  })

  test('does not wait for a sink that does not open', () => {
    const bench = new EngineBench()
    bench.sink.openWith = () => NEVER
    bench.start().until(10)
    bench.engine.stop()
    expect(bench.status.state).toBe('stopped')
    expect(bench.diary.take()).toEqual(['0 lifetime', '0 connect', '0 open', '10 disconnect', '10 close'])
  })

  test('does not wait for state that does not load', () => {
    const bench = new EngineBench().start()
    bench.checkpoints.acquireWith = () => NEVER
    bench.source.assign([0])
    bench.until(10)
    bench.engine.stop()
    expect(bench.status.state).toBe('stopped')
  })

  test('does not wait to retry what fails while it drains', () => {
    const bench = new EngineBench().startWith([0])
    bench.sink.acknowledgeWith = () => concat(bench.after(30), throwError(away))
    bench.source.feed(0, 'a')
    bench.until(10).engine.stop()
    bench.until(5_000)
    expect(bench.diary.take()).toEqual(['10 write a', '40 disconnect', '40 close'])
    expect(bench.states.slice(-2)).toEqual(['10 draining', '40 stopped'])
    expect(bench.checkpoints.transactions.at(-1)).toEqual({ commits: 0, rollbacks: 1 })
  })

  test('begins no other life after an error that needs one', () => {
    const bench = new EngineBench().startWith([0])
    const error = new WeirError('WEIR_CHECKPOINT_FENCED', 'committing: fenced')
    bench.checkpoints.commitWith = () =>
      concat(
        bench.after(30),
        throwError(() => error),
      )
    bench.source.feed(0, 'a')
    bench.until(10).engine.stop()
    bench.until(5_000)
    expect(bench.diary.take()).toEqual(['10 write a', '40 disconnect', '40 close'])
    expect(bench.status.state).toBe('stopped')
  })

  test('before the flow has run runs nothing', () => {
    const bench = new EngineBench()
    bench.engine.stop()
    bench.start()
    expect(bench.status.state).toBe('stopped')
    expect(bench.ended).toBe('completed')
    expect(bench.diary.take()).toEqual(['0 lifetime'])
  })

  test('a second time changes nothing', () => {
    const bench = new EngineBench().startWith([0])
    bench.engine.stop()
    bench.engine.stop()
    expect(bench.states.slice(-2)).toEqual(['0 draining', '0 stopped'])
  })

  test('leaves a failed flow failed', () => {
    const bench = new EngineBench({ attempts: 1 }).startWith([0])
    bench.source.fail(away())
    bench.engine.stop()
    expect(bench.status.state).toBe('failed')
  })

  test('with a change of the assignment at hand carries that out no more', () => {
    const bench = new EngineBench().startWith([0])
    const acknowledged = new Subject<void>()
    bench.sink.acknowledgeWith = () => held(acknowledged)
    bench.source.feed(0, 'a')
    bench.source.assign([1], 2)
    bench.engine.stop()
    acknowledged.next()
    expect(bench.diary.take()).toEqual(['0 write a', '0 commit 0@1', '0 mirror 0@1', '0 disconnect', '0 close'])
  })
})

describe('a crash', () => {
  test('leaves nothing subscribed and no timer behind', () => {
    const bench = new EngineBench().startWith([0])
    bench.source.feed(0, 'a')
    bench.until(150).crash()
    bench.diary.take()
    bench.until(100_000)
    expect(bench.diary.take()).toEqual([])
    expect(bench.scheduler.actions).toEqual([])
    expect(bench.source.connections).toBe(0)
  })

  test('of a flow that has restarted often leaves nothing behind either', () => {
    const bench = new EngineBench({ attempts: 100 }).startWith([0])
    for (let life = 0; life < 5; life++) {
      bench.source.fail(away())
      bench.until((life + 1) * 40_000)
      bench.source.assign([0])
    }
    expect(bench.source.connections).toBe(1)
    bench.crash()
    expect(bench.source.connections).toBe(0)
    bench.until(500_000)
    expect(bench.scheduler.actions).toEqual([])
  })
})

test('a partition that is revoked while an epoch commits is told to a sink that holds it back, before it is released', () => {
  const bench = holding()
  bench.source.revoke([0])
  bench.until(200)
  const told = ['40 commit 0@0', '40 mirror 0@0', '40 leaving 0', '70 commit 0@1', '70 mirror 0@1']
  expect(bench.diary.take()).toEqual([...told, '70 release 0'])
})
