import { type Header, type Key, noHeaders, type Origin, StreamRecord } from './record.js'

/** Larger values keep the buffer that they came in: copying them would cost more than it saves. */
const largest = 4_096
const firstSlab = 65_536
const firstRoom = 64

/** In place of a length: there are no bytes, or the record is kept as it is. */
const none = -1
const whole = -2

/** Of each record: the lengths of its value and its key, where they begin, and its numbers. */
const numbersEach = 8
/** Of each record: its value (or all of it), its key where that is not the source's, its headers, its topic. */
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
  private numbers = new Float64Array(firstRoom * numbersEach)
  private readonly objects: unknown[] = []
  private slab: Buffer | undefined
  private used = 0

  constructor(records: Iterable<StreamRecord<V>> = []) {
    for (const record of records) this.add(record)
  }

  get length(): number {
    return this.objects.length / objectsEach
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
    const { value, key, headers, origin, timestamp, behindMs } = record
    const { objects } = this
    const number = this.length * numbersEach
    if (number === this.numbers.length) this.extend()
    const { numbers } = this
    if (!isPackable(headers, origin)) {
      numbers[number] = whole
      objects.push(record, undefined, undefined, undefined)
      return
    }
    numbers[number + 2] = this.used
    numbers[number + 1] = this.append(origin.key)
    numbers[number] = this.append(origin.value)
    numbers[number + 3] = origin.partition
    numbers[number + 4] = origin.offset
    numbers[number + 5] = origin.timestamp
    numbers[number + 6] = timestamp
    numbers[number + 7] = behindMs
    objects.push(value, key === origin.key ? undefined : key, headers, origin.topic)
  }

  /** One member, made anew. */
  record(index: number): StreamRecord<V> {
    const { numbers, objects } = this
    const number = index * numbersEach
    const object = index * objectsEach
    const valueLength = numbers[number] as number
    if (valueLength === whole) return objects[object] as StreamRecord<V>
    const keyLength = numbers[number + 1] as number
    const at = numbers[number + 2] as number
    const headers = objects[object + 2] as readonly Header[]
    const key = this.bytes(at, keyLength)
    const origin = new MemberOrigin(
      objects[object + 3] as string,
      numbers[number + 3] as number,
      numbers[number + 4] as number,
      key,
      numbers[number + 5] as number,
      headers === noHeaders ? undefined : headers,
      this,
      keyLength > 0 ? at + keyLength : at,
      valueLength,
    )
    const other = objects[object + 1] as Key | undefined
    const time = numbers[number + 6] as number
    const value = objects[object] as V
    return new StreamRecord(other === undefined ? key : other, value, time, headers, origin, numbers[number + 7])
  }

  *[Symbol.iterator](): Iterator<V> {
    const { numbers, objects, length } = this
    for (let index = 0; index < length; index++) {
      const held = objects[index * objectsEach]
      yield numbers[index * numbersEach] === whole ? (held as StreamRecord<V>).value : (held as V)
    }
  }

  /** In JSON a batch is the array of its values. */
  toJSON(): V[] {
    return this.values
  }

  /** @internal */
  bytes(at: number, length: number): Buffer | null {
    return length === none ? null : (this.slab as Buffer).subarray(at, at + length)
  }

  private extend(): void {
    const numbers = new Float64Array(2 * this.numbers.length)
    numbers.set(this.numbers)
    this.numbers = numbers
  }

  private append(bytes: Buffer | null): number {
    if (bytes === null) return none
    const at = this.used
    this.used += bytes.length
    if (this.slab === undefined || this.slab.length < this.used) this.grow(at)
    ;(this.slab as Buffer).set(bytes, at)
    return bytes.length
  }

  private grow(used: number): void {
    const slab = Buffer.allocUnsafeSlow(Math.max(firstSlab, 2 * this.used))
    this.slab?.copy(slab, 0, 0, used)
    this.slab = slab
  }
}

/** Hardly anybody asks for the value that the source read. */
class MemberOrigin implements Origin {
  constructor(
    readonly topic: string,
    readonly partition: number,
    readonly offset: number,
    readonly key: Buffer | null,
    readonly timestamp: number,
    readonly headers: readonly Header[] | undefined,
    private readonly batch: Batch,
    private readonly at: number,
    private readonly length: number,
  ) {}

  get value(): Buffer | null {
    return this.batch.bytes(this.at, this.length)
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
