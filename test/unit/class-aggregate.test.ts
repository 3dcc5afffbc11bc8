import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { type Aggregate, aggregate, count, flow, json, kafka, recordKey, type StoreCodec } from '../../src/index.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

/** Keeps its methods, and what they go by, in a class and its instance. */
class LastCodec implements StoreCodec<number[]> {
  readonly version = 1
  readonly #most = 3

  save(all: number[]): number[] {
    return all.slice(-this.#most)
  }
  load(saved: unknown): number[] {
    return [...(saved as number[])]
  }
  changes(all: number[]): number[] {
    return this.save(all)
  }
  apply(_: number[], changes: unknown): number[] {
    return this.load(changes)
  }
}

class Last implements Aggregate<number, number[], number> {
  readonly codec = new LastCodec()
  readonly #step = 10

  init(): number[] {
    return []
  }
  add(all: number[], value: number): number[] {
    all.push(value * this.#step)
    return all
  }
  merge(all: number[], others: number[]): number[] {
    all.push(...others)
    return all
  }
  result(all: number[]): number {
    return all.at(-1) ?? this.#step
  }
}

test.each(['alone', 'beside another'] as const)(
  'an aggregate that is an instance of a class, and so is its codec, works as a plain object does: %s',
  (way) => {
    for (const repartition of [false, true]) {
      const of = way === 'alone' ? new Last() : { last: new Last(), n: count() }
      const by = repartition ? () => 'all' : recordKey
      const declared = flow(kafka.source({ topic: 'n' }), json<number>(), aggregate('last', { by, of }), listSink())
      const scheduler = new VirtualTimeScheduler()
      const virtual = new VirtualFlow(declared, scheduler, { repartition })
      for (const n of [1, 2, 3, 4]) virtual.append(100 * n, n, { key: 'a' })
      scheduler.schedule(() => virtual.start(), 0)
      scheduler.schedule(() => (virtual.crash(), virtual.start()), 250)
      scheduler.schedule(() => virtual.stop(), 10_000)
      scheduler.flush()
      expect(virtual.status()).toMatchObject({ state: 'stopped', error: undefined })
      const told = virtual.committed.map(({ value }) => (value as { value: unknown }).value)
      expect(told.at(-1)).toEqual(way === 'alone' ? 40 : { last: 40, n: 4 })
    }
  },
)
