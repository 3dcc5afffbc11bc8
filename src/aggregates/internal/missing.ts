/** What a selector may find in a record. */
export type Maybe<T> = T | null | undefined

/** Whether there is a value to reckon with. */
export function isThere<T>(value: Maybe<T>): value is T {
  return value !== null && value !== undefined && !Number.isNaN(value)
}
