import { MalformedError } from './malformed.js'

const twoTo32 = 4_294_967_296

/**
 * A message of Kafka's protocol, read field by field; flexible and classic versions as with `Writer`. Errors:
 * `MalformedError` where it ends before its fields do, or says a length that can't be.
 */
export class Reader {
  private at = 0

  constructor(
    private readonly bytes: Buffer,
    private readonly isFlexible: boolean,
  ) {}

  int8(): number {
    return this.bytes.readInt8(this.pass(1))
  }

  bool(): boolean {
    return this.int8() !== 0
  }

  int16(): number {
    return this.bytes.readInt16BE(this.pass(2))
  }

  int32(): number {
    return this.bytes.readInt32BE(this.pass(4))
  }

  /** Exact up to 2^53. */
  int64(): number {
    return this.int32() * twoTo32 + (this.int32() >>> 0)
  }

  bigInt64(): bigint {
    return this.bytes.readBigInt64BE(this.pass(8))
  }

  string(): string {
    return present(this.nullableString())
  }

  nullableString(): string | null {
    const size = this.isFlexible ? this.varint() - 1 : this.int16()
    return isNull(size) ? null : this.bytes.toString('utf8', this.pass(size), this.at)
  }

  /** A view into the message. */
  nullableBytes(): Buffer | null {
    const size = this.size()
    return isNull(size) ? null : this.bytes.subarray(this.pass(size), this.at)
  }

  bytesOf(): Buffer {
    return present(this.nullableBytes())
  }

  array<T>(read: () => T): T[] {
    return present(this.nullableArray(read))
  }

  nullableArray<T>(read: () => T): T[] | null {
    const size = this.size()
    if (isNull(size)) return null
    const items: T[] = []
    // A size that is a lie soon comes to the message's end, for no item has no bytes.
    while (items.length < size) items.push(read())
    return items
  }

  /** The end of a structure. What is given reads the tagged fields that it knows; the others are passed over. */
  tags(read?: (tag: number) => void): void {
    if (!this.isFlexible) return
    for (let rest = this.varint(); rest > 0; rest--) {
      const tag = this.varint()
      const end = this.varint() + this.at
      read?.(tag)
      if (this.at > end) throw cut()
      this.pass(end - this.at)
    }
  }

  private size(): number {
    return this.isFlexible ? this.varint() - 1 : this.int32()
  }

  private varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.pass(1)]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new MalformedError('corrupt', "a broker's answer has a number of more than five bytes")
  }

  /** Goes beyond so many bytes; returns where they began. */
  private pass(size: number): number {
    const start = this.at
    if (size > this.bytes.length - start) throw cut()
    this.at = start + size
    return start
  }
}

function isNull(size: number): boolean {
  if (size < -1) throw new MalformedError('corrupt', `a broker's answer has a field of ${size} bytes or items`)
  return size === -1
}

function present<T>(value: T | null): T {
  if (value === null) throw new MalformedError('corrupt', "a broker's answer lacks a field")
  return value
}

function cut(): MalformedError {
  return new MalformedError('corrupt', "a broker's answer ends before its fields do")
}
