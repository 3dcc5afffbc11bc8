import type { Key, Position, StreamRecord } from '../../model/index.js'

/** A record that a simulation writes to a source's topic, as its place in the log tells. */
export interface LoggedInput<V = unknown> extends Position {
  readonly key: Key
  readonly value: V
  readonly timestamp: number
}

/** A result that has to come out. The same id may be expected several times. */
export interface Expected {
  readonly id: string
  readonly value: unknown
  /**
   * When it has to be durable at the latest: before a position beyond this offset is committed, or before a watermark is
   * that says that its window has closed. Without it: at the end.
   */
  readonly due?: Position | { readonly closes: number }
}

/** Says what must come out of a flow, from the input alone. */
export interface Model {
  /** The input is in the order of each partition; whatever else happens, these results come out, and no others. */
  expected(input: readonly LoggedInput<never>[]): Iterable<Expected>
  /** Tells which of the expected results a value is that reached a sink (an element of it, if it is an array). */
  identify(output: unknown): { readonly id: string; readonly value: unknown }
  /** Tells which of the expected results is none any more when this record is a dead letter. */
  rejected?(record: StreamRecord): string
}

/** A flow without state: each record gives results of its own, told apart by `idOf`. */
export function eachRecord<In, Out>(options: {
  readonly results: (input: LoggedInput<In>) => readonly Out[]
  readonly idOf: (output: Out) => string
}): Model {
  return {
    *expected(input: readonly LoggedInput<In>[]) {
      for (const record of input) {
        for (const value of options.results(record)) yield { id: options.idOf(value), value, due: record }
      }
    },
    identify: (output) => ({ id: options.idOf(output as Out), value: output }),
  }
}

/**
 * `aggregate` with windows: one result for each key and window that the watermark passes. With `advanceMs` they overlap.
 * The flow's `idleAfter` has to be longer than a simulation lasts, since when a partition goes idle is no question of the
 * input.
 */
export function windowed<In, R>(options: {
  readonly sizeMs: number
  /** How long after a window the next one begins. Default: its size. */
  readonly advanceMs?: number
  readonly graceMs?: number
  /** Of all records, or of each: what its input allows. */
  readonly outOfOrderMs?: number | ((input: LoggedInput<In>) => number)
  /** The event time of a record, ms. Default: its timestamp. */
  readonly time?: (value: In, input: LoggedInput<In>) => number
  readonly by?: (value: In, input: LoggedInput<In>) => string | number
  readonly result: (values: readonly In[]) => R
}): Model {
  const { sizeMs, advanceMs = sizeMs, graceMs = 0, outOfOrderMs = 0 } = options
  const { time = (_, { timestamp }) => timestamp, by = () => null } = options
  const trailing = typeof outOfOrderMs === 'number' ? () => outOfOrderMs : outOfOrderMs
  return {
    *expected(input: readonly LoggedInput<In>[]) {
      const watermarks = new Map<string, number>()
      const groups = new Map<string, { start: number; values: In[] }>()
      for (const record of input) {
        const partition = `${record.topic}-${record.partition}`
        const at = time(record.value, record)
        const reached = Math.max(at - trailing(record), watermarks.get(partition) ?? Number.NEGATIVE_INFINITY)
        watermarks.set(partition, reached)
        for (let start = Math.floor(at / advanceMs) * advanceMs; start + sizeMs > at; start -= advanceMs) {
          if (start + sizeMs + graceMs <= reached) break
          const id = windowId(start, by(record.value, record))
          const group = groups.get(id) ?? { start, values: [] }
          groups.set(id, group)
          group.values.push(record.value)
        }
      }
      const watermark = Math.min(...watermarks.values())
      for (const [id, { start, values }] of groups) {
        const closes = start + sizeMs + graceMs
        if (closes <= watermark) yield { id, value: options.result(values), due: { closes } }
      }
    },
    identify(output) {
      const { key, window, value } = output as { key: string | null; window: { start: Date }; value: R }
      return { id: windowId(window.start.getTime(), key), value }
    },
  }
}

/** `aggregate` over all time: a result for each record. The records of a group have to be in one partition. */
export function allTime<In, R>(options: {
  readonly by?: (value: In, input: LoggedInput<In>) => string | number
  readonly result: (values: readonly In[]) => R
}): Model {
  const { by = () => null, result } = options
  return {
    *expected(input: readonly LoggedInput<In>[]) {
      const groups = new Map<string | number | null, In[]>()
      for (const record of input) {
        const key = by(record.value, record)
        const values = groups.get(key) ?? []
        groups.set(key, values)
        values.push(record.value)
        const value = result(values)
        yield { id: resultId(key, value), value, due: record }
      }
    },
    identify(output) {
      const { key, value } = output as { key: string | null; value: R }
      return { id: resultId(key, value), value }
    },
  }
}

function windowId(start: number, key: string | number | null): string {
  return `window ${new Date(start).toISOString()}${key === null ? '' : ` of ${key}`}`
}

function resultId(key: string | number | null, value: unknown): string {
  return `${key === null ? 'result' : `result of ${key}`} ${JSON.stringify(value)}`
}
