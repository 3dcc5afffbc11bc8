import { isDeepStrictEqual } from 'node:util'
import { defaultOf, withDefaults } from '../json-schema/defaults.js'
import type { SchemaNode } from '../json-schema/document.js'
import { below, inPlace, meant, objectOf, prefixOf, restOf } from '../json-schema/walk.js'
import { Facts, idOf } from './facts.js'
import { deeper, distinct, type Gap, gap, type Place, schemaTypes, typeNames, unfilled } from './gaps.js'
import { evaluatedBy, matches } from './properties.js'
import { saysSame } from './same.js'
import { numberGaps, propertyCountGaps, sizeGaps, stringGaps } from './scalars.js'
import { type JsonType, types, typesOf } from './types.js'
import { eachItem, eachOther } from './verdict.js'

/** How many steps a proof may take. */
const mostSteps = 200_000

/**
 * Proves that a reader takes every value that a writer's schema allows. Returns where it does not succeed: there the
 * reader may refuse something, or it is beyond this proof. No gaps is a proof.
 */
export function gapsBetween(writer: SchemaNode, reader: SchemaNode): readonly Gap[] {
  const proof = new Proof()
  const place = { path: [], fills: true, outer: new Set<string>(), here: new Set<string>() }
  try {
    return proof.prove(Facts.of([writer]), reader, place)
  } catch (error) {
    if (error === tooLong) return [{ path: [], rule: 'unknown', subject: { name: 'so many alternatives' } }]
    throw error
  }
}

const tooLong = new Error('too many steps')

class Proof {
  private steps = 0

  prove(facts: Facts, of: SchemaNode, place: Place): readonly Gap[] {
    const reader = meant(of)
    if (++this.steps > mostSteps) throw tooLong
    if (reader.schema === true || facts.isEmpty()) return []
    const key = `${facts.key}|${idOf(reader)}|${place.fills}`
    if (place.outer.has(key)) return []
    if (place.here.has(key)) return [gap(place, 'unknown', { name: '$ref in a circle' })]
    const here = { ...place, here: new Set([...place.here, key]) }
    const gaps = this.direct(facts, reader, here)
    if (gaps.length === 0) return gaps
    const ways = facts.alternatives()
    return ways === undefined ? gaps : distinct(ways.flatMap((way) => this.prove(way, reader, here)))
  }

  private isProven(facts: Facts, reader: SchemaNode, place: Place): boolean {
    return this.prove(facts, reader, place).length === 0
  }

  private direct(facts: Facts, reader: SchemaNode, place: Place): readonly Gap[] {
    const refused = facts.values()?.filter((value) => !takes(reader, value, place.fills))
    if (refused?.length === 0) return []
    const nodes = inPlace([reader])
    const gaps = nodes.flatMap((node) => this.node(facts, node, nodes, place))
    if (gaps.length > 0 || refused === undefined) return distinct(gaps)
    return [gap(place, 'values', { writer: refused })]
  }

  /** What one schema of the reader says, without those that it refers to. */
  private node(facts: Facts, node: SchemaNode, reader: readonly SchemaNode[], place: Place): readonly Gap[] {
    if (node.schema === false) return [gap(place, 'nothing', {})]
    const own = typesOf(node)
    const possible = facts.types()
    const taken = possible.filter((type) => own.has(type))
    const gaps: Gap[] = []
    if (taken.length < possible.length) {
      const refused = possible.filter((type) => !own.has(type))
      gaps.push(gap(place, 'type', { writer: typeNames(refused), reader: typeNames([...own]) }))
    }
    const rest = gaps.length === 0 || taken.length === 0 ? facts : facts.andAlso({ type: schemaTypes(taken) })
    gaps.push(...this.listed(rest, node, taken, place))
    if (taken.includes('integer') || taken.includes('fraction')) gaps.push(...numberGaps(rest, node, place))
    if (taken.includes('string')) gaps.push(...stringGaps(rest, node, place))
    if (taken.includes('array')) gaps.push(...this.arrayGaps(rest, node, place))
    if (taken.includes('object')) gaps.push(...this.objectGaps(rest, node, reader, place))
    return [...gaps, ...this.combined(rest, node, place)]
  }

