import { addExtension, Packr } from 'msgpackr'

/** Deeper values are taken for such that contain themselves. */
const maxDepth = 250
/** Names that the packer takes for something else than fields. */
const oddNames: readonly string[] = ['__proto__', 'constructor']

/** A value, or a part of one, that MessagePack has no form of its own for. */
class Tagged {
  constructor(
    readonly tag: keyof typeof readers,
    readonly data: unknown,
  ) {}
}

const typedArrays = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const

/** What each tag stands for. Tags are stored: never change one. */
const readers = {
  undefined: () => undefined,
  negativeZero: () => -0,
  bigint: (text: string) => BigInt(text),
  /** Text that is not well-formed, which UTF-8 can't carry. */
  utf16: (bytes: Buffer) => bytes.toString('utf16le'),
  date: (time: number | null) => new Date(time ?? Number.NaN),
  map: (entries: [unknown, unknown][]) => new Map(entries),
  set: (items: unknown[]) => new Set(items),
  sparse: ([length, ...entries]: [number, ...[number, unknown][]]) => {
    const array = new Array<unknown>(length)
    for (const [index, item] of entries) array[index] = item
    return array
  },
  object: ([isBare, ...entries]: [boolean, ...[string, unknown][]]) => {
    const object = isBare ? (Object.create(null) as object) : {}
    const plain = { configurable: true, enumerable: true, writable: true }
    for (const [key, value] of entries) Object.defineProperty(object, key, { ...plain, value })
    return object
  },
  buffer: (bytes: Buffer) => arrayBufferOf(bytes),
  typed: ([index, bytes]: [number, Buffer]) => new (typedArrays[index] as typeof Uint8Array)(arrayBufferOf(bytes)),
} as const

addExtension({
  Class: Tagged,
  type: 0x57,
  write: ({ tag, data }: Tagged) => [tag, data],
  read: ([tag, data]: [keyof typeof readers, never]) => readers[tag](data),
})
const packr = new Packr({ useRecords: false, moreTypes: true, int64AsType: 'number', copyBuffers: true })

/** A value that can't be kept, or go from task to task: it would come back as something else. */
export class UnkeepableError extends TypeError {
  override readonly name = 'UnkeepableError'
}

/**
 * Packs a value so that the same comes back: plain objects and arrays (holes too), null, undefined, booleans, numbers
 * (-0 and NaN too), bigint, text (half surrogate pairs too), Date, Map, Set, Buffer, ArrayBuffer and typed arrays.
 * What is in it twice comes back as two. Records of Avro come back as plain objects.
 * Errors: `UnkeepableError` for anything else: functions, symbols, instances of other classes, what contains itself.
 */
export function pack(value: unknown): Buffer {
  return packTagged(tagged(value))
}

/** Packs what `tagged` returned, or what has a size. */
export function packTagged(value: unknown): Buffer {
  return packr.pack(value)
}

