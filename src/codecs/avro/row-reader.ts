import { type Column, columns } from '../archive/columns.js'
import type { ReadRow } from '../archive/file-reader.js'
import { type ReadCell, rowOfCells } from '../archive/read-row.js'

/** As much of a long fits into a number, whatever follows: seven bytes of seven bits. */
const exactBytes = 7
const mostBytes = 10

/** Reads Avro's values one behind the other. Errors with a RangeError where the bytes end before, or can't be any. */
export class AvroCursor {
  at = 0

  constructor(readonly bytes: Buffer) {}

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length
  }

  long(): number | bigint {
    let value = 0
    let worth = 1
    for (let index = 0; index < exactBytes; index++, worth *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * worth
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    return this.bigLong(BigInt(value))
  }

  /** A long that is a size or a count, or a small number. */
  int(): number {
    return Number(this.long())
  }

  sized(): Buffer {
    const size = this.int()
    if (size < 0 || this.at + size > this.bytes.length) throw new RangeError(`${size} bytes are more than there are`)
    this.at += size
    return this.bytes.subarray(this.at - size, this.at)
  }

  /** A number that says which of the types of a union follows. */
  byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new RangeError('the bytes end too early')
    return byte
  }

  private bigLong(begun: bigint): number | bigint {
    let value = begun
    for (let index = exactBytes; index < mostBytes; index++) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << BigInt(7 * index)
      if (byte >= 0x80) continue
      const signed = (value & 1n) === 0n ? value >> 1n : -((value + 1n) >> 1n)
      return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed
    }
    throw new RangeError('a long of more than ten bytes')
  }
}

type Read = (cursor: AvroCursor) => ReadCell

/** Makes the function that reads rows of which these columns were written. */
export function rowReader(written: readonly Column[]): (cursor: AvroCursor) => ReadRow {
  const readers = written.map(readerOf)
  return (cursor) => rowOfCells(readers.map((read) => read(cursor)))
}

/** Those of a container, by the names of its fields. Undefined where they are none of an archive. */
export function columnsOf(fields: readonly string[]): readonly Column[] | undefined {
  const written = columns.slice(0, fields.length)
  const isSame = fields.every((name, index) => written[index]?.name === name)
  const isWhole = columns.slice(fields.length).every(({ isOptional }) => isOptional)
  return isSame && isWhole ? written : undefined
}

function readerOf({ kind, isOptional }: Column): Read {
  const read = readerOfKind(kind)
  return isOptional ? optional(read) : read
}

function readerOfKind(kind: Column['kind']): Read {
  switch (kind) {
    case 'text':
      return text
    case 'bytes':
      return (cursor) => cursor.sized()
    case 'int':
    case 'long':
      return (cursor) => cursor.int()
    case 'instant':
      return (cursor) => cursor.long()
    case 'pairs':
      return list(text)
    case 'headers':
      return list((cursor) => (cursor.byte() === 0 ? null : cursor.sized()))
  }
}

function text(cursor: AvroCursor): string {
  return cursor.sized().toString()
}

function optional(read: Read): Read {
  return (cursor) => (cursor.byte() === 0 ? undefined : read(cursor))
}

/** Blocks of pairs, up to an empty one. */
function list(read: (cursor: AvroCursor) => string | Buffer | null) {
  return (cursor: AvroCursor) => {
    const pairs: (string | Buffer | null)[] = []
    for (let count = cursor.int(); count !== 0; count = cursor.int()) {
      // A count below zero has the size of its block behind it.
      if (count < 0) cursor.long()
      for (let index = Math.abs(count); index > 0; index--) pairs.push(text(cursor), read(cursor))
    }
    return pairs
  }
}
