import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { writeRleBitPackedHybrid } from 'hyparquet-writer/src/encoding.js'
import type { Compress } from '../../compression/index.js'
import { ByteBuffer } from '../archive/byte-buffer.js'
import { Levels } from './levels.js'
import { dataPage, type Page } from './page.js'
import type { Leaf } from './schema.js'

/** How many bytes of values make a page. */
const pageBytes = 262_144

/** Counts bytes. */
export interface Meter {
  /** Those in memory. */
  held: number
  /** Those of the row group's values, before they are compressed. */
  added: number
}

/** What a footer says of the values of a column, as they lie in the file. */
export interface Statistics {
  readonly min: Uint8Array
  readonly max: Uint8Array
}

/** The values of one column in one row group. */
export abstract class ColumnChunk {
  /** How many there are, those that are missing as well. */
  count = 0
  nulls = 0
  readonly pages: Page[] = []
  protected readonly values = new ByteBuffer()
  private definitions = new Levels()
  private repetitions = new Levels()
  private counted = 0
  private held = 0

  constructor(
    readonly leaf: Leaf,
    protected readonly compress: Compress,
    private readonly meter: Meter,
  ) {}

  /** A value is missing, or the group that it would be in: as far as `definition` says it is there. */
  missing(definition: number, repetition = 0): void {
    this.level(definition, repetition)
    this.nulls++
  }

  /** Writes what is left of the last page. */
  finish(): void {
    this.closePage()
  }

  abstract get statistics(): Statistics | undefined

  /** All values, where they are few. */
  get distinct(): readonly string[] {
    return []
  }

  protected present(size: number, repetition: number): void {
    this.level(this.leaf.maxDefinition, repetition)
    this.held += size
    this.meter.held += size
    this.meter.added += size
  }

  /** Call it between rows: a page holds whole ones. */
  closeFullPage(): void {
    if (this.values.length >= pageBytes) this.closePage()
  }

  protected closePage(): void {
    const count = this.count - this.counted
    if (count === 0) return
    const raw = this.body()
    this.pages.push(this.compressed(dataPage(count, this.encoding), raw))
    this.meter.held -= this.held
    this.counted = this.count
    this.held = 0
    this.definitions = new Levels()
    this.repetitions = new Levels()
  }

  protected compressed(header: Page['header'], raw: Buffer): Page {
    const { meter } = this
    meter.held += raw.length
    const body = this.compress(raw).then((bytes) => {
      meter.held += bytes.length - raw.length
      return bytes
    })
    // It is awaited later, and a rejection that nobody handles ends the process.
    body.catch(() => undefined)
    return { header, rawSize: raw.length, body }
  }

  protected abstract readonly encoding: Page['header']['encoding']

  /** Writes the values of the open page as they lie in it. */
  protected abstract writeValues(page: ByteBuffer): void

  private level(definition: number, repetition: number): void {
    const { maxDefinition, maxRepetition } = this.leaf
    if (maxDefinition > 0) this.definitions.add(definition)
    if (maxRepetition > 0) this.repetitions.add(repetition)
    this.count++
  }

  private body(): Buffer {
    const { maxDefinition, maxRepetition } = this.leaf
    const page = new ByteBuffer(this.values.length + Math.min(1_024, this.values.length + 64))
    if (maxRepetition > 0) page.sized(runsOf(this.repetitions.all, maxRepetition))
    if (maxDefinition > 0) page.sized(runsOf(this.definitions.all, maxDefinition))
    this.writeValues(page)
    this.values.clear()
    return page.written
  }
}

/** Numbers up to `max`, packed into bits, or counted where they repeat. */
export function runsOf(numbers: number[], max: number): Uint8Array {
  const writer = new ByteWriter()
  writeRleBitPackedHybrid(writer, numbers, 32 - Math.clz32(max))
  return writer.getBytes()
}
