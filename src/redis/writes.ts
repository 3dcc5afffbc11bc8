import { type Duration, durationMs, jsonOf, type StreamRecord, UnencodableError, wellFormed } from '../model/index.js'

/** What a key, field or entry may hold: text and bytes as they are, all else as JSON. */
export type RedisData = string | number | bigint | boolean | Uint8Array | object

/**
 * A value at its place, which a later one replaces. `null` in place of the value (or of the score) removes what is
 * there.
 */
export type RedisWrite =
  /** One field of a hash. */
  | { readonly hash: string; readonly field: string | number; readonly value: RedisData | null }
  /** Several fields of a hash; one that is undefined stays as it is. */
  | { readonly hash: string; readonly fields: Readonly<Record<string, RedisData | null | undefined>> }
  /** A member of a sorted set, and its score. */
  | { readonly sortedSet: string; readonly member: string | number; readonly score: number | null }
  /** A key of its own; it is forgotten after `ttl`, which each write begins anew. */
  | { readonly string: string; readonly value: RedisData | null; readonly ttl?: Duration | undefined }
  /** A key with all that it holds, of any kind. */
  | { readonly remove: string }

/** An entry at the end of a stream, which keeps about `maxLength` of them. */
export interface RedisAppend {
  readonly stream: string
  readonly fields: Readonly<Record<string, RedisData | undefined>>
  readonly maxLength?: number | undefined
}

/** Lua can hand no more words than some thousands to one command. */
const mostWords = 7_000

export type Word = string | number | Uint8Array
export type KeyType = 'hash' | 'zset' | 'stream'

/** One change of one key, and the records that asked for it. */
export interface Operation {
  readonly verb: 'hset' | 'hdel' | 'zadd' | 'zrem' | 'xadd' | 'set' | 'del'
  readonly key: string
  /** What the key has to hold, if anything. Undefined when the operation replaces whatever it holds. */
  readonly type: KeyType | undefined
  /** What of the key it changes; undefined when that is all of it, or nothing that was there. */
  readonly part: string | undefined
  /** All that the command has behind the key; of one that takes several parts, what it has for this one. */
  readonly words: readonly Word[]
  readonly records: readonly StreamRecord[]
}

/** The operations of a write. Errors: `UnencodableError`. */
export function operationsOf(write: RedisWrite | RedisAppend, record: StreamRecord): readonly Operation[] {
  const records = [record]
  if ('hash' in write) return hashOperations(write, records)
  if ('sortedSet' in write) return [sortedSetOperation(write, records)]
  if ('stream' in write) return [append(write, records)]
  const key = 'string' in write ? write.string : write.remove
  const isRemoval = 'remove' in write || write.value === null
  const words = isRemoval ? [] : [wordOf(write.value, key), ...expiry(write.ttl)]
  return [{ verb: isRemoval ? 'del' : 'set', key: nameOf(key), type: undefined, part: undefined, words, records }]
}

function hashOperations(write: Extract<RedisWrite, { hash: string }>, records: Operation['records']): Operation[] {
  const fields = 'field' in write ? { [nameOf(write.field)]: write.value } : write.fields
  return Object.entries(fields).flatMap(([name, value]): Operation[] => {
    if (value === undefined && !('field' in write)) return []
    const part = nameOf(name)
    const at = { key: nameOf(write.hash), type: 'hash', part, records } as const
    if (value === null) return [{ ...at, verb: 'hdel', words: [part] }]
    return [{ ...at, verb: 'hset', words: [part, wordOf(value, part)] }]
  })
}

function sortedSetOperation(
  { sortedSet, member, score }: Extract<RedisWrite, { sortedSet: string }>,
  records: Operation['records'],
): Operation {
  const part = nameOf(member)
  const at = { key: nameOf(sortedSet), type: 'zset', part, records } as const
  if (score === null) return { ...at, verb: 'zrem', words: [part] }
  if (typeof score !== 'number' || Number.isNaN(score))
    throw new UnencodableError(new TypeError(`${String(score)} is no score`), part)
  return { ...at, verb: 'zadd', words: [infinite[score] ?? score, part] }
}

const infinite: Readonly<Record<number, string | undefined>> = {
  [Number.POSITIVE_INFINITY]: '+inf',
  [Number.NEGATIVE_INFINITY]: '-inf',
}

function append({ stream, fields, maxLength }: RedisAppend, records: Operation['records']): Operation {
  const given = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [nameOf(name), wordOf(value, name)],
  )
  if (given.length === 0) throw new UnencodableError(new TypeError('an entry of a stream needs a field'))
  if (given.length > mostWords)
    throw new UnencodableError(new RangeError(`an entry of ${given.length / 2} fields is too large`))
  const limit = maxLength === undefined ? [] : ['MAXLEN', '~', wholeNumber(maxLength, 'length of a stream')]
  return {
    verb: 'xadd',
    key: nameOf(stream),
    type: 'stream',
    part: undefined,
    words: [...limit, '*', ...given],
    records,
  }
}

function expiry(ttl: Duration | undefined): Word[] {
  return ttl === undefined ? [] : ['PX', Math.max(1, wholeNumber(Math.round(durationMs(ttl)), 'time to live'))]
}

/** As the server reads one: in plain digits. */
function wholeNumber(number: number, what: string): number {
  if (Number.isSafeInteger(number)) return Math.max(0, number)
  throw new UnencodableError(new TypeError(`${String(number)} is no ${what}`))
}

function nameOf(name: unknown): string {
  if (typeof name === 'string') return wellFormed(name)
  if (typeof name === 'number') return String(name)
  throw new UnencodableError(new TypeError(`a ${typeof name} is no name of a key, field or member`))
}

function wordOf(value: unknown, place: string): Word {
  if (value instanceof Uint8Array) return value
  try {
    return typeof value === 'string' ? wellFormed(value) : jsonOf(value)
  } catch (error) {
    throw new UnencodableError(error, place)
  }
}
