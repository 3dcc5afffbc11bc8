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
function setUp(told: readonly PartitionTold[] = []) {
  const calls: string[] = []
  const written: Message[] = []
  const failing = { next: false }
  const writer: ChannelWriter = {
    open: () => defer(() => (calls.push('open'), of(1))),
    write: ({ value }) => {
      calls.push('write')
      written.push(unpack(value))
    },
    flush: () =>
      defer(() => {
        calls.push('flush')
        return failing.next ? throwError(() => new WeirError('WEIR_SINK_FAILED', 'no answer')) : EMPTY
      }),
    ends: () => EMPTY,
    close: () => EMPTY,
  }
  const channel: ChannelKind<Connection> = { writer: () => writer, source: () => NEVER as never }
  const context = {
    flow: 'flow',
    stage: 'stage',
    log: silentLogger,
    time: { told: () => told, tells: () => () => undefined, toldIdle: () => false },
    clock: { scheduler: new VirtualTimeScheduler() },
    connection: () => ({}),
  } as unknown as SinkContext
  const joint = {
    connectionKind: 'test',
    channel,
    topic: 'internal',
    group: 'internal',
    like: 'single',
    keepsBytes: true,
  } as const
  const sink = repartitionSink.build(joint, context)
  /** What one epoch calls, and how it ends, with a record of each of these places. */
  const epoch = (...places: (readonly [partition: number, offset: number])[]) => {
    let end = 'open'
    calls.length = written.length = 0
    const records = (places.length > 0 ? places : [[0, 0] as const]).map(
      ([partition, offset]) => new StreamRecord('key', 1, 0, [], { topic: 'source', partition, offset }),
    )
    sink
      .write(from(records))
      .subscribe({ complete: () => (end = 'complete'), error: (error: unknown) => (end = endOf(asWeirError(error))) })
    return [...calls, end]
  }
  sink.open?.().subscribe()
  return { calls, written, failing, epoch }
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
