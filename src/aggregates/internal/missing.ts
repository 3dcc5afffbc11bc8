/** What a selector may find in a record. */
export type Maybe<T> = T | null | undefined

/** Whether there is a number to reckon with: text would be joined to a sum, and spoil it for good. */
export function isNumber(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value)
}

/** Whether there is a value to reckon with. */
export function isThere<T>(value: Maybe<T>): value is T {
  return value !== null && value !== undefined && !Number.isNaN(value)
}
