import { ByteBuffer } from '../archive/byte-buffer.js'
import { ColumnChunk, runsOf, type Statistics } from './column-chunk.js'
import { dictionaryPage, encodings } from './page.js'

/** How many different texts, and bytes of them, are remembered; and after how many values half of them have to repeat. */
const [mostEntries, mostBytes, sample] = [16_384, 1_048_576, 4_096]
/** Texts beyond it have no place in a footer. */
const longestBound = 256
/** How many different texts are worth a filter: hashing one takes microseconds. */
const mostHashed = 1_024

/**
 * Text of which few make most: each is written once, and values are numbers of them. Where it turns out that they don't
 * repeat, what follows is written as it is.
 */
export class DictionaryChunk extends ColumnChunk {
  private readonly ids = new Map<string, number>()
  private readonly entries = new ByteBuffer()
  private indexes: number[] = []
  private isPlain = false
  private last: string | undefined
  private lastId = 0

  add(value: string): void {
    const id = this.isPlain ? undefined : this.idOf(value)
    if (id === undefined) {
      this.present(this.values.sized(value) + 4, 0)
    } else {
      this.indexes.push(id)
      this.present(4, 0)
    }
  }

  override finish(): void {
    super.finish()
    if (this.ids.size === 0) return
    this.pages.unshift(this.compressed(dictionaryPage(this.ids.size), this.entries.take()))
  }

  get statistics(): Statistics | undefined {
    const [first, ...rest] = this.isPlain ? [] : Array.from(this.ids.keys(), (text) => Buffer.from(text))
    if (first === undefined) return undefined
    let [min, max] = [first, first]
    for (const text of rest) {
      if (Buffer.compare(text, min) < 0) min = text
      if (Buffer.compare(text, max) > 0) max = text
    }
    return min.length > longestBound || max.length > longestBound ? undefined : { min, max }
  }

  override get distinct(): readonly string[] {
    return this.isPlain || this.ids.size > mostHashed ? [] : [...this.ids.keys()]
  }

  protected get encoding() {
    return this.isPlain || this.ids.size === 0 ? encodings.plain : encodings.dictionary
  }

  protected writeValues(page: ByteBuffer): void {
    if (this.encoding === encodings.plain) return page.raw(this.values.written)
    const most = this.ids.size - 1
    page.uint8(32 - Math.clz32(most))
    page.raw(runsOf(this.indexes, most))
    this.indexes = []
  }

  private idOf(value: string): number | undefined {
    if (value === this.last) return this.lastId
    const id = this.ids.get(value) ?? this.entry(value)
    if (id === undefined) return undefined
    this.last = value
    this.lastId = id
    return id
  }

  private entry(value: string): number | undefined {
    const { size } = this.ids
    const present = this.count - this.nulls
    if (size === mostEntries || this.entries.length > mostBytes || (present >= sample && size > present / 2)) {
      this.closePage()
      this.isPlain = true
      return undefined
    }
    this.ids.set(value, size)
    this.entries.sized(value)
    return size
  }
}
