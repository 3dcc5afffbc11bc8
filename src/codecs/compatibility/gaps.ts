import type { RuleName, Subject } from './rules.js'
import { TypeName } from './short.js'
import type { JsonType } from './types.js'
import type { Step } from './verdict.js'

/** Where a proof did not go through. */
export interface Gap {
  readonly path: readonly Step[]
  readonly rule: RuleName
  readonly subject: Subject
}

export interface Place {
  readonly path: readonly Step[]
  /** Whether the reader fills in defaults here. */
  readonly fills: boolean
  /** What is being proven of values that this one lies in: it may be taken as proven, for values end. */
  readonly outer: ReadonlySet<string>
  /** The same of this value: that would go round in circles. */
  readonly here: ReadonlySet<string>
}

export function gap({ path }: Place, rule: RuleName, subject: Subject): Gap {
  return { path, rule, subject }
}

export function deeper(place: Place, step: Step): Place {
  return {
    path: [...place.path, step],
    fills: place.fills,
    outer: new Set([...place.outer, ...place.here]),
    here: new Set(),
  }
}

/** The same place, where defaults are not filled in. */
export function unfilled(place: Place): Place {
  return place.fills ? { ...place, fills: false } : place
}

export function distinct(gaps: readonly Gap[]): readonly Gap[] {
  const seen = new Map<string, Gap>()
  for (const one of gaps) {
    const path = one.path.map(String).join('/')
    const key = `${path} ${one.rule} ${JSON.stringify(one.subject)}`
    if (!seen.has(key)) seen.set(key, one)
  }
  return [...seen.values()]
}

/** Types as a schema names them. */
export function schemaTypes(of: readonly JsonType[]): string[] {
  const names = of.map((type) => (type === 'fraction' ? 'number' : type))
  return [...new Set(names.includes('number') ? names.filter((name) => name !== 'integer') : names)]
}

export function typeNames(of: readonly JsonType[]): TypeName[] {
  const isNumber = of.includes('integer') && of.includes('fraction')
  const names = of.filter((type) => !(isNumber && type === 'integer'))
  return names.map((type) => new TypeName(type === 'fraction' ? (isNumber ? 'number' : 'a fraction') : type))
}
