import type { ReadRow, RowsSummary } from '../../codecs/archive/file-reader.js'
import type { PartitionFiles, PlacedFile } from './catalog.js'
import { merged } from './merged.js'
import type { OpenedArchive } from './where.js'

/** A row, and the file that it is in. */
export interface FoundRow {
  readonly file: PlacedFile
  readonly row: ReadRow
}

export interface ReadingOptions {
  /** Whether any of some rows are wanted, of which no more is known. */
  readonly isWanted?: ((rows: RowsSummary) => boolean) | undefined
  /** Told of a file that can't be read, or not to its end; what follows goes on without it. Default: it ends the reading. */
  readonly failed?: ((file: PlacedFile, error: unknown) => void) | undefined
}

/** The rows of all files of a partition by their offsets; a file is opened when its first offset is reached. */
export function partitionRows(
  archive: OpenedArchive,
  { files }: Pick<PartitionFiles, 'files'>,
  options: ReadingOptions = {},
): AsyncGenerator<readonly FoundRow[]> {
  const sources = files.map((file) => ({ from: file.place.first, open: () => rowsOf(archive, file, options) }))
  return merged(sources, ({ row }) => row.offset)
}

async function* rowsOf(
  archive: OpenedArchive,
  file: PlacedFile,
  { isWanted, failed }: ReadingOptions,
): AsyncGenerator<readonly FoundRow[]> {
  try {
    const opened = await archive.open(file)
    for await (const rows of opened.rows(isWanted)) yield rows.map((row) => ({ file, row }))
  } catch (error) {
    if (failed === undefined) throw error
    failed(file, error)
  }
}
