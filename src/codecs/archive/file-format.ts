import type { Observable } from 'rxjs'
import type { Header, Key } from '../../model/index.js'

/** A CloudEvent and where it lies in Kafka: a row of an archive's files. */
export interface ArchiveRow {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject?: string | undefined
  /** RFC 3339, as it came. The instant beside it is read from it, cut to microseconds. */
  readonly time?: string | undefined
  readonly datacontenttype?: string | undefined
  readonly dataschema?: string | undefined
  /** By name, in the form that the specification has for text (`true`, `42`). */
  readonly extensions?: Readonly<Record<string, string | number | boolean>> | undefined
  /** JSON or text, as text or as its UTF-8. Bytes that are no UTF-8 are kept as `dataBytes` are. */
  readonly data?: string | Uint8Array | undefined
  /** What is neither JSON nor text. */
  readonly dataBytes?: Uint8Array | undefined
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Kafka's, ms since the Unix epoch; -1 is none. */
  readonly timestamp?: number | undefined
  readonly key?: Key | undefined
  /** In their order; names may repeat. */
  readonly headers?: readonly Header[] | undefined
}

/**
 * One file as it is made, row after row. The same rows make the same bytes, whoever writes them and whenever bytes are
 * taken, as long as Weir and what compresses are of the same versions.
 */
export interface FileEncoder {
  /**
   * Adds a row. Errors: `UnencodableError`, with the column, for text that UTF-8 can't carry; the row is left out then, and
   * the next may come.
   */
  add(row: ArchiveRow): void
  /** Bytes of memory that rows take: compressed where they are already, and not handed out yet. */
  readonly buffered: number
  /** Whether `take` has bytes to hand out. */
  readonly isReady: boolean
  /**
   * Hands out what is finished of the file so far: whole row groups or blocks, in their order. One call at a time, of this
   * or of `end`. Errors when it could not be compressed: the file is of no use then.
   */
  take(): Observable<Uint8Array>
  /** Hands out the rest, and ends the file. A file without rows has no bytes: it is not to be made. */
  end(): Observable<Uint8Array>
}

export interface FileFormat {
  /** Of the names of its files, without a dot. */
  readonly extension: string
  /** What compresses them, in the format's own words. */
  readonly codec: string
  /** What an open file takes in memory beside its rows, bytes. */
  readonly emptyBytes: number
  open(): FileEncoder
}
