import { type Header, type Key, noHeaders, type Origin, StreamRecord } from './record.js'

/** Larger values keep the buffer that they came in: copying them would cost more than it saves. */
const largest = 4_096
/** Up to here a loop copies faster than a call does. */
const fewBytes = 32
const firstSlab = 65_536
const firstRoom = 64

/** In place of a length: there are no bytes, or the record is kept as it is. */
const none = -1
const whole = -2

/** The numbers of each record, by their places. */
const [valueLength, keyLength, bytesAt, partition, offset, readTime, eventTime, behind] = [0, 1, 2, 3, 4, 5, 6, 7]
const numbersEach = 8
/** The objects of each record: its value (or all of it), its key where that is not the source's. */
const [value, otherKey, headers, topic] = [0, 1, 2, 3]
const objectsEach = 4

/**
 * Records that travel together as the value of one, as `batch` makes them. Sinks unpack it, and nothing else: an array
 * is a value like any other. Each member keeps its own key, time, headers and origin.
 *
 * A record that waits for others keeps three objects and two buffers of the client alive, and what outlives the young
 * generation the collector moves, and moves again: with batches of 5,000 a twentieth of a flow's time, and 40 MiB. So
 * their bytes lie in one slab, their numbers in one array, and a member is made anew for whoever asks for it.
 */
export class Batch<V = unknown> implements Iterable<V> {
  private packed = new Packed()

  constructor(records: Iterable<StreamRecord<V>> = []) {
    for (const record of records) this.add(record)
  }

  /** An empty one, with room for as much as this one has: growing would copy most of it once more. */
  another(): Batch<V> {
    const batch = new Batch<V>()
    batch.packed = new Packed(this.length, this.packed.used)
    return batch
  }

  get length(): number {
    return this.packed.count
  }

  /** The values alone, as a new array. */
  get values(): V[] {
    return Array.from(this)
  }

  /** The members, made anew. */
  get records(): StreamRecord<V>[] {
    return Array.from({ length: this.length }, (_, index) => this.record(index))
  }

  /** Adds one more member. Only who makes the batch may. */
  add(record: StreamRecord<V>): void {
    if (isPackable(record.headers, record.origin)) this.packed.add(record, record.origin)
    else this.packed.keep(record)
  }

  /** One member, made anew. */
  record(index: number): StreamRecord<V> {
    const { packed } = this
    if (packed.isWhole(index)) return packed.object(index, value) as StreamRecord<V>
    const kept = packed.object(index, headers) as readonly Header[]
    const origin = new MemberOrigin(packed, index, packed.key(index), kept === noHeaders ? undefined : kept)
    const other = packed.object(index, otherKey) as Key | undefined
    return new StreamRecord(
      other === undefined ? origin.key : other,
      packed.object(index, value) as V,
      packed.number(index, eventTime),
      kept,
      origin,
      packed.number(index, behind),
    )
  }

  *[Symbol.iterator](): Iterator<V> {
    const { packed, length } = this
    for (let index = 0; index < length; index++) {
      const held = packed.object(index, value)
      yield packed.isWhole(index) ? (held as StreamRecord<V>).value : (held as V)
    }
  }

  /** In JSON a batch is the array of its values. */
  toJSON(): V[] {
    return this.values
  }
}

/** Records in few objects. */
class Packed {
  count = 0
  /** How many bytes of the slab are. */
  used = 0
  private numbers: Float64Array
  private readonly objects: unknown[] = []
  private slab: Buffer | undefined

  constructor(room = 0, bytes = 0) {
    this.numbers = new Float64Array(Math.max(firstRoom, room) * numbersEach)
    if (bytes > firstSlab) this.slab = Buffer.allocUnsafeSlow(bytes + largest)
  }

  add(record: StreamRecord, origin: Packable): void {
    const { key } = record
    const at = this.extend()
    const { numbers } = this
    numbers[at + bytesAt] = this.used
    numbers[at + keyLength] = this.append(origin.key)
    numbers[at + valueLength] = this.append(origin.value)
    numbers[at + partition] = origin.partition
    numbers[at + offset] = origin.offset
    numbers[at + readTime] = origin.timestamp
    numbers[at + eventTime] = record.timestamp
    numbers[at + behind] = record.behindMs
    this.objects.push(record.value, key === origin.key ? undefined : key, record.headers, origin.topic)
  }

  /** Adds a record as it is. */
  keep(record: StreamRecord): void {
    this.numbers[this.extend() + valueLength] = whole
    this.objects.push(record, undefined, undefined, undefined)
  }

  isWhole(index: number): boolean {
    return this.number(index, valueLength) === whole
  }

  number(index: number, which: number): number {
    return this.numbers[index * numbersEach + which]!
  }

  object(index: number, which: number): unknown {
    return this.objects[index * objectsEach + which]
  }

  /** The key that the source read. */
  key(index: number): Buffer | null {
    return this.bytes(this.number(index, bytesAt), this.number(index, keyLength))
  }

  /** The value that the source read. */
  value(index: number): Buffer | null {
    const at = this.number(index, bytesAt) + Math.max(0, this.number(index, keyLength))
    return this.bytes(at, this.number(index, valueLength))
  }

  private bytes(at: number, length: number): Buffer | null {
    return length === none ? null : this.slab!.subarray(at, at + length)
  }

  /** Makes room for the numbers of one more, and returns where they go. */
  private extend(): number {
    const at = this.count++ * numbersEach
    if (at < this.numbers.length) return at
    const numbers = new Float64Array(2 * this.numbers.length)
    numbers.set(this.numbers)
    this.numbers = numbers
    return at
  }

  private append(bytes: Buffer | null): number {
    if (bytes === null) return none
    const at = this.used
    this.used += bytes.length
    if (this.slab === undefined || this.slab.length < this.used) this.grow(at)
    const slab = this.slab!
    if (bytes.length > fewBytes) slab.set(bytes, at)
    else for (let index = 0; index < bytes.length; index++) slab[at + index] = bytes[index]!
    return bytes.length
  }

  private grow(used: number): void {
    const slab = Buffer.allocUnsafeSlow(Math.max(firstSlab, 2 * this.used))
    this.slab?.copy(slab, 0, 0, used)
    this.slab = slab
  }
}

/** Hardly anybody asks for more of it than the key. */
class MemberOrigin implements Origin {
  constructor(
    private readonly packed: Packed,
    private readonly index: number,
    readonly key: Buffer | null,
    readonly headers: readonly Header[] | undefined,
  ) {}

  get topic(): string {
    return this.packed.object(this.index, topic) as string
  }

  get partition(): number {
    return this.packed.number(this.index, partition)
  }

  get offset(): number {
    return this.packed.number(this.index, offset)
  }

  get timestamp(): number {
    return this.packed.number(this.index, readTime)
  }

  get value(): Buffer | null {
    return this.packed.value(this.index)
  }
}

type Packable = Origin & { readonly key: Buffer | null; readonly value: Buffer | null; readonly timestamp: number }

/** Whether it is as a source of Kafka makes it. */
function isPackable(headers: readonly Header[], origin: Origin): origin is Packable {
  return (
    isSmall(origin.value) &&
    isSmall(origin.key) &&
    origin.timestamp !== undefined &&
    origin.from === undefined &&
    (origin.headers === undefined ? headers === noHeaders : headers === origin.headers)
  )
}

/** By its constructor: `Buffer.isBuffer` walks the chain of prototypes. */
function isSmall(bytes: unknown): bytes is Buffer | null {
  return bytes === null || (bytes?.constructor === Buffer && (bytes as Buffer).length <= largest)
}
