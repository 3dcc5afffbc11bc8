import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { from, lastValueFrom, mergeMap, toArray } from 'rxjs'
import type { ReadRow } from '../../codecs/archive/file-reader.js'
import { describeError, place } from '../../model/index.js'
import { segment } from '../../sinks/archive/path.js'
import { exitCodes, type Io, UsageError } from '../io.js'
import { print } from '../print.js'
import { barOf } from './bar.js'
import { catalogOf, type PlacedFile } from './catalog.js'
import { lineOf } from './events.js'
import { type NamedFile, type OpenedArchive, type WhereOptions, withArchive } from './where.js'

/** How many files are looked into at a time. */
const filesAtOnce = 8

const offsetShape = /^(.+)-(\d+)@(\d+)$/
/** The five parts of the name of a file, behind where its archive is. */
const fileShape = /^(?:(.*)\/)?([^/]+\/[^/]+\/dt=[^/]+\/pid=[^/]+\/[^/?]+)(\?.*)?$/

/**
 * `weir archive cat <what> [where]`: the events of a file, or of an offset (`topic-partition@offset`), as CloudEvents JSON, one a
 * line.
 */
export async function cat(what: string, where: string | undefined, options: WhereOptions, io: Io): Promise<number> {
  const match = offsetShape.exec(what)
  if (match !== null && !what.includes('/')) {
    const [, topic = '', partition, offset] = match
    const at = { topic, partition: Number(partition), offset: Number(offset) }
    return withArchive(where, options, io, (archive) => ofOffset(archive, at, io))
  }
  const [, base, name, query = ''] = fileShape.exec(what) ?? []
  if (name === undefined) throw new UsageError(`'${what}' is no file of an archive, and no offset such as events-0@42`)
  const own = base === undefined ? folderOf(name, io) : `${base === '' ? '/' : base}${query}`
  return withArchive(where ?? own, options, io, (archive) => ofFile(archive, name, io))
}

/** Where the command runs, if the file is there; else it is one of the configuration's archive. */
function folderOf(name: string, { cwd }: Io): string | undefined {
  return existsSync(join(cwd, name)) ? '.' : undefined
}

async function ofFile(archive: OpenedArchive, name: string, io: Io): Promise<number> {
  const entries = await lastValueFrom(archive.store.list(name).pipe(toArray()))
  const file = entries.find((entry) => entry.name === name)
  if (file === undefined) throw new UsageError(`there is no ${archive.store.address}/${name}`)
  const opened = await archive.open(file)
  let code: number = exitCodes.ok
  for await (const rows of opened.rows()) {
    const { isOpen, isWhole } = await printed(rows, io)
    if (!isWhole) code = exitCodes.failed
    if (!isOpen) break
  }
  return code
}

async function ofOffset(
  archive: OpenedArchive,
  at: { readonly topic: string; readonly partition: number; readonly offset: number },
  io: Io,
): Promise<number> {
  const { files } = await catalogOf(archive, barOf(io, 'files'), `${segment(at.topic)}/`)
  const candidates = candidatesOf(
    files.filter((file) => file.topic === at.topic && file.place.partition === at.partition),
    at.offset,
  )
  const bar = barOf(io, 'footers', candidates.length)
  let done = 0
  const look = async (file: NamedFile) => {
    const rows = await rowsAt(archive, file, at.offset)
    bar.at(++done)
    return rows
  }
  const found = await lastValueFrom(from(candidates).pipe(mergeMap(look, filesAtOnce), toArray()))
  bar.end()
  const rows = found.flat()
  if (rows.length === 0) {
    io.stderr.write(`no file of ${archive.store.address} has ${place(at)}\n`)
    return exitCodes.failed
  }
  return (await printed(rows, io)).isWhole ? exitCodes.ok : exitCodes.failed
}

/** Of each folder the last file that begins at the offset or before it: the others end before. */
export function candidatesOf(files: readonly PlacedFile[], offset: number): readonly PlacedFile[] {
  const last = new Map<string, PlacedFile>()
  for (const file of files) {
    const before = last.get(file.folder)
    const isNearer = before === undefined || file.place.first > before.place.first
    if (file.place.first <= offset && isNearer) last.set(file.folder, file)
  }
  return [...last.values()]
}

async function rowsAt(archive: OpenedArchive, file: NamedFile, offset: number): Promise<readonly ReadRow[]> {
  const opened = await archive.open(file)
  const found: ReadRow[] = []
  const isWanted = ({ offsets }: { readonly offsets: readonly [number, number] }) =>
    offsets[0] <= offset && offset <= offsets[1]
  for await (const rows of opened.rows(isWanted)) {
    found.push(...rows.filter((row) => row.offset === offset))
    if ((rows.at(-1)?.offset ?? 0) > offset) break
  }
  return found
}

/** Whether anybody still reads, and whether all of them were events. */
async function printed(rows: readonly ReadRow[], io: Io): Promise<{ isOpen: boolean; isWhole: boolean }> {
  const lines: string[] = []
  let isWhole = true
  for (const row of rows) {
    try {
      lines.push(`${lineOf(row)}\n`)
    } catch (error) {
      isWhole = false
      io.stderr.write(`${place(row)}: ${describeError(error)}\n`)
    }
  }
  return { isOpen: await print(io.stdout, lines.join('')), isWhole }
}
