import type * as Avsc from 'avsc'
import type { Schema, Type } from 'avsc'

/** How many items of no bytes (null, a record without fields) a value may have beyond those that its bytes can hold. */
const mostEmpty = 100_000

/** Bytes, and how far they are read. */
interface Tap {
  readonly buf: Uint8Array
  pos: number
  /** How many items have been announced. */
  announced?: number
  readLong(): number
  readString(): string
  skipLong(): void
  skipString(): void
}

interface Reader {
  _read(tap: Tap): unknown
  _skip(tap: Tap): void
}

type TypeClass = new (schema: object, options: object) => Type
/** Makes the type of an array or a map, in place of avsc. */
type Hook = (schema: Schema, options: object) => Type | undefined

const hooks = new WeakMap<typeof Avsc, Hook>()

/**
 * Arrays and maps that announce no more items than there can be. avsc believes what they announce, and goes on behind
 * the end of the bytes: ten of them keep it busy for ever, or take all memory.
 */
export function boundedCollections(avsc: typeof Avsc): Hook {
  const known = hooks.get(avsc)
  if (known !== undefined) return known
  const { ArrayType, MapType } = avsc.types as unknown as { ArrayType: TypeClass; MapType: TypeClass }

  class BoundedArray extends ArrayType {
    declare readonly itemsType: Reader

    _read(tap: Tap): unknown[] {
      const items: unknown[] = []
      for (const _ of announced(tap)) items.push(this.itemsType._read(tap))
      return items
    }

    _skip(tap: Tap): void {
      for (const _ of announced(tap)) this.itemsType._skip(tap)
    }
  }

  class BoundedMap extends MapType {
    declare readonly valuesType: Reader

    _read(tap: Tap): object {
      const entries: [string, unknown][] = []
      for (const _ of announced(tap)) entries.push([tap.readString(), this.valuesType._read(tap)])
      return Object.fromEntries(entries)
    }

    _skip(tap: Tap): void {
      for (const _ of announced(tap)) {
        tap.skipString()
        this.valuesType._skip(tap)
      }
    }
  }

  const hook: Hook = (schema, options) => {
    const { type } = schema as { readonly type?: unknown }
    if (type === 'array') return new BoundedArray(schema as object, options)
    return type === 'map' ? new BoundedMap(schema as object, options) : undefined
  }
  hooks.set(avsc, hook)
  return hook
}

/** Once for each item of the blocks that come. Errors with a RangeError where there are more than there can be. */
function* announced(tap: Tap): Generator<void> {
  for (let count = tap.readLong(); count !== 0; count = tap.readLong()) {
    if (count < 0) {
      count = -count
      tap.skipLong()
    }
    tap.announced = (tap.announced ?? 0) + count
    if (tap.announced > tap.buf.length + mostEmpty)
      throw new RangeError(`${tap.announced} items in ${tap.buf.length} bytes`)
    for (; count > 0 && tap.pos <= tap.buf.length; count--) yield
  }
}
