import type { JsonSchema, SchemaNode } from '../json-schema/document.js'
import { below, inPlace, itemNodes, prefixOf } from '../json-schema/walk.js'
import { madeUp, never, nodeAccepts } from './made-up.js'
import { otherNodes, propertyNodes } from './properties.js'
import { type JsonType, typeOf, types, typesOf } from './types.js'

/** One end of a range of numbers. */
export interface Bound {
  readonly at: number
  readonly isExclusive: boolean
}

/** How many values are tried one by one in place of reasoning about them. */
const mostValues = 200
/** How deep it is looked for that something can't be. */
const emptyDepth = 4

/**
 * What is known of a value: that all of these schemas hold. Those that they refer to, and those of their `allOf`, stand
 * beside them. What the facts do not say may be so or not: they never say too much.
 */
export class Facts {
  private known: readonly unknown[] | undefined | null = null

  private constructor(
    readonly nodes: readonly SchemaNode[],
    /** The choices that were made already. */
    private readonly chosen: ReadonlySet<object>,
  ) {}

  static of(nodes: readonly SchemaNode[]): Facts {
    return new Facts(inPlace(nodes), new Set())
  }

  /** These facts and more. */
  and(...nodes: readonly SchemaNode[]): Facts {
    return new Facts(inPlace([...this.nodes, ...nodes]), this.chosen)
  }

  /** These facts and a schema that stands in no document. */
  andAlso(schema: JsonSchema): Facts {
    return this.and(madeUp(schema))
  }

  /** The values of a keyword, of each schema that has it. */
  all(name: string): readonly unknown[] {
    return this.nodes.map((node) => node.document.keyword(node, name)).filter((value) => value !== undefined)
  }

  accepts(value: unknown): boolean {
    return this.nodes.every((node) => nodeAccepts(node, value))
  }

  types(): readonly JsonType[] {
    if (this.nodes.some(({ schema }) => schema === false)) return []
    const values = this.listed()
    return types.filter(
      (type) =>
        this.nodes.every((node) => typesOf(node).has(type)) &&
        (values === undefined || values.some((value) => typeOf(value) === type)),
    )
  }

  /** All the values that there can be, where these are few. */
  values(): readonly unknown[] | undefined {
    if (this.known === null) this.known = this.listValues()
    return this.known
  }

  private listValues(): readonly unknown[] | undefined {
    const listed = this.listed()
    if (listed !== undefined) return listed.filter((value) => this.accepts(value))
    const possible = this.types()
    const parts = possible.map((type) => this.few(type))
    if (parts.includes(undefined)) return undefined
    return parts.flatMap((values) => values ?? []).filter((value) => this.accepts(value))
  }

  /** The values of a type, where these are few. */
  private few(type: JsonType): readonly unknown[] | undefined {
    if (type === 'null') return [null]
    if (type === 'boolean') return [true, false]
    if (type !== 'integer') return undefined
    const [from, to] = [this.lower(true), this.upper(true)]
    if (from === undefined || to === undefined || !(to.at - from.at < mostValues)) return undefined
    return Array.from({ length: Math.max(0, to.at - from.at + 1) }, (_, index) => from.at + index)
  }

  /** The values that an `enum` or a `const` lists. */
  private listed(): readonly unknown[] | undefined {
    const lists = [...this.all('enum'), ...this.all('const').map((value) => [value])] as unknown[][]
    return lists.sort((one, other) => one.length - other.length)[0]
  }

  /** Whether there is surely no such value. It may be that there is none, and it isn't seen. */
  isEmpty(depth = emptyDepth): boolean {
    const possible = this.types()
    if (possible.length === 0 || this.values()?.length === 0) return true
    if (depth === 0) return false
    return possible.every((type) => this.isEmptyOf(type, depth))
  }

  private isEmptyOf(type: JsonType, depth: number): boolean {
    if (type === 'object') return this.lacksNeeded(depth)
    if (type === 'string') return (this.most('minLength') ?? 0) > (this.least('maxLength') ?? Number.POSITIVE_INFINITY)
    if (type !== 'integer' && type !== 'fraction') return false
    const [from, to] = [this.lower(type === 'integer'), this.upper(type === 'integer')]
    if (from === undefined || to === undefined) return false
    return from.at > to.at || (from.at === to.at && (from.isExclusive || to.isExclusive))
  }

  /** Whether it is empty, as far as `isEmpty` sees, whichever alternatives are chosen. */
  isImpossible(depth = emptyDepth): boolean {
    if (this.isEmpty()) return true
    if (depth === 0) return false
    return this.alternatives()?.every((facts) => facts.isImpossible(depth - 1)) ?? false
  }

  private lacksNeeded(depth: number): boolean {
    return [...this.required()].some((name) => this.property(name).isEmpty(depth - 1))
  }

  lower(isInteger: boolean): Bound | undefined {
    return this.bound('minimum', 'exclusiveMinimum', isInteger, 1)
  }

  upper(isInteger: boolean): Bound | undefined {
    return this.bound('maximum', 'exclusiveMaximum', isInteger, -1)
  }

  private bound(inclusive: string, exclusive: string, isInteger: boolean, sign: 1 | -1): Bound | undefined {
    const bounds = [
      ...this.all(inclusive).map((at) => ({ at: Number(at), isExclusive: false })),
      ...this.all(exclusive).map((at) => ({ at: Number(at), isExclusive: true })),
    ].map((bound) => (isInteger ? wholeBound(bound, sign) : bound))
    return bounds.reduce<Bound | undefined>(
      (tightest, bound) => (tightest === undefined || isTighter(bound, tightest, sign) ? bound : tightest),
      undefined,
    )
  }