/** The inverse of `pack`; what it returns shares no memory with the bytes. */
export function unpack(bytes: Uint8Array): unknown {
  return packr.unpack(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
}

/** About how many bytes a value takes when packed; NaN where parts of it have to be `tagged` first. */
export function sizeOf(value: unknown, depth = 0): number {
  if (typeof value === 'number') return sizeOfNumber(value)
  if (typeof value === 'string') return value.isWellFormed() ? value.length + 1 : Number.NaN
  if (value === null || typeof value === 'boolean') return 1
  if (typeof value !== 'object' || depth > maxDepth) return Number.NaN
  switch (Object.getPrototypeOf(value)) {
    case Array.prototype:
      return sizeOfItems(value as unknown[], depth)
    case Object.prototype:
      return sizeOfObject(value as Record<string, unknown>, depth)
    case Buffer.prototype:
      return (value as Buffer).length + 2
    case Tagged.prototype:
      return 4 + sizeOf((value as Tagged).data, depth + 1)
    default:
      return Number.NaN
  }
}

function sizeOfItems(items: readonly unknown[], depth: number): number {
  let size = 1
  for (const item of items) {
    size += sizeOf(item, depth + 1)
    if (Number.isNaN(size)) break
  }
  return size
}

function sizeOfObject(object: Record<string, unknown>, depth: number): number {
  if (Object.getOwnPropertySymbols(object).length > 0) return Number.NaN
  let size = 1
  for (const key of Object.keys(object)) {
    size += oddNames.includes(key) ? Number.NaN : sizeOf(key) + sizeOf(object[key], depth + 1)
    if (Number.isNaN(size)) break
  }
  return size
}

function sizeOfNumber(value: number): number {
  if (!Number.isInteger(value)) return 9
  if (value === 0) return Object.is(value, -0) ? Number.NaN : 1
  if (value >= -32 && value < 128) return 1
  const magnitude = Math.abs(value)
  return magnitude < 1 << 15 ? 3 : magnitude < 2 ** 31 ? 5 : 9
}

/** The same as `sizeOf`, of anything that was packed. */
export function packedSizeOf(value: unknown): number {
  const size = sizeOf(value)
  return Number.isNaN(size) ? sizeOf(tagged(value)) : size
}

/** The same value with what MessagePack can't carry in another form. Errors: `UnkeepableError`. */
export function tagged(value: unknown, path = '', depth = 0): unknown {
  if (!Number.isNaN(sizeOf(value))) return value
  if (depth > maxDepth) throw new UnkeepableError(`it contains itself, or is nested deeper than ${maxDepth}`)
  const part = (inner: unknown, name: string) => tagged(inner, path + name, depth + 1)
  if (value === undefined) return new Tagged('undefined', null)
  if (typeof value === 'number') return new Tagged('negativeZero', null)
  if (typeof value === 'bigint') return new Tagged('bigint', String(value))
  if (typeof value === 'string') return new Tagged('utf16', Buffer.from(value, 'utf16le'))
  if (typeof value === 'object') return taggedObject(value as object, part, path)
  throw unkeepable(`a ${typeof value}`, path)
}

type Part = (inner: unknown, name: string) => unknown

function taggedObject(value: object, part: Part, path: string): unknown {
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === Array.prototype) return taggedArray(value as unknown[], part)
  if (prototype === Date.prototype) return taggedDate(value as Date)
  if (prototype === Map.prototype) return taggedMap(value as Map<unknown, unknown>, part)
  if (prototype === Set.prototype) return taggedSet(value as Set<unknown>, part)
  if (prototype === ArrayBuffer.prototype) return new Tagged('buffer', Buffer.from(value as ArrayBuffer))
  const index = typedArrays.findIndex((type) => type.prototype === prototype)
  if (index >= 0) {
    const { buffer, byteOffset, byteLength } = value as Uint8Array
    return new Tagged('typed', [index, Buffer.from(buffer, byteOffset, byteLength)])
  }
  if (prototype === Object.prototype || prototype === null || isAvro(prototype)) return taggedEntries(value, part, path)
  throw unkeepable(`an instance of ${prototype.constructor?.name || 'a class'}`, path)
}

function taggedDate(date: Date): Tagged {
  const time = date.getTime()
  return new Tagged('date', Number.isNaN(time) ? null : time)
}

function taggedMap(map: ReadonlyMap<unknown, unknown>, part: Part): Tagged {
  const entries = [...map].map(([key, value], index) => [part(key, `<key ${index}>`), part(value, `<value ${index}>`)])
  return new Tagged('map', entries)
}

function taggedSet(set: ReadonlySet<unknown>, part: Part): Tagged {
  return new Tagged(
    'set',
    [...set].map((item, index) => part(item, `<${index}>`)),
  )
}

function taggedArray(items: readonly unknown[], part: Part): unknown {
  const entries = items.flatMap((item, index) => [[index, part(item, `[${index}]`)] as const])
  return entries.length === items.length
    ? entries.map(([, item]) => item)
    : new Tagged('sparse', [items.length, ...entries])
}

function taggedEntries(object: object, part: Part, path: string): unknown {
  if (Object.getOwnPropertySymbols(object).length > 0) throw unkeepable('a symbol as the name of a field', path)
  const entries = Object.entries(object).map(([key, value]) => [key, part(value, `.${key}`)] as const)
  const isBare = Object.getPrototypeOf(object) === null
  const isPlain = !isBare && entries.every(([key]) => !oddNames.includes(key) && key.isWellFormed())
  if (isPlain) return Object.fromEntries(entries)
  return new Tagged('object', [isBare, ...entries.map(([key, value]) => [tagged(key), value])])
}

/** What avsc reads are instances of a class for each type of record, and plain data beside that. */
function isAvro(prototype: object): boolean {
  const type = (prototype.constructor as { type?: { typeName?: unknown } } | undefined)?.type
  return typeof type?.typeName === 'string'
}

function unkeepable(what: string, path: string): UnkeepableError {
  return new UnkeepableError(`${what}${path === '' ? '' : ` at ${path}`} can not be kept`)
}

function arrayBufferOf(bytes: Buffer): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
}
