/**
 * How the versions of a schema may change. With BACKWARD a new version reads what the last one wrote, with FORWARD the
 * last one reads what a new one writes, with FULL both; with `…_TRANSITIVE` that holds for all versions before.
 */
export const levels = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const
export type CompatibilityLevel = (typeof levels)[number]

/** What is known: `cannot tell` is no yes. */
export type Verdict = 'compatible' | 'incompatible' | 'cannot tell'

/** Why a reader does not, or may not, understand what a writer wrote. */
export interface SchemaFault {
  /** Where in a value, as `address.lines[].text`; empty for the value as a whole. */
  readonly path: string
  /** The rule that is broken, as `required`. */
  readonly rule: string
  /** What is wrong, as a sentence. */
  readonly what: string
  /** How to change the newer schema compatibly. */
  readonly mend: string
  /** Whether it surely breaks; otherwise that can't be told. */
  readonly isCertain: boolean
  /** A value that the writer may have written and the reader refuses, where one was found. */
  readonly example?: unknown
}

export interface Comparison {
  readonly verdict: Verdict
  readonly faults: readonly SchemaFault[]
}

/** Which of two schemas is whose, for texts: `v1` wrote, `v2` reads. */
export interface Sides {
  readonly writer: string
  readonly reader: string
  /** Whose schema can still be changed. */
  readonly newer: 'writer' | 'reader'
}

/** A step to a place in a value: a property, an index, each item, or each property that is not named. */
export type Step = string | number | typeof eachItem | typeof eachOther
export const eachItem = Symbol('each item')
export const eachOther = Symbol('each other property')

export function pathText(path: readonly Step[]): string {
  return path
    .map((step, index) => {
      if (step === eachItem) return '[]'
      if (typeof step === 'number') return `[${step}]`
      return `${index === 0 ? '' : '.'}${step === eachOther ? '*' : String(step)}`
    })
    .join('')
}

export function verdictOf(faults: readonly SchemaFault[]): Verdict {
  if (faults.length === 0) return 'compatible'
  return faults.some(({ isCertain }) => isCertain) ? 'incompatible' : 'cannot tell'
}
