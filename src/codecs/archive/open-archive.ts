import { openAvro } from '../avro/avro-file.js'
import { openParquet } from '../parquet/parquet-file.js'
import type { ArchiveFile, FileBytes } from './file-reader.js'

/** Opens a file of an archive, of the format that its name tells. Errors: those of `ArchiveFile`. */
export function openArchive(name: string, bytes: FileBytes): Promise<ArchiveFile> {
  return name.endsWith('.avro') ? openAvro(name, bytes) : openParquet(name, bytes)
}
