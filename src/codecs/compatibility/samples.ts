import { isPlainObject } from '../../model/plain-object.js'
import type { JsonSchema } from '../json-schema/document.js'
import type { Facts } from './facts.js'
import { textsMatching } from './pattern-text.js'
import type { JsonType } from './types.js'

/** How many values are made of one place. */
const most = 40
const mostDepth = 6
const longest = 2_000
const formats = {
  date: '2024-02-29',
  time: '12:00:00Z',
  'date-time': '2024-02-29T12:00:00Z',
  duration: 'P1D',
  email: 'ann@example.org',
  hostname: 'example.org',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.org/a',
  uuid: '123e4567-e89b-12d3-a456-426614174000',
}

/** What stands in schemas, and may make a difference to them. */
export interface Hints {
  readonly numbers: readonly number[]
  readonly texts: readonly string[]
  /** Names of properties. */
  readonly names: readonly string[]
}

export function hintsOf(...schemas: readonly JsonSchema[]): Hints {
  const [numbers, texts, names] = [new Set<number>(), new Set<string>(), new Set<string>()]
  const look = (part: unknown, keyword = ''): void => {
    if (typeof part === 'number') numbers.add(part)
    if (typeof part === 'string') {
      if (keyword === 'pattern') for (const text of textsMatching(part)) texts.add(text)
      else if (keyword === 'required') names.add(part)
      else if (!['title', 'description', '$ref', '$id', '$schema', '$comment', 'type'].includes(keyword))
        texts.add(part)
    }
    if (Array.isArray(part)) for (const item of part) look(item, keyword)
    if (!isPlainObject(part)) return
    for (const [name, value] of Object.entries(part)) {
      if (keyword === 'properties') names.add(name)
      if (keyword === 'patternProperties') for (const text of textsMatching(name)) names.add(text)
      look(value, ['properties', 'patternProperties', '$defs', 'definitions'].includes(keyword) ? '' : name)
    }
  }
  for (const schema of schemas) look(schema)
  return { numbers: [...numbers], texts: [...texts], names: [...names, 'other', 'A 1'] }
}

/** Makes values that hold by facts, each a small step away from the simplest. It misses some, and none is wrong. */
export class Sampler {
  private readonly made = new Map<string, readonly unknown[]>()

  constructor(private readonly hints: Hints) {}

  of(facts: Facts, depth = mostDepth, limit = most): readonly unknown[] {
    const key = `${depth} ${facts.key}`
    const known = this.made.get(key)
    if (known !== undefined) return known.slice(0, limit)
    const values = this.make(facts, depth).slice(0, Math.max(limit, most))
    this.made.set(key, values)
    return values.slice(0, limit)
  }

  private make(facts: Facts, depth: number): unknown[] {
    const values = facts.values()
    if (values !== undefined) return [...values]
    const ways = facts.alternatives()
    if (ways !== undefined) return interleaved(ways.map((way) => this.of(way, depth, Number.POSITIVE_INFINITY)))
    return interleaved(
      facts.types().map((type) => this.ofType(type, facts, depth).filter((value) => facts.accepts(value))),
    )
  }

  private ofType(type: JsonType, facts: Facts, depth: number): unknown[] {
    switch (type) {
      case 'null':
        return [null]
      case 'boolean':
        return [true, false]
      case 'integer':
        return this.numbers().filter(Number.isInteger)
      case 'fraction':
        return this.numbers().filter((number) => !Number.isInteger(number))
      case 'string':
        return this.texts(facts)
      case 'array':
        return this.arrays(facts, depth)
      case 'object':
        return this.objects(facts, depth)
    }
  }

  private numbers(): number[] {
    const near = this.hints.numbers.flatMap((number) => [number, number - 1, number + 1, number + 0.5, number - 0.5])
    return [...new Set([1, 0.5, 0, -1, ...near, -0.5, 1_000_000.5, 1e9, -1e9])]
  }

  private texts(facts: Facts): string[] {
    const lengths = this.hints.numbers.filter((number) => Number.isInteger(number) && number >= 0 && number < longest)
    const patterns = (facts.all('pattern') as string[]).flatMap(textsMatching)
    const sized = [...new Set(lengths.flatMap((length) => [length, length + 1, Math.max(0, length - 1)]))]
    const fixed = ['a', '', 'A1', 'x y', ...Object.values(formats)]
    return [...new Set([...patterns, ...this.hints.texts, ...fixed, ...sized.map((size) => 'a'.repeat(size))])]
  }

  private arrays(facts: Facts, depth: number): unknown[] {
    const fewest = facts.most('minItems') ?? 0
    const item = (index: number) => (depth === 0 ? [] : this.of(facts.item(index), depth - 1))
    const base: unknown[] = []
    for (let index = 0; index < Math.min(fewest, 50); index++) {
      const values = item(index)
      base.push(values[index % Math.max(1, values.length)])
    }
    const made: unknown[] = [base]
    const next = item(base.length)
    for (const value of next) made.push([...base, value])
    if (next.length > 0) made.push([...base, next[0], next[0]])
    for (const length of this.hints.numbers)
      if (length > base.length && length < 50 && next.length > 0)
        made.push([...base, ...Array.from({ length: length + 1 - base.length }, (_, at) => next[at % next.length])])
    for (let index = 0; index < base.length; index++)
      for (const value of item(index)) made.push(base.with(index, value))
    return made
  }

  private objects(facts: Facts, depth: number): unknown[] {
    const values = (name: string) => (depth === 0 ? [] : this.of(facts.property(name), depth - 1))
    const base: Record<string, unknown> = {}
    for (const name of facts.required()) {
      const [value] = values(name)
      if (value === undefined) return []
      base[name] = value
    }
    const names = [...new Set([...facts.names(), ...this.hints.names])]
    const full = { ...base }
    for (const name of facts.names()) full[name] ??= values(name)[0]
    for (const [name, value] of Object.entries(full)) if (value === undefined) delete full[name]
    const varied = names.map((name) => values(name).map((value) => ({ ...base, [name]: value })))
    return [base, full, ...interleaved(varied)]
  }
}

/** The first of each, then the second of each. */
function interleaved<T>(lists: readonly (readonly T[])[]): T[] {
  const longestList = Math.max(0, ...lists.map((list) => list.length))
  return Array.from({ length: longestList }, (_, index) =>
    lists.flatMap((list) => (index < list.length ? [list[index] as T] : [])),
  ).flat()
}