  /** `enum` and `const`. */
  private listed(facts: Facts, node: SchemaNode, taken: readonly JsonType[], place: Place): Gap[] {
    const { document } = node
    const list = document.keyword(node, 'enum') as readonly unknown[] | undefined
    const single = document.keyword(node, 'const')
    if (list === undefined && single === undefined) return []
    const values = [...(list ?? []), ...(single === undefined ? [] : [single])].filter(
      (value) => list === undefined || single === undefined || (isIn(value, list) && isIn(value, [single])),
    )
    const gaps: Gap[] = []
    for (const type of taken) {
      const few = facts.andAlso({ type: schemaTypes([type]) }).values()
      const refused = few?.filter((value) => !isIn(value, values))
      if (refused === undefined) gaps.push(gap(place, 'enum', { reader: values }))
      else if (refused.length > 0) gaps.push(gap(place, 'values', { writer: refused }))
    }
    return gaps
  }

  private arrayGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
    const { document } = node
    const gaps = sizeGaps(facts, node, 'minItems', 'maxItems', place)
    if (document.keyword(node, 'uniqueItems') === true && !facts.all('uniqueItems').includes(true)) {
      const isShort = (facts.least('maxItems') ?? 2) < 2
      if (!isShort) gaps.push(gap(place, 'keyword', { name: 'uniqueItems', reader: true }))
    }
    const unevaluated = document.keyword(node, 'unevaluatedItems')
    const [rest, keyword] = restOf(node)
    const isClosed = unevaluated !== undefined && !inPlace([node]).some((one) => hasRest(one, one === node))
    const prefix = prefixOf(node)
    const length = Math.max(facts.prefix(), ...inPlace([node]).map((one) => prefixOf(one).length))
    const most = facts.least('maxItems') ?? Number.POSITIVE_INFINITY
    for (let index = 0; index <= length && index < most; index++) {
      const item = facts.item(index)
      if (item.isEmpty()) break
      const at = deeper(place, index < length ? index : eachItem)
      if (index < prefix.length) {
        const own = document.dialect === 'draft-07' ? 'items' : 'prefixItems'
        gaps.push(...this.prove(item, below(node, prefix[index], own, index), at))
      } else if (rest !== undefined) gaps.push(...this.prove(item, below(node, rest, keyword), at))
      const isNamed = inPlace([node]).some((one) => index < prefixOf(one).length)
      if (isClosed && !isNamed)
        gaps.push(...this.prove(item, below(node, unevaluated, 'unevaluatedItems'), unfilled(at)))
    }
    return [...gaps, ...this.containsGaps(facts, node, place)]
  }

  private containsGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
    const { document } = node
    const contains = document.keyword(node, 'contains')
    if (contains === undefined || saysSame(facts.nodes, node, 'contains', 'minContains', 'maxContains')) return []
    const fewest = Number(document.keyword(node, 'minContains') ?? 1)
    const schema = below(node, contains, 'contains')
    const isBounded = document.keyword(node, 'maxContains') !== undefined
    if (!isBounded && fewest === 0) return []
    const hasEnough = (facts.most('minItems') ?? 0) >= fewest && facts.prefix() === 0
    if (!isBounded && hasEnough && this.isProven(facts.item(0), schema, unfilled(deeper(place, eachItem)))) return []
    return [gap(place, 'keyword', { name: 'contains', reader: contains, writer: facts.all('contains')[0] })]
  }

  private objectGaps(facts: Facts, node: SchemaNode, reader: readonly SchemaNode[], place: Place): Gap[] {
    return [
      ...this.requiredGaps(facts, node, reader, place),
      ...propertyCountGaps(facts, node, place),
      ...this.propertyGaps(facts, node, place),
      ...this.unevaluatedGaps(facts, node, place),
      ...this.nameGaps(facts, node, place),
      ...this.dependentGaps(facts, node, place),
    ]
  }

  private requiredGaps(facts: Facts, node: SchemaNode, reader: readonly SchemaNode[], place: Place): Gap[] {
    const needed = (node.document.keyword(node, 'required') ?? []) as readonly string[]
    const there = facts.required()
    return needed
      .filter((name) => !there.has(name) && !(place.fills && isFilled(name, reader)))
      .map((name) => gap(place, 'required', { name }))
  }

  /** `properties`, `patternProperties` and `additionalProperties`. */
  private propertyGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
    const { document } = node
    const properties = objectOf(document.keyword(node, 'properties'))
    const patterns = Object.entries(objectOf(document.keyword(node, 'patternProperties')))
    const rest = document.keyword(node, 'additionalProperties')
    const gaps: Gap[] = []
    for (const name of new Set([...Object.keys(properties), ...facts.names()])) {
      const value = facts.property(name)
      const matching = patterns.filter(([pattern]) => matches(pattern, name))
      const isNamed = Object.hasOwn(properties, name)
      if (isNamed) gaps.push(...this.property(value, below(node, properties[name], 'properties', name), name, place))
      for (const [pattern, schema] of matching)
        gaps.push(...this.property(value, below(node, schema, 'patternProperties', pattern), name, unfilled(place)))
      if (!isNamed && matching.length === 0 && rest !== undefined)
        gaps.push(...this.property(value, below(node, rest, 'additionalProperties'), name, unfilled(place)))
    }
    const written = facts.patterns()
    for (const [pattern, schema] of patterns) {
      const target = below(node, schema, 'patternProperties', pattern)
      const sources = written.has(pattern)
        ? [facts.others(pattern)]
        : [facts.others(), ...[...written].map((other) => facts.others(other))]
      for (const source of sources) gaps.push(...this.others(source, target, `/${pattern}/`, place))
    }
    if (rest === undefined) return gaps
    const target = below(node, rest, 'additionalProperties')
    for (const pattern of written)
      if (!patterns.some(([own]) => own === pattern))
        gaps.push(...this.others(facts.others(pattern), target, `/${pattern}/`, place))
    return [...gaps, ...this.others(facts.others(), target, undefined, place)]
  }

  private property(value: Facts, target: SchemaNode, name: string, place: Place): readonly Gap[] {
    if (value.isEmpty()) return []
    if (target.schema === false) return [gap(place, 'closed-property', { name })]
    const gaps = this.prove(value, target, deeper(place, name))
    return gaps.length > 0 && value.nodes.length === 0 ? [gap(place, 'open-property', { name })] : gaps
  }

  private others(value: Facts, target: SchemaNode, pattern: string | undefined, place: Place): readonly Gap[] {
    if (value.isEmpty()) return []
    if (target.schema === false) {
      return pattern === undefined
        ? [gap(place, 'other-properties', {})]
        : [gap(place, 'closed-property', { name: pattern })]
    }
    const gaps = this.prove(value, target, unfilled(deeper(place, eachOther)))
    if (gaps.length === 0 || value.nodes.length > 0) return gaps
    return [pattern === undefined ? gap(place, 'other-properties', {}) : gap(place, 'open-property', { name: pattern })]
  }

  private unevaluatedGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
    const schema = node.document.keyword(node, 'unevaluatedProperties')
    if (schema === undefined) return []
    const evaluated = evaluatedBy(node, false)
    if (evaluated.all) return []
    const target = below(node, schema, 'unevaluatedProperties')
    const gaps: Gap[] = []
    for (const name of facts.names()) {
      if (evaluated.names.has(name) || evaluated.patterns.some((pattern) => matches(pattern, name))) continue
      gaps.push(...this.property(facts.property(name), target, name, unfilled(place)))
    }
    for (const pattern of facts.patterns())
      if (!evaluated.patterns.includes(pattern))
        gaps.push(...this.others(facts.others(pattern), target, `/${pattern}/`, place))
    return [...gaps, ...this.others(facts.others(), target, undefined, place)]
  }

  private nameGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
    const names = node.document.keyword(node, 'propertyNames')
    if (names === undefined || saysSame(facts.nodes, node, 'propertyNames')) return []
    const target = below(node, names, 'propertyNames')
    const refused = [...facts.names()].filter(
      (name) => !node.document.accepts(target, name) && !facts.property(name).isEmpty(),
    )
    const known = facts.nodes.flatMap((one) => {
      const own = one.document.keyword(one, 'propertyNames')
      return own === undefined ? [] : [below(one, own, 'propertyNames')]
    })
    const written = [facts.others(), ...[...facts.patterns()].map((pattern) => facts.others(pattern))]
    const isOpen =
      written.some((others) => !others.isEmpty()) &&
      (known.length === 0 || !this.isProven(Facts.of(known).andAlso({ type: 'string' }), target, unfilled(place)))
    const open = isOpen ? [gap(place, 'keyword', { name: 'propertyNames', reader: names })] : []
    return [...refused.map((name) => gap(place, 'closed-property', { name })), ...open]
  }

  private dependentGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
    const { document } = node
    return ['dependentRequired', 'dependentSchemas', 'dependencies'].flatMap((keyword) =>
      Object.entries(objectOf(document.keyword(node, keyword))).flatMap(([name, need]) => {
        if (facts.property(name).isEmpty()) return []
        const given = facts.andAlso({ required: [name] })
        if (!Array.isArray(need)) return this.prove(given, below(node, need, keyword, name), unfilled(place))
        const there = given.required()
        return (need as string[])
          .filter((other) => !there.has(other))
          .map((other) => gap(place, 'required', { name: other }))
      }),
    )
  }

  /** `anyOf`, `oneOf`, `not`, `if`. */
  private combined(facts: Facts, node: SchemaNode, place: Place): Gap[] {
    const { document } = node
    const inner = unfilled(place)
    const gaps: Gap[] = []
    for (const name of ['anyOf', 'oneOf'] as const) {
      const list = document.keyword(node, name)
      if (!Array.isArray(list) || saysSame(facts.nodes, node, name)) continue
      const choices = list.map((schema, index) => below(node, schema, name, index))
      gaps.push(...this.choice(facts, choices, name, inner))
    }
    const not = document.keyword(node, 'not')
    if (not !== undefined && !this.isRuledOut(facts, below(node, not, 'not'), inner))
      gaps.push(gap(place, 'keyword', { name: 'not', reader: not, writer: facts.all('not')[0] }))
    gaps.push(...this.conditional(facts, node, inner))
    for (const name of ['$dynamicRef', '$recursiveRef'])
      if (document.keyword(node, name) !== undefined) gaps.push(gap(place, 'unknown', { name }))
    return gaps
  }

  private choice(facts: Facts, choices: readonly SchemaNode[], name: 'anyOf' | 'oneOf', place: Place): readonly Gap[] {
    if (facts.isEmpty()) return []
    const tries = choices.map((choice) => this.prove(facts, choice, place))
    const isOnly = (index: number) =>
      name === 'anyOf' || choices.every((choice, other) => other === index || facts.and(choice).isImpossible())
    if (tries.some((gaps, index) => gaps.length === 0 && isOnly(index))) return []
    const parts = partsOf(facts, choices) ?? facts.alternatives()
    if (parts !== undefined) return distinct(parts.flatMap((part) => this.choice(part, choices, name, place)))
    const [only] = tries
    if (tries.length === 1 && only !== undefined) return only
    const near = tries.filter(
      (gaps, index) => gaps.length > 0 && !facts.and(choices[index] as SchemaNode).isImpossible(),
    )
    if (near.length === 1 && tries.every((gaps) => gaps.length > 0)) return near[0] as readonly Gap[]
    const possible = facts.types()
    const isTaken = (type: JsonType) =>
      choices.some((choice) => inPlace([choice]).every((one) => typesOf(one).has(type)))
    if (possible.length > 0 && possible.every((type) => !isTaken(type))) {
      return [gap(place, 'type', { writer: typeNames(possible), reader: typeNames(types.filter(isTaken)) })]
    }
    const values = facts.values()
    return [values === undefined ? gap(place, 'alternatives', { name }) : gap(place, 'values', { writer: values })]
  }

  private isRuledOut(facts: Facts, refused: SchemaNode, place: Place): boolean {
    if (facts.and(refused).isImpossible()) return true
    const asRefused = Facts.of([refused])
    return facts.nodes.some((node) => {
      const own = node.document.keyword(node, 'not')
      return own !== undefined && this.isProven(asRefused, below(node, own, 'not'), place)
    })
  }

  private conditional(facts: Facts, node: SchemaNode, place: Place): readonly Gap[] {
    const { document } = node
    const condition = document.keyword(node, 'if')
    if (condition === undefined || saysSame(facts.nodes, node, 'if', 'then', 'else')) return []
    const test = below(node, condition, 'if')
    const branch = (name: string): readonly Gap[] => {
      const schema = document.keyword(node, name)
      return schema === undefined ? [] : this.prove(facts, below(node, schema, name), place)
    }
    const then = facts.and(test).isImpossible() ? [] : branch('then')
    const otherwise = this.isProven(facts, test, place) ? [] : branch('else')
    return [...then, ...otherwise]
  }
}

