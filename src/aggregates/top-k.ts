import type { StoreCodec } from '../model/index.js'
import type { Aggregate } from './aggregate.js'
import { checkSelector } from './internal/declared.js'
import { type Element, Heaviest } from './internal/heaviest.js'
import { isNumber } from './internal/missing.js'

export interface TopKOptions<V> {
  /** How many are told. */
  readonly k: number
  /** How much a record weighs: a number that is not negative. Default 1, so that records are counted. */
  readonly weight?: (value: V) => number
  /** How many are counted: memory and error follow from it. Default 10 times `k`, and at least 100. */
  readonly capacity?: number
}

/** A key and its weight, which may be too high by `error` at most, and is never too low. */
export interface TopKEntry<K> {
  readonly key: K
  readonly count: number
  readonly error: number
}

type Saved = [missed: number, entries: readonly Line[]]
type Changes = [missed: number, gone: readonly Element[], entries: readonly Line[]]
type Line = readonly [key: Element, count: number, error: number]

/**
 * The `k` heaviest of the keys that records have, heaviest first, in bounded memory: it counts `capacity` keys and no
 * more, however many there are.
 *
 * What is promised, with N as the weight of all records: no count is too low, none is too high by more than its own
 * `error`, which is N / capacity at most, and every key that weighs more than N / capacity is among those counted. So a
 * key of the result is one of the true `k` heaviest for certain when its `count - error` is not below the `count` of the
 * one that comes after the k-th. While there have been no more than `capacity` keys all is exact.
 *
 * This is Space-Saving (Metwally, Agrawal and El Abbadi, "Efficient computation of frequent and top-k elements in data
 * streams", ICDT 2005), merged as Agarwal et al. ("Mergeable summaries", PODS 2012) show to keep the bound: a key that
 * one summary does not count may have had as much as the least that this one counts.
 *
 * A record without a key (text or a number), or with a weight that is none, is skipped, and counted in
 * `weir_values_skipped_total`.
 */
export function topK<V, K extends Element>(
  of: (value: V) => K,
  options: TopKOptions<V>,
): Aggregate<V, Heaviest, TopKEntry<K>[]> {
  checkSelector('topK', of)
  const {
    k = 0,
    weight = () => 1,
    capacity = Math.max(10 * k, 100),
  } = (options as Partial<TopKOptions<V>> | undefined) ?? {}
  if (!(Number.isInteger(k) && k >= 1 && Number.isInteger(capacity) && capacity >= k))
    throw new RangeError(`declaring topK: k is ${k} and capacity ${capacity}, where 1 <= k <= capacity is expected`)
  return {
    init: () => new Heaviest(capacity),
    add(heaviest, value, _record, skip) {
      const [key, heavy]: readonly unknown[] = [of(value), weight(value)]
      if (isElement(key) && isNumber(heavy) && heavy >= 0) heaviest.add(key, heavy)
      else skip?.()
      return heaviest
    },
    merge(heaviest, other) {
      heaviest.merge(other)
      return heaviest
    },
    result: (heaviest) => {
      const told = heaviest.sorted().slice(0, k)
      return told.map(({ key, count, error }) => ({ key: key as K, count, error }))
    },
    codec: codecOf(capacity),
  }
}

function isElement(key: unknown): key is Element {
  return typeof key === 'string' || typeof key === 'number'
}

function codecOf(capacity: number): StoreCodec<Heaviest> {
  const filled = (heaviest: Heaviest, missed: number, lines: readonly Line[]) => {
    for (const [key, count, error] of lines) heaviest.put(key, count, error)
    heaviest.trim(missed)
    heaviest.takeChanged()
    return heaviest
  }
  return {
    version: 1,
    save(heaviest): Saved {
      heaviest.takeChanged()
      return [heaviest.missed, heaviest.sorted().map(lineOf)]
    },
    load: (saved) => filled(new Heaviest(capacity), ...(saved as Saved)),
    changes(heaviest): Changes {
      const keys = [...heaviest.takeChanged()]
      const counters = keys.map((key) => heaviest.get(key)).filter((counter) => counter !== undefined)
      return [heaviest.missed, keys.filter((key) => heaviest.get(key) === undefined), counters.map(lineOf)]
    },
    apply(heaviest, changes) {
      const [missed, gone, lines] = changes as Changes
      for (const key of gone) heaviest.remove(key)
      return filled(heaviest, missed, lines)
    },
  }
}

function lineOf({ key, count, error }: TopKEntry<Element>): Line {
  return [key, count, error]
}

export type { Heaviest }
