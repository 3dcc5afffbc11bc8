import type { ByteBuffer } from '../archive/byte-buffer.js'
import { type CellTypes, type Column, columns } from '../archive/columns.js'

type Cell = CellTypes[keyof CellTypes] | null
type Write = (bytes: ByteBuffer, cell: Cell) => void

const writers: readonly Write[] = columns.map((column) => writerOf(column))

/** Writes the cells of a row one behind the other. */
export function writeRow(bytes: ByteBuffer, cells: readonly Cell[]): void {
  for (let index = 0; index < writers.length; index++) writers[index]?.(bytes, cells[index])
}

function writerOf({ kind, isOptional }: Column): Write {
  const write = writerOfKind(kind)
  return isOptional ? optional(write) : write
}

function writerOfKind(kind: Column['kind']): Write {
  switch (kind) {
    case 'text':
    case 'bytes':
      return writeSized as Write
    case 'int':
    case 'long':
    case 'instant':
      return (bytes, cell) => bytes.zigzag(cell as number | bigint)
    case 'pairs':
      return list(writeSized as Write)
    case 'headers':
      return list(optional(writeSized as Write))
  }
}

/** A union of null and another type. */
function optional(write: Write): Write {
  return (bytes, cell) => {
    if (cell === undefined || cell === null) return bytes.uint8(0)
    bytes.uint8(2)
    write(bytes, cell)
  }
}

/** Arrays of pairs and maps lie there the same way: one block of all, and the empty one. */
function list(writeValue: Write): Write {
  return (bytes, cell) => {
    const pairs = cell as CellTypes['headers']
    if (pairs.length > 0) bytes.zigzag(pairs.length / 2)
    for (let index = 0; index < pairs.length; index += 2) {
      writeSized(bytes, pairs[index] as string)
      writeValue(bytes, pairs[index + 1])
    }
    bytes.uint8(0)
  }
}

function writeSized(bytes: ByteBuffer, value: string | Uint8Array): void {
  if (typeof value === 'string') {
    bytes.zigzag(Buffer.byteLength(value))
    bytes.utf8(value)
  } else {
    bytes.zigzag(value.length)
    bytes.raw(value)
  }
}
