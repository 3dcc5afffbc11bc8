import type { StreamRecord } from '../../model/index.js'

/** How bad what a record tells is. */
export type IncidentLevel = 'ok' | 'warn' | 'error'

/** A number, and from where on it is bad. */
export interface Limit<V> {
  /** The number; null or undefined where the record does not tell it. */
  readonly of: (value: V, record: StreamRecord<V>) => number | null | undefined
  readonly warn?: number | undefined
  readonly error?: number | undefined
}

export type LevelOf<V> = (value: V, record: StreamRecord<V>) => IncidentLevel | undefined

/**
 * The worst of all limits. Where one is not told, what the others say is not enough for `ok`: it may be the one that was bad.
 */
export function levelBy(limits: readonly Limit<unknown>[]): LevelOf<unknown> {
  return (value, record) => {
    const levels = limits.map((limit) => levelOf(limit, limit.of(value, record)))
    if (levels.includes('error')) return 'error'
    if (levels.includes('warn')) return 'warn'
    return levels.includes(undefined) ? undefined : 'ok'
  }
}

function levelOf({ warn, error }: Limit<unknown>, number: unknown): IncidentLevel | undefined {
  if (number === null || number === undefined) return undefined
  if (typeof number !== 'number' || Number.isNaN(number))
    throw new TypeError(`a limit is of a number, and this is ${typeof number}`)
  if (error !== undefined && number >= error) return 'error'
  return warn !== undefined && number >= warn ? 'warn' : 'ok'
}
