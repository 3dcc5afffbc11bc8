import type { ArchiveRow } from './file-format.js'

/** The bytes of a file, wherever they are. */
export interface FileBytes {
  readonly size: number
  /** Some of them, up to the one before `to`. */
  read(from: number, to: number): Promise<Buffer>
}

/** The least and the largest of some values. */
export type Bounds<T> = readonly [least: T, largest: T]

/** What a file says of some rows in a row without a look at them. Undefined is what it does not say. */
export interface RowsSummary {
  readonly rows: number
  readonly topics?: Bounds<string> | undefined
  readonly partitions: Bounds<number>
  readonly offsets: Bounds<number>
  readonly types?: Bounds<string> | undefined
  /** What times there are, of events and of records, µs. */
  readonly times?: Bounds<bigint> | undefined
}

/**
 * A file of an archive as it is read.
 * Errors, of all: WEIR_ARCHIVE_UNREADABLE when it is none that Weir writes, or damaged.
 */
export interface ArchiveFile {
  /** Of Parquet, by its footer; of Avro, by its first and last row and the heads of its blocks. */
  summary(): Promise<RowsSummary>
  /** Its rows in their order, some at a time. Those of which the file says that nobody wants any are left out. */
  rows(isWanted?: (rows: RowsSummary) => boolean): AsyncGenerator<readonly ReadRow[]>
}

/** A row as it was written: text as text, all else as bytes. */
export interface ReadRow extends Omit<ArchiveRow, 'headers'> {
  readonly data?: string | undefined
  readonly dataBytes?: Buffer | undefined
  readonly extensions: Readonly<Record<string, string | number | boolean>>
  readonly timestamp: number
  readonly key: Buffer | null
  /** One name each; null is a header without a value. */
  readonly headers: readonly Readonly<Record<string, Buffer | null>>[]
}
