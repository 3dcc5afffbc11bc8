import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ArchiveRow, FileFormat } from '../../src/codecs/archive/file-format.js'
import { instantOf } from '../../src/codecs/archive/instant.js'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import { pathOf, segment } from '../../src/sinks/archive/path.js'
import { versionReader } from '../../src/sinks/archive/rows.js'
import { fileOf } from './archive-rows.js'

const versionOf = versionReader()

/** The name of the file that the sink makes of some rows of one folder. */
export function nameOf(rows: readonly ArchiveRow[], { extension }: FileFormat, version?: string): string {
  const [first] = rows as readonly [ArchiveRow]
  const micros = first.time === undefined ? undefined : instantOf(first.time)
  return pathOf({
    topic: segment(first.topic),
    version: segment(version ?? versionOf(first)),
    time: micros === undefined ? (first.timestamp ?? 0) : Math.floor(Number(micros) / 1_000),
    partition: first.partition,
    first: first.offset,
    records: rows.length,
    extension,
  })
}

/** Writes a file of an archive, and returns its name. */
export async function writeArchive(
  folder: string,
  rows: readonly ArchiveRow[],
  { format = parquetFormat('zstd'), version, name = nameOf(rows, format, version) }: WriteOptions = {},
): Promise<string> {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, await fileOf(format, rows))
  return name
}

interface WriteOptions {
  readonly format?: FileFormat
  readonly version?: string
  readonly name?: string
}
