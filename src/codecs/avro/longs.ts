import type * as Avsc from 'avsc'
import type { Schema, Type } from 'avsc'

/** Bytes, and how far they are read or written. */
interface Tap {
  readonly buf: Uint8Array
  pos: number
  readLong(): number
  writeLong(value: number): void
}

/** Reads what was written with another type. */
interface Resolver {
  _read(tap: Tap): number
}

interface NumberType extends Type {
  _update(resolver: Resolver, written: Type): void
  _write(tap: Tap, value: number): void
}

type NumberClass = new () => NumberType

/** Of a long, as it is written. */
const mostBytes = 10
/** Twice what is less is no number any more. */
const leastDoubled = -(2 ** 52)
const types = new WeakMap<typeof Avsc, Readonly<Record<string, Type>>>()

/**
 * The types of longs, and of what longs are read as, in place of avsc's own. That doubles numbers: below -2^52 it writes
 * and reads others (what is asked for without its sign, mostly), and it refuses the two safe integers at the ends.
 * Undefined for schemas of other types.
 */
export function exactLong(avsc: typeof Avsc, schema: Schema): Type | undefined {
  const name = typeof schema === 'string' ? schema : (schema as { readonly type?: unknown }).type
  if (name !== 'long' && name !== 'float' && name !== 'double') return undefined
  const known = types.get(avsc) ?? exactTypes(avsc)
  types.set(avsc, known)
  return known[name]
}

function exactTypes(avsc: typeof Avsc): Readonly<Record<string, Type>> {
  const { LongType, FloatType, DoubleType } = avsc.types as unknown as Record<
    'LongType' | 'FloatType' | 'DoubleType',
    NumberClass
  >

  class ExactLong extends LongType {
    // Those who read with another schema take it without its object.
    _read(tap: Tap): number {
      const value = nearest(tap)
      if (!Number.isSafeInteger(value)) throw new RangeError('a long beyond 2^53, which no number holds')
      return value
    }

    _check(value: unknown, _flags: unknown, hook: ((value: unknown, type: Type) => void) | undefined): boolean {
      const isLong = Number.isSafeInteger(value)
      if (!isLong) hook?.(value, this)
      return isLong
    }

    override _write(tap: Tap, value: number): void {
      if (!Number.isSafeInteger(value)) return super._write(tap, value)
      if (value >= leastDoubled) return tap.writeLong(value)
      let rest = -2n * BigInt(value) - 1n
      for (; rest > 0x7fn; rest >>= 7n) tap.buf[tap.pos++] = Number(rest & 0x7fn) | 0x80
      tap.buf[tap.pos++] = Number(rest)
    }
  }
  return { long: new ExactLong(), float: new (roundingLongs(FloatType))(), double: new (roundingLongs(DoubleType))() }
}

function roundingLongs(type: NumberClass): NumberClass {
  return class extends type {
    override _update(resolver: Resolver, written: Type): void {
      super._update(resolver, written)
      if (written.typeName === 'long') resolver._read = nearest
    }
  }
}

/** The number that is nearest to a long. */
function nearest(tap: Tap): number {
  const start = tap.pos
  const value = tap.readLong()
  if (tap.pos - start > mostBytes) throw new RangeError('a long of more than ten bytes')
  const isNegative = ((tap.buf[start] ?? 0) & 1) === 1
  if (!isNegative || value < 0) return value
  let doubled = 0n
  for (let at = tap.pos - 1; at >= start; at--) doubled = (doubled << 7n) | BigInt((tap.buf[at] ?? 0) & 0x7f)
  return Number(-(doubled + 1n) / 2n)
}
