import { EMPTY, from, NEVER, of } from 'rxjs'
import { expect, test } from 'vitest'
import { repartitionSource } from '../../src/engine/repartition/repartition-source.js'
import {
  asWeirError,
  type Epoch,
  type SourceContext,
  type SourceTask,
  StreamRecord,
  silentLogger,
} from '../../src/model/index.js'

/** A source that stands at `position`, and finds records at these offsets; what came of an epoch, and how it ended. */
function setUp() {
  const warnings: string[] = []
  let next: { position: number; offsets: readonly number[] } = { position: 0, offsets: [] }
  const at = { topic: 'internal', partition: 0 }
  const inner: SourceTask = {
    assignments$: NEVER,
    read: () => from(next.offsets.map((offset) => new StreamRecord(null, offset, 0, [], { ...at, offset }))),
    positions: () => [{ ...at, offset: next.position }],
    rewind: () => EMPTY,
    commit: () => EMPTY,
    ends: () => of([]),
  }
  const channel = { writer: () => NEVER as never, source: () => inner }
  const log = { ...silentLogger, warn: (_: unknown, text?: string) => void warnings.push(text ?? '') }
  const context = { flow: 'flow', stage: 'stage', log, connection: () => ({}) } as unknown as SourceContext
  const joint = {
    connectionKind: 'test',
    channel,
    topic: 'internal',
    group: 'internal',
    like: 'single',
    reads: ['source'],
    keepsBytes: true,
  } as const
  const source = repartitionSource.build(joint, context)
  const epoch = (position: number, offsets: readonly number[]) => {
    next = { position, offsets }
    const read: unknown[] = []
    source.read({} as Epoch).subscribe({
      next: ({ value }) => read.push(value),
      complete: () => read.push('complete'),
      error: (error: unknown) => read.push(asWeirError(error).code),
    })
    return read
  }
  return { epoch, warnings }
}

test('records without a gap pass', () => {
  const { epoch } = setUp()
  expect(epoch(7, [7, 8, 9])).toEqual([7, 8, 9, 'complete'])
})

test('who finds that what it has to read is gone begins anew', () => {
  const { epoch, warnings } = setUp()
  expect(epoch(7, [7, 9])).toEqual([7, 'WEIR_CHECKPOINT_FENCED'])
  expect(epoch(4, [11])).toEqual(['WEIR_CHECKPOINT_FENCED'])
  expect(epoch(11, [11, 12])).toEqual([11, 12, 'complete'])
  expect(warnings).toEqual([])
})

test('who is given the same position again goes on behind the gap, and says so', () => {
  const { epoch, warnings } = setUp()
  expect(epoch(4, [11])).toEqual(['WEIR_CHECKPOINT_FENCED'])
  expect(epoch(4, [11, 12])).toEqual([11, 12, 'complete'])
  expect(warnings).toEqual([
    'reading an internal topic: internal-0@4 is gone before it was read; what comes after it goes on',
  ])
})
