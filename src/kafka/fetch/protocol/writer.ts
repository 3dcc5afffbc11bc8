const twoTo32 = 4_294_967_296

/**
 * A message of Kafka's protocol, written field by field. In a flexible version the same fields are compact, and structures
 * end with `tags`; in a classic one `tags` writes nothing.
 */
export class Writer {
  private bytes = Buffer.allocUnsafe(512)
  private length = 0

  constructor(private readonly isFlexible: boolean) {}

  int8(value: number): void {
    this.length = this.reserve(1).writeInt8(value, this.length)
  }

  bool(value: boolean): void {
    this.int8(value ? 1 : 0)
  }

  int16(value: number): void {
    this.length = this.reserve(2).writeInt16BE(value, this.length)
  }

  int32(value: number): void {
    this.length = this.reserve(4).writeInt32BE(value, this.length)
  }

  /** An integer that a number holds exactly. */
  int64(value: number): void {
    this.int32(Math.floor(value / twoTo32))
    this.length = this.reserve(4).writeUInt32BE(value >>> 0, this.length)
  }

  string(value: string | null): void {
    const size = value === null ? -1 : Buffer.byteLength(value)
    if (this.isFlexible) this.varint(size + 1)
    else this.int16(size)
    if (value !== null) this.text(value, size)
  }

  /** As it is in headers of every version. */
  classicString(value: string): void {
    const size = Buffer.byteLength(value)
    this.int16(size)
    this.text(value, size)
  }

  bytesOf(value: Uint8Array): void {
    this.size(value.length)
    this.reserve(value.length).set(value, this.length)
    this.length += value.length
  }

  array<T>(items: readonly T[], write: (item: T) => void): void {
    this.size(items.length)
    items.forEach(write)
  }

  /** The end of a structure: no tagged field is ever sent. */
  tags(): void {
    if (this.isFlexible) this.varint(0)
  }

  /** Puts in front how long all of it is. */
  framed(): Buffer {
    const frame = Buffer.allocUnsafe(this.length + 4)
    frame.writeInt32BE(this.length)
    frame.set(this.bytes.subarray(0, this.length), 4)
    return frame
  }

  private text(value: string, size: number): void {
    this.reserve(size).write(value, this.length)
    this.length += size
  }

  private size(value: number): void {
    if (this.isFlexible) this.varint(value + 1)
    else this.int32(value)
  }

  private varint(value: number): void {
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) this.int8((rest & 0x7f) - 0x80)
    this.int8(rest)
  }

  private reserve(size: number): Buffer {
    const needed = this.length + size
    if (needed > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2))
      larger.set(this.bytes.subarray(0, this.length))
      this.bytes = larger
    }
    return this.bytes
  }
}
