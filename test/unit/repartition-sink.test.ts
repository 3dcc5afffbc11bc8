import { defer, EMPTY, from, NEVER, of, throwError, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { type Message, unpack } from '../../src/engine/repartition/messages.js'
import { repartitionSink } from '../../src/engine/repartition/repartition-sink.js'
import {
  asWeirError,
  type ChannelKind,
  type ChannelWriter,
  type Connection,
  type PartitionTold,
  type SinkContext,
  StreamRecord,
  silentLogger,
  WeirError,
} from '../../src/model/index.js'

const endOf = ({ code, remedy }: WeirError) => (remedy === 'retry' ? code : `${code} ${remedy}`)

/** A sink over a writer that fails to flush when it is told to, and what was called of it. */
function setUp(told: readonly PartitionTold[] = [], left: readonly PartitionTold[] = []) {
  const calls: string[] = []
  const written: Message[] = []
  const errors: WeirError[] = []
  const failing: { next: boolean | WeirError } = { next: false }
  const writer: ChannelWriter = {
    open: () => defer(() => (calls.push('open'), of(1))),
    write: ({ value }) => {
      calls.push('write')
      written.push(unpack(value as Buffer))
    },
    flush: () =>
      defer(() => {
        calls.push('flush')
        const { next } = failing
        return next ? throwError(() => (next === true ? new WeirError('WEIR_SINK_FAILED', 'no answer') : next)) : EMPTY
      }),
    ends: () => EMPTY,
    close: () => EMPTY,
  }
  const channel: ChannelKind<Connection> = { writer: () => writer, source: () => NEVER as never }
  const context = {
    flow: 'flow',
    stage: 'stage',
    log: silentLogger,
    time: { told: () => told, left: () => left, tells: () => () => undefined, toldIdle: () => false },
    clock: { scheduler: new VirtualTimeScheduler() },
    connection: () => ({}),
  } as unknown as SinkContext
  const joint = {
    connectionKind: 'test',
    channel,
    topic: 'internal',
    group: 'internal',
    like: 'single',
    reads: ['source'],
    keepsBytes: true,
  } as const
  const sink = repartitionSink.build(joint, context)
  /** What one epoch calls, and how it ends, with a record of each of these places. */
  const epoch = (...places: (readonly [partition: number, offset: number])[]) => {
    const records = (places.length > 0 ? places : [[0, 0] as const]).map(
      ([partition, offset]) => new StreamRecord('key', 1, 0, [], { topic: 'source', partition, offset }),
    )
    return epochOf(records)
  }
  const epochOf = (records: readonly StreamRecord[]) => {
    let end = 'open'
    calls.length = written.length = 0
    const error = (thrown: unknown) => {
      const failure = asWeirError(thrown)
      errors.push(failure)
      end = endOf(failure)
    }
    sink.write(from(records)).subscribe({ complete: () => (end = 'complete'), error })
    return [...calls, end]
  }
  sink.open?.().subscribe()
  return { calls, written, errors, failing, sink, epoch, epochOf }
}

test('a topic that is open is written to, and flushed', () => {
  const { calls, epoch } = setUp()
  expect(calls).toEqual(['open'])
  expect(epoch()).toEqual(['write', 'flush', 'complete'])
  expect(epoch()).toEqual(['write', 'flush', 'complete'])
})

test('after an error it is opened again before the next epoch is written', () => {
  const { failing, epoch } = setUp()
  failing.next = true
  expect(epoch()).toEqual(['write', 'flush', 'WEIR_SINK_FAILED'])
  failing.next = false
  expect(epoch()).toEqual(['open', 'write', 'flush', 'complete'])
  expect(epoch()).toEqual(['write', 'flush', 'complete'])
})

test('after an epoch that was cut off it is opened again: what it was flushing may have failed with nobody to hear it', () => {
  const { calls, sink, epoch } = setUp()
  sink.write(NEVER).subscribe().unsubscribe()
  expect(epoch()).toEqual(['open', 'write', 'flush', 'complete'])
  expect(epoch()).toEqual(['write', 'flush', 'complete'])
  calls.length = 0
  sink.write(EMPTY).subscribe()
  expect(calls).toEqual(['flush'])
})

test('how far a partition has come is told once, and again when the topic had to be opened again', () => {
  const far = {
    topic: 'source',
    partition: 0,
    generation: 1,
    position: 5,
    before: 0,
    watermark: 10,
    idle: false,
    movedOnMs: 0,
    total: 1,
  }
  const { failing, written, epoch } = setUp([far])
  epoch()
  expect(written).toMatchObject([{ kind: 'record' }, { kind: 'told', ...far }])
  epoch()
  expect(written).toMatchObject([{ kind: 'record' }])
  failing.next = true
  epoch()
  failing.next = false
  epoch()
  expect(written).toMatchObject([{ kind: 'record' }, { kind: 'told', ...far }])
})

test('that a topic took the place of another is told before what it has sent', () => {
  const far = {
    topic: 'source',
    partition: 0,
    generation: 2,
    position: 0,
    before: 501,
    watermark: 10,
    idle: false,
    movedOnMs: 0,
    total: 1,
  }
  const { written, epoch } = setUp([far])
  epoch()
  expect(written).toMatchObject([{ kind: 'told', before: 501 }, { kind: 'record' }])
})

test('what is left of a topic that is read no longer is told to be sent; of a partition that is no more, nothing is', () => {
  const left = {
    topic: 'old',
    generation: 1,
    position: 5,
    before: 0,
    watermark: 10,
    idle: true,
    movedOnMs: 0,
    total: 0,
  }
  const { written, epoch } = setUp(
    [],
    [
      { ...left, partition: 0, isForgotten: true },
      { ...left, partition: 1 },
    ],
  )
  epoch()
  expect(written.filter(({ kind }) => kind === 'told')).toMatchObject([{ topic: 'old', partition: 0, position: 5 }])
})

test('which topics are read is told by the first partition, once what is left of others is sent and committed', () => {
  const far = {
    topic: 'source',
    generation: 1,
    position: 5,
    before: 0,
    watermark: 10,
    idle: false,
    movedOnMs: 0,
    total: 2,
  }
  const told = [
    { ...far, partition: 0 },
    { ...far, partition: 1 },
  ]
  const left: PartitionTold[] = [{ ...far, topic: 'old', partition: 0, idle: true, isForgotten: true }]
  const { written, epoch } = setUp(told, left)
  const readsOf = () => written.flatMap((message) => (message.kind === 'told' ? [[message.topic, message.reads]] : []))
  epoch()
  expect(readsOf()).toEqual([
    ['old', undefined],
    ['source', undefined],
    ['source', undefined],
  ])
  left.length = 0
  epoch()
  expect(readsOf()).toEqual([['source', ['source']]])
})

test('how far a partition has come is told behind what it has sent, and the next epoch waits for it', () => {
  const far = {
    topic: 'source',
    partition: 0,
    generation: 1,
    position: 5,
    before: 0,
    watermark: 10,
    idle: false,
    movedOnMs: 0,
    total: 1,
  }
  const { epoch } = setUp([far])
  expect(epoch()).toEqual(['write', 'flush', 'write', 'complete'])
  expect(epoch()).toEqual(['write', 'flush', 'complete'])
})

test('records that were made of one are numbered, whatever comes between them', () => {
  const { written, epoch } = setUp()
  expect(epoch([0, 5], [0, 5], [1, 5], [0, 5], [0, 6], [1, 5]).at(-1)).toBe('complete')
  expect(written.map((message) => message.kind === 'record' && message.index)).toEqual([0, 1, 0, 2, 0, 1])
  epoch([0, 6])
  expect(written).toMatchObject([{ offset: 6, index: 0 }])
})

test('a record that comes after a later one ends the flow: the other task would take it for a repeat', () => {
  const { written, epoch } = setUp()
  expect(epoch([0, 5], [1, 1], [0, 4])).toEqual(['write', 'write', 'WEIR_STAGE_FAILED stop'])
  expect(written).toMatchObject([{ offset: 5 }, { partition: 1, offset: 1 }])
})

test('a topic that does not take a message gets it in smaller pieces, at once, and down to a size', () => {
  const { failing, errors, written, epochOf } = setUp()
  failing.next = new WeirError('WEIR_RECORD_REFUSED', 'too large', { isTooLarge: true })
  const origin = { topic: 'source', partition: 0, offset: 0 }
  const large = new StreamRecord('key', 'x'.repeat(1_000_000), 0, [], origin)
  const tries = [0, 1, 2, 3].map(() => (epochOf([large]), [errors.at(-1), written.length] as const))
  expect(tries.map(([error, count]) => [error?.code, error?.atOnce, count])).toEqual([
    ['WEIR_SINK_FAILED', true, 2],
    ['WEIR_SINK_FAILED', true, 16],
    ['WEIR_SINK_FAILED', true, 123],
    ['WEIR_SINK_FAILED', false, 489],
  ])
  expect(tries.at(-1)?.[0]?.hint).toContain('max.message.bytes')
})
