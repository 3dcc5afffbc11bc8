import { isDeepStrictEqual } from 'node:util'
import { catchError, defer, from, type Observable, of, throwError } from 'rxjs'
import type { ArchiveFile, FileBytes, ReadRow } from '../../codecs/archive/file-reader.js'
import { openArchive } from '../../codecs/archive/open-archive.js'
import { isWeirError, type TopicPartition } from '../../model/index.js'
import type { Cut } from './cut.js'

/**
 * Whether what lies under the name of a file that was decided on is that file, by what it says of itself: anybody may have put
 * something there. Errors: those of the store.
 */
export function isDecided(file: FileBytes, cut: Cut, { partition }: TopicPartition): Observable<boolean> {
  return readable(async () => {
    const { rows, offsets, partitions } = await (await openArchive(cut.name, file)).summary()
    const here = [...offsets, ...partitions, rows]
    return isDeepStrictEqual(here, [cut.first, cut.last, partition, partition, cut.records])
  })
}

/**
 * Whether two files have the same records in the same order, whatever their bytes are: another version of Weir, or of what
 * compresses, makes others of them. Errors: those of the store.
 */
export function haveSameRecords(name: string, one: FileBytes, other: FileBytes): Observable<boolean> {
  return readable(async () => {
    const rows = rowsOf(await openArchive(name, other))
    for await (const row of rowsOf(await openArchive(name, one))) {
      const next = await rows.next()
      if (next.done === true || !isSame(row, next.value)) return false
    }
    return (await rows.next()).done === true
  })
}

/** What can't be read is not the same. */
function readable(work: () => Promise<boolean>): Observable<boolean> {
  return defer(() => from(work())).pipe(
    catchError((error: unknown) =>
      isWeirError(error) && error.code === 'WEIR_ARCHIVE_UNREADABLE' ? of(false) : throwError(() => error),
    ),
  )
}

async function* rowsOf(file: ArchiveFile): AsyncGenerator<ReadRow> {
  for await (const rows of file.rows()) yield* rows
}

/** Files of before do not tell what was a number, or a boolean, among the extensions. */
function isSame(one: ReadRow, other: ReadRow): boolean {
  return isDeepStrictEqual(withTexts(one), withTexts(other))
}

function withTexts(row: ReadRow): ReadRow {
  const extensions = Object.entries(row.extensions).map(([name, value]) => [name, String(value)])
  return { ...row, extensions: Object.fromEntries(extensions) as ReadRow['extensions'] }
}
