import type { Compress } from '../../compression/index.js'
import { type CellTypes, type Column, columns } from '../archive/columns.js'
import type { ColumnChunk, Meter } from './column-chunk.js'
import { DictionaryChunk } from './dictionary-chunk.js'
import { BytesChunk, NumberChunk } from './plain-chunks.js'
import { type Leaf, leavesOf, physical } from './schema.js'

/** How many rows, and bytes of values before they are compressed, make a row group. */
const [mostRows, mostBytes] = [100_000, 16_777_216]

type Cell = CellTypes[keyof CellTypes]

interface CellWriter {
  readonly chunks: readonly ColumnChunk[]
  add(cell: Cell): void
}

/** Rows that are compressed and told of together. */
export class RowGroup {
  rows = 0
  private readonly writers: readonly CellWriter[]

  constructor(
    compress: Compress,
    private readonly meter: Meter,
  ) {
    meter.added = 0
    this.writers = columns.map((column) => writerOf(column, compress, meter))
  }

  get chunks(): readonly ColumnChunk[] {
    return this.writers.flatMap(({ chunks }) => chunks)
  }

  get isFull(): boolean {
    return this.rows >= mostRows || this.meter.added >= mostBytes
  }

  add(cells: readonly Cell[]): void {
    this.rows++
    for (let index = 0; index < this.writers.length; index++) this.writers[index]?.add(cells[index])
  }

  /** Compresses what is left. */
  finish(): void {
    for (const chunk of this.chunks) chunk.finish()
  }
}

function writerOf(column: Column, compress: Compress, meter: Meter): CellWriter {
  const [leaf, second] = leavesOf(column)
  if (leaf === undefined) throw new TypeError(`column ${column.name} has no values`)
  if (second === undefined) return flat(chunkOf(leaf, compress, meter))
  const [names, values] = [new BytesChunk(leaf, compress, meter), new BytesChunk(second, compress, meter)]
  return list(names, values)
}

function chunkOf(leaf: Leaf, compress: Compress, meter: Meter) {
  if (leaf.type !== physical.bytes) return new NumberChunk(leaf, compress, meter)
  return leaf.repeats ? new DictionaryChunk(leaf, compress, meter) : new BytesChunk(leaf, compress, meter)
}

function flat(chunk: ColumnChunk & { add(cell: unknown): void }): CellWriter {
  return {
    chunks: [chunk],
    add: (cell) => {
      if (cell === undefined) chunk.missing(0)
      else chunk.add(cell)
      chunk.closeFullPage()
    },
  }
}

/** Names and values in turn; with `null` for a value it is missing, and its name is there. */
function list(names: BytesChunk, values: BytesChunk): CellWriter {
  return {
    chunks: [names, values],
    add: (cell) => {
      const pairs = cell as CellTypes['headers']
      if (pairs.length === 0) {
        names.missing(0)
        values.missing(0)
      }
      for (let index = 0; index < pairs.length; index += 2) {
        const value = pairs[index + 1]
        const repetition = index === 0 ? 0 : 1
        names.add(pairs[index] as string, repetition)
        if (value === null || value === undefined) values.missing(1, repetition)
        else values.add(value, repetition)
      }
      names.closeFullPage()
      values.closeFullPage()
    },
  }
}
