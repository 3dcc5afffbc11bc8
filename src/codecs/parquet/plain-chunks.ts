import { ByteBuffer } from '../archive/byte-buffer.js'
import { ColumnChunk, type Statistics } from './column-chunk.js'
import { encodings } from './page.js'
import { physical } from './schema.js'

abstract class PlainChunk extends ColumnChunk {
  protected readonly encoding = encodings.plain

  protected writeValues(page: ByteBuffer): void {
    page.raw(this.values.written)
  }
}

/** Text and bytes, one behind the other. Their smallest and largest are not told: they may be of any size. */
export class BytesChunk extends PlainChunk {
  readonly statistics = undefined

  add(value: string | Uint8Array, repetition = 0): void {
    this.present(this.values.sized(value) + 4, repetition)
  }
}

/** Numbers of 4 or 8 bytes. */
export class NumberChunk extends PlainChunk {
  private min: number | bigint = Number.POSITIVE_INFINITY
  private max: number | bigint = Number.NEGATIVE_INFINITY

  add(value: number | bigint): void {
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
    this.write(this.values, value)
    this.present(this.leaf.type === physical.int32 ? 4 : 8, 0)
  }

  get statistics(): Statistics | undefined {
    if (this.count === this.nulls) return undefined
    return { min: this.encoded(this.min), max: this.encoded(this.max) }
  }

  private encoded(value: number | bigint): Uint8Array {
    const bytes = new ByteBuffer(8)
    this.write(bytes, value)
    return bytes.written
  }

  private write(bytes: ByteBuffer, value: number | bigint): void {
    if (this.leaf.type === physical.int32) bytes.int32(Number(value))
    else bytes.int64(value)
  }
}
