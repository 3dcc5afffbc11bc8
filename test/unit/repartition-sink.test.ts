import { defer, EMPTY, NEVER, of, throwError } from 'rxjs'
import { expect, test } from 'vitest'
import { repartitionSink } from '../../src/engine/repartition/repartition-sink.js'
import {
  asWeirError,
  type ChannelKind,
  type ChannelWriter,
  type Connection,
  type SinkContext,
  StreamRecord,
  silentLogger,
  WeirError,
} from '../../src/model/index.js'

/** A sink over a writer that fails to flush when it is told to, and what was called of it. */
function setUp() {
  const calls: string[] = []
  const failing = { next: false }
  const writer: ChannelWriter = {
    open: () => defer(() => (calls.push('open'), of(1))),
    write: () => void calls.push('write'),
    flush: () =>
      defer(() => {
        calls.push('flush')
        return failing.next ? throwError(() => new WeirError('WEIR_SINK_FAILED', 'no answer')) : EMPTY
      }),
    close: () => EMPTY,
  }
  const channel: ChannelKind<Connection> = { writer: () => writer, source: () => NEVER as never }
  const context = {
    flow: 'flow',
    stage: 'stage',
    log: silentLogger,
    time: { told: () => [] },
    connection: () => ({}),
  } as unknown as SinkContext
  const joint = { connectionKind: 'test', channel, topic: 'internal', group: 'internal', like: 'single' } as const
  const sink = repartitionSink.build(joint, context)
  const origin = { topic: 'source', partition: 0, offset: 0 }
  /** What one epoch calls, and how it ends. */
  const epoch = () => {
    let end = 'open'
    calls.length = 0
    sink
      .write(of(new StreamRecord('key', 1, 0, [], origin)))
      .subscribe({ complete: () => (end = 'complete'), error: (error: unknown) => (end = asWeirError(error).code) })
    return [...calls, end]
  }
  sink.open?.().subscribe()
  return { calls, failing, epoch }
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
