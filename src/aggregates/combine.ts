import { type CodecVersion, isPlainObject, type StoreCodec } from '../model/index.js'
import { type Aggregate, plainCodec } from './aggregate.js'

// Each aggregate has its own way to accumulate, which goes in and comes out: no type but `any` stands for all of them.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AggregateOf<V, R> = Aggregate<V, any, R>

/** What `of` takes: one aggregate, or several by name. */
export type Aggregates<V> = AggregateOf<V, unknown> | Readonly<Record<string, AggregateOf<V, unknown>>>

/** What they tell: the result, or the results by name. */
export type Results<A> =
  A extends AggregateOf<never, infer R>
    ? R
    : { -readonly [N in keyof A]: A[N] extends AggregateOf<never, infer R> ? R : never }

type AnyAggregate = Aggregate<unknown, unknown, unknown>

/** Makes one aggregate of what `of` was given. */
export function combine(of: Aggregates<never>): AnyAggregate & { codec: StoreCodec<unknown> } {
  if (isAggregate(of)) return isPlainObject(of) ? { ...of, codec: of.codec ?? plainCodec } : taken(of as AnyAggregate)
  const names = Object.keys(of)
  return several(
    names,
    names.map((name) => (of as Record<string, AnyAggregate>)[name] as AnyAggregate),
  ) as never
}

/** Whether it is what `of` takes: who has no types, or casts them away, may give anything. */
export function areAggregates(of: unknown): of is Aggregates<never> {
  if (isAggregate(of)) return true
  const members: readonly unknown[] = isPlainObject(of) ? Object.values(of) : []
  return members.length > 0 && members.every(isAggregate)
}

function isAggregate(of: unknown): of is Aggregate<never, unknown, unknown> {
  if (typeof of !== 'object' || of === null) return false
  const { init, add, merge, result } = of as Partial<AnyAggregate>
  return [init, add, merge, result].every((part) => typeof part === 'function')
}

/** What a class has made: copied, it would lose its methods. */
function taken(of: AnyAggregate): AnyAggregate & { codec: StoreCodec<unknown> } {
  return {
    init: () => of.init(),
    add: (accumulated, value, record, skip) => of.add(accumulated, value, record, skip),
    merge: (accumulated, other) => of.merge(accumulated, other),
    result: (accumulated) => of.result(accumulated),
    codec: of.codec ?? plainCodec,
  }
}

/** Several aggregates side by side; each accumulates in its own place of one array. */
function several(
  names: readonly string[],
  members: readonly AnyAggregate[],
): Aggregate<unknown, unknown[], Record<string, unknown>> {
  const { length } = members
  return {
    init: () => members.map((member) => member.init()),
    add(all, value, record, skip) {
      for (let index = 0; index < length; index++) {
        all[index] = (members[index] as AnyAggregate).add(all[index], value, record, skip)
      }
      return all
    },
    merge(all, other) {
      for (let index = 0; index < length; index++) {
        all[index] = (members[index] as AnyAggregate).merge(all[index], other[index])
      }
      return all
    },
    result: (all) => Object.fromEntries(names.map((name, index) => [name, members[index]?.result(all[index])])),
    codec: severalCodec(members.map(({ codec }) => codec ?? (plainCodec as StoreCodec<unknown>))),
  }
}

function severalCodec(codecs: readonly StoreCodec<unknown>[]): StoreCodec<unknown[]> {
  return {
    version: codecs.map(({ version }) => version),
    save: (all) => codecs.map((codec, index) => codec.save(all[index])),
    load: (saved, version) =>
      codecs.map((codec, index) =>
        codec.load((saved as unknown[])[index], (version as readonly CodecVersion[])[index] as CodecVersion),
      ),
    changes: (all) =>
      codecs.map((codec, index) => (codec.changes === undefined ? codec.save(all[index]) : codec.changes(all[index]))),
    apply: (all, changes, version) =>
      codecs.map((codec, index) => {
        const change = (changes as unknown[])[index]
        const under = (version as readonly CodecVersion[])[index] as CodecVersion
        return codec.apply === undefined ? codec.load(change, under) : codec.apply(all[index], change, under)
      }),
    size: (all) => codecs.reduce((bytes, codec, index) => bytes + (codec.size?.(all[index]) ?? 0), 0),
  }
}
