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
const [valueLength, keyLength, bytesAt, topic, partition, offset, readTime, eventTime, behind] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8,
]
const numbersEach = 9

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

  /** The members. */
  get records(): StreamRecord<V>[] {
    return Array.from({ length: this.length }, (_, index) => this.record(index))
  }

  /** Adds one more member. Only who makes the batch may. */
  add(record: StreamRecord<V>): void {
    if (isPackable(record.headers, record.origin)) this.packed.add(record, record.origin)
    else this.packed.keep(record)
  }

  /** One member. */
  record(index: number): StreamRecord<V> {
    return new Member<V>(this.packed, index)
  }

  *[Symbol.iterator](): Iterator<V> {
    for (let index = 0; index < this.length; index++) yield this.packed.value(index) as V
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
  /** Of a record that is kept as it is, all of it. */
  private readonly values: unknown[] = []
  /** Where they are not those that the source read. */
  private readonly keys: Key[] = []
  /** Where there are any. */
  private readonly headers: (readonly Header[])[] = []
  private readonly topics: string[] = []
  private slab: Buffer | undefined

  constructor(room = 0, bytes = 0) {
    this.numbers = new Float64Array(Math.max(firstRoom, room) * numbersEach)
    if (bytes > firstSlab) this.slab = Buffer.allocUnsafeSlow(bytes + largest)
  }

  add(record: StreamRecord, origin: Packable): void {
    const index = this.count
    const at = this.extend()
    const { numbers } = this
    numbers[at + bytesAt] = this.used
    numbers[at + keyLength] = this.append(origin.key)
    numbers[at + valueLength] = this.append(origin.value)
    numbers[at + topic] = this.topicOf(origin.topic)
    numbers[at + partition] = origin.partition
    numbers[at + offset] = origin.offset
    numbers[at + readTime] = origin.timestamp
    numbers[at + eventTime] = record.timestamp
    numbers[at + behind] = record.behindMs
    this.values.push(record.value)
    if (record.key !== origin.key) this.keys[index] = record.key
    if (record.headers !== noHeaders) this.headers[index] = record.headers
  }

  /** Adds a record as it is. */
  keep(record: StreamRecord): void {
    const at = this.extend()
    this.numbers[at + valueLength] = whole
    this.values.push(record)
  }

  value(index: number): unknown {
    const value = this.values[index]
    return this.number(index, valueLength) === whole ? (value as StreamRecord).value : value
  }

  /** One record, made anew if it was packed. */
  record(index: number): StreamRecord {
    const length = this.number(index, valueLength)
    const held = this.values[index]
    if (length === whole) return held as StreamRecord
    const at = this.number(index, bytesAt)
    const ofKey = this.number(index, keyLength)
    const headers = this.headers[index]
    const origin: Origin & { readonly key: Buffer | null } = {
      topic: this.topics[this.number(index, topic)]!,
      partition: this.number(index, partition),
      offset: this.number(index, offset),
      key: this.bytes(at, ofKey),
      value: this.bytes(at + Math.max(0, ofKey), length),
      timestamp: this.number(index, readTime),
      headers,
    }
    const key = this.keys[index] === undefined ? origin.key : this.keys[index]!
    const [time, behindMs] = [this.number(index, eventTime), this.number(index, behind)]
    return new StreamRecord(key, held, time, headers ?? noHeaders, origin, behindMs)
  }

  private number(index: number, which: number): number {
    return this.numbers[index * numbersEach + which]!
  }

  private bytes(at: number, length: number): Buffer | null {
    return length === none ? null : this.slab!.subarray(at, at + length)
  }

  /** Nearly always that of the record before. */
  private topicOf(name: string): number {
    const { topics } = this
    if (topics.length > 0 && topics[topics.length - 1] === name) return topics.length - 1
    const known = topics.indexOf(name)
    return known === -1 ? topics.push(name) - 1 : known
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

/** Most functions of sinks look at the value alone: what is asked for beyond it is made then. */
class Member<V> implements StreamRecord<V> {
  private made: StreamRecord<V> | undefined

  constructor(
    private readonly packed: Packed,
    private readonly index: number,
  ) {}

  get value(): V {
    return this.packed.value(this.index) as V
  }

  get key(): Key {
    return this.record.key
  }

  get timestamp(): number {
    return this.record.timestamp
  }

  get headers(): readonly Header[] {
    return this.record.headers
  }

  get origin(): Origin {
    return this.record.origin
  }

  get behindMs(): number {
    return this.record.behindMs
  }

  with<W>(value: W): StreamRecord<W> {
    return this.record.with(value)
  }

  keyed(key: Key): StreamRecord<V> {
    return this.record.keyed(key)
  }

  at(timestamp: number, behindMs: number): StreamRecord<V> {
    return this.record.at(timestamp, behindMs)
  }

  private get record(): StreamRecord<V> {
    this.made ??= this.packed.record(this.index) as StreamRecord<V>
    return this.made
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
