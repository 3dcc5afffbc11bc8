/** As many characters are written faster one by one than by a call into the engine. */
const shortText = 20
/** What may be reserved beyond the need, to not count the bytes of a text before it is written. */
const looseText = 1_024

const leastExact = -(2 ** 52)

/** Bytes that grow at their end. */
export class ByteBuffer {
  length = 0
  private bytes: Buffer
  private view: DataView

  constructor(private readonly capacity = 128) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
    this.view = viewOf(this.bytes)
  }

  uint8(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  int32(value: number): void {
    this.reserve(4)
    this.view.setInt32(this.length, value, true)
    this.length += 4
  }

  int64(value: number | bigint): void {
    this.reserve(8)
    if (typeof value === 'bigint') {
      this.view.setBigInt64(this.length, value, true)
    } else {
      this.view.setUint32(this.length, value >>> 0, true)
      this.view.setInt32(this.length + 4, Math.floor(value / 4_294_967_296), true)
    }
    this.length += 8
  }

  /** A signed integer as Avro has it: the sign last, seven bits a byte, the lowest first. */
  zigzag(value: number | bigint): void {
    this.reserve(10)
    if (typeof value === 'bigint') return this.bigZigzag(value)
    // Twice as much is still exact, and one less is not.
    if (value < leastExact) return this.bigZigzag(BigInt(value))
    let rest = value < 0 ? -2 * value - 1 : 2 * value
    // Bits are of no use beyond 32 of them.
    for (; rest > 0x7f_ff_ff_ff; rest = Math.floor(rest / 128)) this.bytes[this.length++] = (rest % 128) | 0x80
    for (; rest > 0x7f; rest >>>= 7) this.bytes[this.length++] = (rest & 0x7f) | 0x80
    this.bytes[this.length++] = rest
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  utf8(text: string): void {
    const { length } = text
    this.reserve(length <= looseText ? length * 3 : Buffer.byteLength(text))
    if (length <= shortText && this.ascii(text)) return
    this.length += this.bytes.write(text, this.length)
  }

  /** Bytes or text behind their length, as Parquet has them. Returns how many they are. */
  sized(value: string | Uint8Array): number {
    const start = this.length
    this.int32(0)
    if (typeof value === 'string') this.utf8(value)
    else this.raw(value)
    const size = this.length - start - 4
    this.view.setInt32(start, size, true)
    return size
  }

  /** What lies there, until something is added. */
  get written(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  /** Begins anew, over what lies there. */
  clear(): void {
    this.length = 0
  }

  /** Hands out what lies there, and begins anew. */
  take(): Buffer {
    const { written } = this
    this.bytes = Buffer.allocUnsafeSlow(this.capacity)
    this.view = viewOf(this.bytes)
    this.length = 0
    return written
  }

  private ascii(text: string): boolean {
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      if (code > 0x7f) return false
      this.bytes[this.length + index] = code
    }
    this.length += text.length
    return true
  }

  private bigZigzag(value: bigint): void {
    let rest = value < 0n ? -2n * value - 1n : 2n * value
    for (; rest > 0x7fn; rest >>= 7n) this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80
    this.bytes[this.length++] = Number(rest)
  }

  private reserve(size: number): void {
    const needed = this.length + size
    if (needed <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2))
    larger.set(this.written)
    this.bytes = larger
    this.view = viewOf(larger)
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
