import { z } from 'zod'

/** How much a value may be: a number is the most. */
export type CheckLimit = number | { readonly min?: number; readonly max?: number }

export interface Range {
  readonly min?: number | undefined
  readonly max?: number | undefined
}

export interface Limits {
  readonly warn?: Range | undefined
  readonly error?: Range | undefined
}

const limit = z
  .union([
    z.number().transform((max): Range => ({ max })),
    z
      .strictObject({ min: z.number().optional(), max: z.number().optional() })
      .refine(({ min, max }) => min !== undefined || max !== undefined, 'expected `min`, `max`, or both'),
  ])
  .optional()

export const limitShape = {
  warn: limit.describe('What the value may be; else the check fails as a warning. A number is the most.'),
  error: limit.describe('What the value may be; else the check fails as an error. A number is the most.'),
}

/** Of a check that has no limits by itself. */
export const hasLimits = ({ warn, error }: Limits): boolean => warn !== undefined || error !== undefined
export const noLimits = { path: ['error'], message: 'expected `error`, `warn`, or both' }

export type Severity = 'warn' | 'error'

/** The worst limit that a value does not hold to. */
export function broken(value: number, { warn, error }: Limits): { severity: Severity; range: Range } | undefined {
  if (error !== undefined && !isWithin(value, error)) return { severity: 'error', range: error }
  if (warn !== undefined && !isWithin(value, warn)) return { severity: 'warn', range: warn }
  return undefined
}

function isWithin(value: number, { min = -Infinity, max = Infinity }: Range): boolean {
  return value >= min && value <= max
}

/** For people: `at most 5`. */
export function rangeText({ min, max }: Range): string {
  const texts = [min === undefined ? [] : `at least ${min}`, max === undefined ? [] : `at most ${max}`]
  return texts.flat().join(', ')
}