/** Whether a reader fills in what is missing, and nothing else that it says could mind. */
function isFilled(name: string, reader: readonly SchemaNode[]): boolean {
  const missing = defaultOf(reader, name)
  const facts = Facts.of(reader)
  const minding = ['maxProperties', 'propertyNames', 'dependentRequired', 'dependentSchemas', 'dependencies']
  const combining = ['anyOf', 'oneOf', 'not', 'if', 'enum', 'const']
  return (
    missing !== undefined &&
    facts.property(name).accepts(missing) &&
    [...minding, ...combining].every((keyword) => facts.all(keyword).length === 0)
  )
}

/** The facts apart by what may choose among alternatives: by types, or by the values of a property. */
function partsOf(facts: Facts, choices: readonly SchemaNode[]): readonly Facts[] | undefined {
  const possible = facts.types()
  if (possible.length > 1 && !isDeepStrictEqual(possible, ['integer', 'fraction']))
    return schemaTypes(possible).map((type) => facts.andAlso({ type }))
  for (const name of facts.required()) {
    const values = facts.property(name).values()
    if (values === undefined || values.length < 2 || !choices.some((choice) => isTelling(choice, name))) continue
    return values.map((value) => facts.andAlso({ properties: { [name]: { const: value } } }))
  }
  const values = facts.values()
  return values !== undefined && values.length > 1 ? values.map((value) => facts.andAlso({ const: value })) : undefined
}

function isTelling(choice: SchemaNode, name: string): boolean {
  return Facts.of([choice]).property(name).values() !== undefined
}

function takes(reader: SchemaNode, value: unknown, fills: boolean): boolean {
  return reader.document.accepts(reader, fills ? withDefaults(reader, value) : value)
}

function hasRest(node: SchemaNode, isSelf: boolean): boolean {
  const unevaluated = isSelf ? undefined : node.document.keyword(node, 'unevaluatedItems')
  return restOf(node)[0] !== undefined || unevaluated !== undefined
}

function isIn(value: unknown, list: readonly unknown[]): boolean {
  return list.some((one) => isDeepStrictEqual(one, value))
}
