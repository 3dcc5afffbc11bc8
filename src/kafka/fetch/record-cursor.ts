import type { Header } from '../../model/index.js'
import { HeaderNames } from './header-names.js'
import { MalformedError } from './protocol/malformed.js'

/** As the client gives the value of a header that has none; it writes it as none again. */
const noValue = Buffer.alloc(0)

const names = new HeaderNames()

/**
 * Reads what records are made of. It goes where it is led, also beyond its bytes, where it finds nothing but zeros: who
 * reads a record asks where it has come to.
 */
export class RecordCursor {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  /** A signed number of 32 bits. */
  varint(): number {
    const { bytes } = this
    let byte = bytes[this.at++]!
    let value = byte & 0x7f
    for (let shift = 7; byte > 0x7f; shift += 7) {
      if (shift > 28) throw new MalformedError('corrupt', `a number of more than five bytes at byte ${this.at}`)
      byte = bytes[this.at++]!
      value |= (byte & 0x7f) << shift
    }
    return (value >>> 1) ^ -(value & 1)
  }

  /** A signed number of 64 bits, exact up to 2^52. */
  varlong(): number {
    const { bytes, at } = this
    // Nearly always it has one, two or three bytes, which are read as fast as such of 32 bits.
    if (bytes[at]! < 0x80 || bytes[at + 1]! < 0x80 || bytes[at + 2]! < 0x80) return this.varint()
    let byte = 0x80
    let value = 0
    for (let scale = 1; byte > 0x7f; scale *= 128) {
      if (scale > 2 ** 63) throw new MalformedError('corrupt', `a number of more than ten bytes at byte ${this.at}`)
      byte = bytes[this.at++]!
      value += (byte & 0x7f) * scale
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** Passes over bytes behind their size; nothing is there where it is negative. */
  skip(): number {
    const size = this.varint()
    if (size > 0) this.at += size
    return size
  }

  header(): Header {
    const size = this.skip()
    const name = size > 0 ? names.at(this.bytes, this.at - size, size) : ''
    return { [name]: this.sized() ?? noValue }
  }

  private sized(): Buffer | null {
    const size = this.skip()
    return size < 0 ? null : (this.bytes as Buffer).subarray(this.at - size, this.at)
  }
}