  /** The largest of what keywords such as `minLength` say. */
  most(name: string): number | undefined {
    const values = this.all(name).map(Number)
    return values.length === 0 ? undefined : Math.max(...values)
  }

  /** The smallest of what keywords such as `maxLength` say. */
  least(name: string): number | undefined {
    const values = this.all(name).map(Number)
    return values.length === 0 ? undefined : Math.min(...values)
  }

  /** The properties that every object has. */
  required(): ReadonlySet<string> {
    const names = new Set((this.all('required') as string[][]).flat())
    const needs = [...this.all('dependentRequired'), ...this.all('dependencies')] as Record<string, unknown>[]
    for (let size = -1; size !== names.size; ) {
      size = names.size
      for (const need of needs)
        for (const name of [...names]) {
          const more = Object.hasOwn(need, name) ? need[name] : undefined
          if (Array.isArray(more)) for (const one of more as string[]) names.add(one)
        }
    }
    return names
  }

  /** The properties that a schema names. */
  names(): ReadonlySet<string> {
    return new Set([...(this.all('properties') as object[]).flatMap(Object.keys), ...this.required()])
  }

  /** The patterns by which a schema speaks of properties. */
  patterns(): ReadonlySet<string> {
    return new Set((this.all('patternProperties') as object[]).flatMap(Object.keys))
  }

  /** What is known of a property, should it be there. */
  property(name: string): Facts {
    return Facts.of(
      this.nodes.flatMap((node) => {
        const names = node.document.keyword(node, 'propertyNames')
        if (names !== undefined && !nodeAccepts(below(node, names, 'propertyNames'), name)) return [never]
        return propertyNodes(node, name)
      }),
    )
  }

  /** What is known of properties that no schema names, and no pattern but this, if one is given. */
  others(pattern?: string): Facts {
    if (pattern === undefined && this.hasListedNames()) return Facts.of([never])
    return Facts.of(this.nodes.flatMap((node) => otherNodes(node, pattern)))
  }

  /** Whether the names of properties are a list. */
  private hasListedNames(): boolean {
    return this.nodes.some((node) => {
      const names = node.document.keyword(node, 'propertyNames')
      return names !== undefined && Facts.of([below(node, names, 'propertyNames')]).values() !== undefined
    })
  }

  /** How many items a schema speaks of one by one. */
  prefix(): number {
    return Math.max(0, ...this.nodes.map((node) => prefixOf(node).length))
  }

  /** What is known of the item at an index. */
  item(index: number): Facts {
    return Facts.of(this.nodes.flatMap((node) => itemNodes(node, index)))
  }

  /**
   * What can be instead, one of which it is: the alternatives of an `anyOf` or `oneOf`, or those that an `if` makes.
   * Undefined where there is nothing to choose.
   */
  alternatives(): readonly Facts[] | undefined {
    for (const node of this.nodes) {
      const choice = choiceOf(node, this.chosen)
      if (choice === undefined) continue
      const chosen = new Set([...this.chosen, choice.made])
      return choice.ways
        .map((nodes) => new Facts(inPlace([...this.nodes, ...nodes]), chosen))
        .filter((facts) => !facts.isEmpty())
    }
    return undefined
  }

  /** Says the same of two facts of the same schemas. */
  get key(): string {
    return `${this.nodes.map(idOf).sort().join()};${[...this.chosen].map(numberOf).sort().join()}`
  }
}

interface Choice {
  readonly made: object
  readonly ways: readonly (readonly SchemaNode[])[]
}

function choiceOf(node: SchemaNode, chosen: ReadonlySet<object>): Choice | undefined {
  const { document } = node
  for (const name of ['anyOf', 'oneOf']) {
    const list = document.keyword(node, name)
    if (!Array.isArray(list) || chosen.has(list)) continue
    return { made: list, ways: list.map((schema, index) => [document.below(node, schema, name, index)]) }
  }
  const condition = document.keyword(node, 'if')
  if (condition === undefined || typeof node.schema === 'boolean' || chosen.has(node.schema)) return undefined
  const way = (name: string) => {
    const schema = document.keyword(node, name)
    return schema === undefined ? [] : [document.below(node, schema, name)]
  }
  return { made: node.schema, ways: [[document.below(node, condition, 'if'), ...way('then')], way('else')] }
}

function wholeBound({ at, isExclusive }: Bound, sign: 1 | -1): Bound {
  const whole = sign === 1 ? Math.ceil(at) : Math.floor(at)
  return { at: isExclusive && whole === at ? at + sign : whole, isExclusive: false }
}

function isTighter(one: Bound, other: Bound, sign: 1 | -1): boolean {
  return sign * (one.at - other.at) > 0 || (one.at === other.at && one.isExclusive && !other.isExclusive)
}

const numbers = new WeakMap<object, number>()
let last = 0

function numberOf(value: object): number {
  let number = numbers.get(value)
  if (number === undefined) numbers.set(value, (number = ++last))
  return number
}

/** A schema that was made up is known by what it says. */
export function idOf({ schema, at }: SchemaNode): string {
  if (typeof schema === 'boolean') return String(schema)
  return at === undefined ? JSON.stringify(schema) : String(numberOf(schema))
}
