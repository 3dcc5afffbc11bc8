import {
  type Clock,
  type OperatorContext,
  type Origin,
  partitionName,
  type Store,
  type StoreCodec,
  type StorePartition,
  StreamRecord,
} from '../../model/index.js'
import type { Why } from './failed.js'
import { type AsRead, asRead, type RetryFacts } from './message.js'

/** In place of a retry topic. */
export const letters = 'dead letters'

/** A record that waits, as its source read it. */
export interface Waiting extends AsRead {
  /** The retry topic that it is on its way to, or `letters`. */
  readonly to: string
  readonly facts: RetryFacts
}

/** One that waits, where it lies. */
export interface Kept {
  readonly part: StorePartition<Waiting | number>
  /** Those of a partition are in the order of their numbers. */
  readonly number: number
  readonly waiting: Waiting
}

/** In the store: what waits, by its number, and the last number that was given. */
const [waitingAt, lastAt] = [0, 1]
/** Numbers of a ms: those of a store that was lost are behind all that follow. */
const perMs = 1_000

const codec: StoreCodec<Waiting | number> = {
  version: 1,
  save: (value) => value,
  load: (saved) => saved as Waiting | number,
}

/** The records of a task that are to be tried again, in a store: committed with the epoch that they failed in. */
export class WaitingRecords {
  private readonly store: Store<Waiting | number>
  private readonly clock: Clock

  constructor(context: OperatorContext, name: string) {
    this.store = context.store(name, codec)
    this.clock = context.clock
  }

  /** All that wait here, those of each partition in their order. */
  *all(): Generator<Kept> {
    for (const part of this.store.partitions()) {
      const entries = [...(part.segment(waitingAt) ?? [])].map(([key, { value }]) => [Number(key), value] as const)
      entries.sort(([one], [other]) => one - other)
      for (const [number, value] of entries) yield { part, number, waiting: value as Waiting }
    }
  }

  /** Keeps one, under the partition that its task has read it from. */
  add({ origin }: StreamRecord, { to, ...why }: Pick<Waiting, 'to'> & Why): void {
    const { topic, partition, offset, timestamp, retried } = origin
    const from = retried ?? { topic, partition }
    const part = this.store.of(from.topic, from.partition)
    const sequence = this.next(part)
    const facts = { from: partitionName(from), sequence, topic, partition, offset, timestamp, ...why }
    part.add(waitingAt, sequence, { ...asRead(origin), to, facts })
  }

  delete({ part, number }: Kept): void {
    part.delete(waitingAt, number)
  }

  private next(part: StorePartition<Waiting | number>): number {
    const last = part.get(lastAt, 0) ?? part.add(lastAt, 0, 0)
    const next = Math.max((last.value as number) + 1, Math.floor(this.clock.now()) * perMs)
    last.value = next
    part.touch(last)
    return next
  }
}

/** The record that waits, as it was read; its task has read it in this partition. */
export function recordOf({ part, waiting }: Kept): StreamRecord {
  const { key, value, headers, facts } = waiting
  const { topic, partition, offset, timestamp, attempts } = facts
  const { topic: from, partition: at } = part.partition
  const retried = { topic: from, partition: at, offset, attempts }
  const origin: Origin = { topic, partition, offset, key, value, timestamp, headers, retried }
  return new StreamRecord(key, value, timestamp ?? -1, headers, origin)
}
