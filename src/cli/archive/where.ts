import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { lastValueFrom } from 'rxjs'
import type { ArchiveFile } from '../../codecs/archive/file-reader.js'
import { openArchive } from '../../codecs/archive/open-archive.js'
import { sinksOf, type Topology } from '../../engine/index.js'
import { silentLogger, systemClock } from '../../model/index.js'
import type { BlobStore } from '../../sinks/archive/blob-store.js'
import { bytesInStore } from '../../sinks/archive/file-bytes.js'
import { openStore, type StoreOptions, storeOptions } from '../../sinks/archive/open-store.js'
import { type Io, UsageError } from '../io.js'
import { type Prepared, prepare } from '../prepare.js'
import { thereIs } from '../progress.js'

export interface WhereOptions {
  readonly config?: string
}

/** A file of an archive, by its name below the base. */
export interface NamedFile {
  readonly name: string
  readonly bytes: number
}

/** An archive that is looked at. */
export interface OpenedArchive {
  readonly store: BlobStore
  open(file: NamedFile): Promise<ArchiveFile>
}

/** How long a store that does not answer is asked again before that is told, ms. */
const patienceMs = 3_000

const url = /^([a-z0-9]+):\/\/([^/?]*)(\/[^?]*)?(?:\?(.*))?$/i

/**
 * Opens an archive: a folder, the URL of a store, or the flow of the configuration that writes it. Without a word it is the
 * only one of the configuration.
 */
export async function withArchive<T>(
  where: string | undefined,
  options: WhereOptions,
  io: Io,
  use: (archive: OpenedArchive) => Promise<T>,
): Promise<T> {
  const store = openStore(await storeOf(where, options, io), { clock: systemClock, log: silentLogger, patienceMs })
  const open = (file: NamedFile) => openArchive(`${store.address}/${file.name}`, bytesInStore(store, file))
  try {
    return await use({ store, open })
  } finally {
    await lastValueFrom(store.close(), { defaultValue: undefined })
  }
}

async function storeOf(where: string | undefined, { config }: WhereOptions, io: Io): Promise<StoreOptions> {
  const match = where === undefined ? null : url.exec(where)
  if (match !== null) return storeAt(match, io)
  const folder = where === undefined ? undefined : resolve(io.cwd, where)
  if (folder !== undefined && isFolder(folder)) return parsed({ backend: 'file', path: folder }, folder)
  if (where !== undefined && /[/\\]|^\.+$/.test(where)) throw new UsageError(`there is no folder ${folder ?? where}`)
  const prepared = await prepare({ config }, io)
  return located(storeNamed(where, prepared), io)
}

/** By the address that a store tells of itself; what else it has to know stands behind a `?`, by the names of its options. */
function storeAt([text, scheme = '', place = '', path = '', query = '']: readonly string[], io: Io): StoreOptions {
  const more = Object.fromEntries(
    [...new URLSearchParams(query)].map(([name, value]) => [
      name,
      /^(true|false)$/.test(value) ? value === 'true' : value,
    ]),
  )
  const prefix = decodeURIComponent(path).replace(/^\/+|\/+$/g, '')
  const where = withoutQuery(text ?? '')
  switch (scheme.toLowerCase()) {
    case 'file':
      return parsed({ backend: 'file', path: `${place}${decodeURIComponent(path)}`, ...more }, where)
    case 's3':
      return parsed({ backend: 's3', bucket: place, prefix, ...more }, where)
    case 'gs':
      return parsed({ backend: 'gcs', bucket: place, prefix, ...more }, where)
    case 'azure': {
      const connectionString = 'url' in more ? undefined : io.env['AZURE_STORAGE_CONNECTION_STRING']
      return parsed({ backend: 'azure', container: place, prefix, connectionString, ...more }, where)
    }
  }
  throw new UsageError(`'${where}' is the URL of no store: write file://, s3://, gs:// or azure://`)
}

function withoutQuery(text: string): string {
  return text.replace(/\?.*$/, '')
}

function parsed(options: object, where: string): StoreOptions {
  const { data, error } = storeOptions.safeParse(options)
  if (data !== undefined) return data
  const faults = error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '))
  throw new UsageError(`${where}: ${faults.join('; ')}`)
}

/** Errors: `UsageError` when the configuration has none, or several and none is named. */
function storeNamed(flow: string | undefined, { topology }: Prepared): StoreOptions {
  const archives = archivesOf(topology)
  const names = [...archives.keys()]
  const found = flow === undefined && names.length === 1 ? [...archives.values()][0] : archives.get(flow ?? '')
  if (found !== undefined) return found
  if (flow === undefined && names.length > 1)
    throw new UsageError(`which archive? ${thereIs('flow', names)}: name one, or a folder or the URL of a store`)
  const what = flow === undefined ? 'no flow of the configuration' : `no folder and no flow '${flow}'`
  throw new UsageError(`${what} has an archive${names.length === 0 ? '' : `: there are those of ${names.join(', ')}`}`)
}

/** By the flow that writes it, which has no other sink. */
function archivesOf({ flows }: Topology): Map<string, StoreOptions> {
  const all = flows.flatMap(({ name, parts }) =>
    parts.flatMap((part) =>
      [...sinksOf(part)]
        .filter(({ definition }) => definition.name === 'archive.sink')
        .map(({ options }) => [name, (options as { readonly store: StoreOptions }).store] as const),
    ),
  )
  return new Map(all)
}

/** A folder of the configuration is one of where the command runs. */
function located(options: StoreOptions, { cwd }: Io): StoreOptions {
  return options.backend === 'file' ? { ...options, path: resolve(cwd, options.path) } : options
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
