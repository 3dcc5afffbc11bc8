import { EMPTY, NEVER, VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { flow } from '../../src/engine/flow-builders.js'
import type { EpochReport, FlowStatus } from '../../src/engine/index.js'
import { json, kafka } from '../../src/index.js'
import { type Logger, silentLogger, WeirError } from '../../src/model/index.js'
import { VirtualFlow } from '../../src/testing/index.js'
import { EngineBench } from '../support/engine-bench.js'
import { listSink } from '../support/list-sink.js'

const letters = (count: number) => Array.from({ length: count }, (_, index) => `v${index}`)

describe('backpressure', () => {
  test('a slow sink is given no more than one epoch', () => {
    const bench = new EngineBench({ epoch: { maxRecords: 10 } }).startWith([0])
    bench.sink.acknowledgeWith = () => bench.after(1_000)
    bench.source.feed(0, ...letters(100))
    for (let second = 0; second < 10; second++) {
      bench.until(second * 1_000 + 500)
      expect(bench.source.positions()).toEqual([{ topic: 't', partition: 0, offset: (second + 1) * 10 }])
    }
    expect(bench.source.largestEpoch).toBe(10)
  })
})

describe('an epoch ends', () => {
  test('after maxRecords', () => {
    const bench = new EngineBench({ epoch: { maxRecords: 2 } }).startWith([0])
    bench.source.feed(0, 'a', 'b', 'c')
    expect(bench.diary.take()).toEqual(['0 write a,b', '0 commit 0@2', '0 mirror 0@2'])
    bench.until(100)
    expect(bench.diary.take()).toEqual(['100 write c', '100 commit 0@3', '100 mirror 0@3'])
  })

  test('after maxBytes', () => {
    const bench = new EngineBench({ epoch: { maxBytes: 100 }, bytes: 40 }).startWith([0])
    bench.source.feed(0, 'a', 'b', 'c', 'd')
    expect(bench.diary.take()).toContain('0 write a,b,c')
    bench.until(100)
    expect(bench.diary.take()).toContain('100 write d')
  })

  test('after its time, counted from its beginning', () => {
    const bench = new EngineBench({ epoch: { every: 70 } }).startWith([0])
    bench.until(60).source.feed(0, 'a')
    bench.until(130).source.feed(0, 'b')
    bench.until(140)
    expect(bench.diary.take().filter((entry) => entry.includes('write'))).toEqual(['70 write a', '140 write b'])
  })

  test('and thousands follow each other in one moment without exhausting the stack', () => {
    const scheduler = new VirtualTimeScheduler()
    const virtual = new VirtualFlow(flow(kafka.source({ topic: 'numbers' }), json<number>(), listSink()), scheduler)
    for (let index = 0; index < 3_000; index++) virtual.append(0, index)
    scheduler.schedule(() => virtual.start(), 0)
    scheduler.schedule(() => virtual.stop(), 1)
    scheduler.flush()
    expect(virtual.committed).toHaveLength(3_000)
    expect(virtual.status()?.state).toBe('stopped')
  })
})

describe('several flows', () => {
  const beside = () => new EngineBench({ attempts: 1 })

  test('one that fails leaves the others running', () => {
    const other = beside()
    const bench = new EngineBench({ attempts: 1, beside: { other: other.declared } }).startWith([0])
    other.source.assign([0])
    bench.source.fail(new Error('away'))
    other.source.feed(0, 'a')
    bench.until(300)
    expect(bench.engine.status()).toMatchObject([
      { flow: 'flow', state: 'failed', error: { message: 'away' } },
      { flow: 'other', state: 'running', failures: 0 },
    ])
    expect(other.diary.take().map((entry) => entry.replace(/^\d+ /, ''))).toContain('write a')
    expect(bench.ended).toBe('no')
    bench.engine.stop()
    expect(bench.engine.status().map(({ state }) => state)).toEqual(['failed', 'stopped'])
    expect(bench.ended).toBe('completed')
  })

  test('all that fail end the engine', () => {
    const other = beside()
    const bench = new EngineBench({ attempts: 1, beside: { other: other.declared } }).startWith([0])
    bench.source.fail(new Error('away'))
    other.source.fail(new Error('away too'))
    expect(bench.ended).toBe('completed')
  })
})

describe('status', () => {
  const only = ({ state, failures, error, lastCommitAt }: FlowStatus) => ({
    state,
    failures,
    error: error?.message,
    lastCommitAt,
  })

  test('in each state', () => {
    const bench = new EngineBench()
    bench.sink.openWith = () => bench.after(10)
    const seen = { failures: 0, error: undefined, lastCommitAt: undefined }
    expect(only(bench.status)).toEqual({ ...seen, state: 'starting' })
    bench.start()
    expect(only(bench.status)).toEqual({ ...seen, state: 'starting' })
    bench.until(10)
    expect(only(bench.status)).toEqual({ ...seen, state: 'assigning' })
    bench.source.assign([0])
    expect(only(bench.status)).toEqual({ ...seen, state: 'running' })
    bench.until(120)
    expect(only(bench.status)).toEqual({ ...seen, state: 'running', lastCommitAt: 110 })
    bench.source.fail(new Error('away'))
    expect(only(bench.status)).toEqual({ state: 'retrying', failures: 1, error: 'away', lastCommitAt: 110 })
    bench.until(620)
    expect(only(bench.status)).toEqual({ state: 'starting', failures: 1, error: 'away', lastCommitAt: 110 })
    bench.until(630).source.assign([0])
    bench.sink.acknowledgeWith = () => bench.after(50)
    bench.engine.stop()
    expect(only(bench.status)).toEqual({ state: 'draining', failures: 1, error: 'away', lastCommitAt: 110 })
    bench.until(680)
    expect(bench.status).toMatchObject({ state: 'stopped', since: 680 })
    expect(bench.states).toEqual([
      '0 starting',
      '10 assigning',
      '10 running',
      '120 retrying',
      '620 starting',
      '630 assigning',
      '630 running',
      '630 draining',
      '680 stopped',
    ])
  })

  test('tells of the partitions what is read and what there is', () => {
    const bench = new EngineBench({ epoch: { maxRecords: 2 } }).startWith([0, 1])
    bench.sink.acknowledgeWith = () => bench.after(1_500)
    bench.source.feed(0, 'a', 'b', 'c')
    bench.until(1_000)
    expect(bench.status.partitions).toEqual([
      { topic: 't', partition: 0, offset: 2, end: 3, streamTime: undefined },
      { topic: 't', partition: 1, offset: 0, end: 0, streamTime: undefined },
    ])
    // Read since the end was asked for: what comes once an epoch must not seem to wait for ever.
    bench.until(1_600)
    expect(bench.status.partitions[0]).toMatchObject({ offset: 3, end: 3 })
    bench.source.revoke([0])
    bench.until(9_000)
    expect(bench.status.partitions.map(({ partition }) => partition)).toEqual([1])
  })

  test('counts what goes into and out of each stage', () => {
    const bench = new EngineBench({ rejects: ['bad'] }).startWith([0])
    bench.source.feed(0, 'a', 'bad', 'b')
    const counts = () => bench.status.stages.map(({ stage, in: into, out, rejected }) => [stage, into, out, rejected])
    expect(counts()).toEqual([
      ['source', 0, 3, 0],
      ['keep', 3, 2, 1],
      ['sink', 2, 0, 0],
    ])
    bench.until(100)
    expect(counts()).toEqual([
      ['source', 0, 3, 0],
      ['keep', 3, 2, 1],
      ['sink', 2, 2, 0],
    ])
  })
})

describe('an observer', () => {
  test('is told of epochs, rejections and samples of what was written', () => {
    const epochs: EpochReport[] = []
    const told: unknown[] = []
    const bench = new EngineBench({
      rejects: ['bad'],
      observer: {
        epoch: (report) => epochs.push(report),
        rejected: ({ stage, error, at, correlationId }) => told.push([stage, error.code, at, correlationId]),
        written: (written) => told.push(written),
      },
    }).startWith([0])
    bench.checkpoints.commitWith = () => bench.after(20)
    bench.sink.acknowledgeWith = () => bench.after(30)
    bench.source.feed(0, 'a', 'bad', 'b')
    expect(told).toEqual([['keep', 'WEIR_STAGE_FAILED', 't-0@1', 't-0@1']])
    bench.until(300)
    expect(epochs).toEqual([
      { flow: 'flow', part: 'flow', epoch: 0, records: 3, durationMs: 150, commitMs: 20 },
      { flow: 'flow', part: 'flow', epoch: 1, records: 0, durationMs: 130, commitMs: 0 },
    ])
    expect(told.slice(1)).toEqual([{ flow: 'flow', stage: 'sink', value: 'b' }])
  })

  test('is not told of values whose epoch failed', () => {
    const told: unknown[] = []
    const bench = new EngineBench({ observer: { written: ({ value }) => told.push(value) } }).startWith([0])
    bench.sink.acknowledgeWith = () => {
      throw new Error('away')
    }
    bench.source.feed(0, 'a')
    bench.until(110)
    bench.sink.acknowledgeWith = () => EMPTY
    // Nothing of the replay has come yet when the next epoch ends.
    bench.source.logs.clear()
    bench.until(800)
    expect(told).toEqual([])
  })
})

describe('the log', () => {
  const lines = (bench: (log: Logger) => EngineBench) => {
    const written: unknown[] = []
    const write =
      (level: string): Logger['warn'] =>
      (...args: unknown[]) =>
        written.push([level, args.at(-1)])
    const log: Logger = { ...silentLogger, warn: write('warn'), error: write('error'), child: () => log }
    bench(log)
    return written
  }

  test('tells of each failure what follows, and of the last that the flow stops', () => {
    const written = lines((log) => {
      const bench = new EngineBench({ log, attempts: 1 }).startWith([0])
      bench.source.fail(new WeirError('WEIR_SOURCE_STALLED', 'reading: nothing came', { hint: 'Look at the broker.' }))
      bench.until(600).source.assign([0])
      bench.sink.writeWith = () => {
        throw new Error('away')
      }
      bench.source.feed(0, 'a')
      return bench
    })
    expect(written).toEqual([
      ['warn', "restart in 500 ms: reading: nothing came (flow 'flow'). Look at the broker."],
      ['error', "the flow stops: away (flow 'flow')"],
    ])
  })

  test('tells when a flow that stops could not commit its last epoch', () => {
    const written = lines((log) => {
      const bench = new EngineBench({ log }).startWith([0])
      bench.source.feed(0, 'a')
      bench.until(10).checkpoints.steal([0])
      bench.engine.stop()
      return bench
    })
    expect(written).toEqual([['warn', expect.stringMatching(/^ending without a commit: committing .* another task/)]])
  })

  test('tells of a flow whose lifetime fails', () => {
    const written = lines((log) => {
      const bench = new EngineBench({ log })
      bench.source.lifetimeWith = () => {
        throw new WeirError('WEIR_HTTP_ROUTE_TAKEN', 'serving: it is taken')
      }
      return bench.start()
    })
    expect(written).toEqual([['error', "the flow stops: serving: it is taken (flow 'flow')"]])
  })

  test('is quiet while all is well', () => {
    const written = lines((log) => {
      const bench = new EngineBench({ log })
      bench.source.lifetimeWith = () => NEVER
      return bench.startWith([0]).until(5_000)
    })
    expect(written).toEqual([])
  })
})
