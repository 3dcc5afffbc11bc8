import type { Subscription } from 'rxjs'
import { z } from 'zod'
import {
  Batch,
  type Configurable,
  type Duration,
  defineOperator,
  duration,
  fn,
  type Operator,
  type Origin,
  operate,
  type StreamRecord,
} from '../model/index.js'
import { type NamedStage, namedStage } from './internal/stage-options.js'

type BytesOf<V> = (value: V, record: StreamRecord<V>) => number

export interface BatchOptions<V = unknown> extends NamedStage {
  /** How many values a batch holds at most. */
  readonly size: number
  /** How many bytes a batch holds at most; only a single larger value exceeds it. */
  readonly bytes?: number
  /** The size of a value in bytes. Default: what its source read, as far as that is bytes or text. */
  readonly bytesOf?: BytesOf<V>
  /** How long the first value of a batch waits at most. Default: until the batch is full or the epoch ends. */
  readonly every?: Duration
}

export const batchDefinition = defineOperator({
  name: 'batch',
  summary: 'Gathers records into batches, which sinks write together.',
  options: z.strictObject({
    size: z.int().min(1).describe('How many values a batch holds at most.'),
    bytes: z.int().min(1).optional().describe('How many bytes a batch holds at most.'),
    bytesOf: fn<BytesOf<unknown>>().optional().describe('The size of a value; as its source read it if not given.'),
    every: duration.optional().describe('How long the first value of a batch waits at most.'),
    ...namedStage,
  }),
  build: ({ size, bytes = Infinity, bytesOf = bytesRead, every }, { clock }) =>
    operate<StreamRecord, StreamRecord>((output) => {
      let held = new Batch()
      let last: StreamRecord | undefined
      let heldBytes = 0
      let timer: Subscription | undefined

      const flush = () => {
        timer?.unsubscribe()
        if (last === undefined) return
        const batch = last.with(held)
        held = held.another()
        last = undefined
        heldBytes = 0
        output.next(batch)
      }

      output.add(() => timer?.unsubscribe())
      return {
        next(record) {
          const added = bytes === Infinity ? 0 : bytesOf(record.value, record)
          if (heldBytes + added > bytes) flush()
          if (last === undefined && every !== undefined) timer = clock.scheduler.schedule(flush, every)
          last = record
          heldBytes += added
          held.add(record)
          if (held.length >= size || heldBytes >= bytes) flush()
        },
        complete: flush,
      }
    }),
})

/**
 * Gathers records into batches of at most `size` values or `bytes` bytes; the first waits no longer than `every`, and the
 * end of the epoch flushes the rest. A sink writes the values of a `Batch` together; each keeps the key, time, headers and
 * origin of its own record, and is rejected by itself. Other stages see the batch: `map(({ values }) => …)`. The record
 * that carries it has key, time, headers and origin of the last one in it.
 */
export function batch<V>(options: Configurable<BatchOptions<V>>): Operator<V, Batch<V>> {
  return batchDefinition.declare(options)
}

function bytesRead(_value: unknown, { origin }: { origin: Origin }): number {
  const { value } = origin
  return Buffer.isBuffer(value) || typeof value === 'string' ? value.length : 0
}
