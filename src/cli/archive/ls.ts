import { exitCodes, type Io } from '../io.js'
import { painter, table } from '../paint.js'
import { countText, sizeText } from '../stored.js'
import { barOf } from './bar.js'
import { catalogOf, type PartitionFiles, partitionsOf } from './catalog.js'
import { type WhereOptions, withArchive } from './where.js'

export interface LsOptions extends WhereOptions {
  readonly json?: boolean
}

interface Listed {
  readonly topic: string
  readonly partition: number
  readonly versions: readonly string[]
  readonly files: number
  readonly records: number
  readonly bytes: number
  readonly days: readonly string[]
  /** The least offset of any. */
  readonly first: number
}

/** `weir archive ls [where]`: what lies in an archive, by topic and partition. Reads names alone. */
export async function ls(where: string | undefined, options: LsOptions, io: Io): Promise<number> {
  await withArchive(where, options, io, async (archive) => {
    const { files, foreign } = await catalogOf(archive, barOf(io, 'files'))
    const partitions = partitionsOf(files).map(listed)
    const { address } = archive.store
    const text = options.json
      ? JSON.stringify({ archive: address, partitions, foreign }, undefined, 2)
      : report(address, partitions, foreign, io).join('\n')
    io.stdout.write(`${text}\n`)
  })
  return exitCodes.ok
}

function listed({ topic, partition, files }: PartitionFiles): Listed {
  const sum = (amount: (file: PartitionFiles['files'][number]) => number) =>
    files.reduce((total, file) => total + amount(file), 0)
  return {
    topic,
    partition,
    versions: [...new Set(files.map(({ place }) => place.version))].sort(),
    files: files.length,
    records: sum(({ place }) => place.records),
    bytes: sum(({ bytes }) => bytes),
    days: [...new Set(files.map(({ day }) => day))].sort(),
    first: files[0]?.place.first ?? 0,
  }
}

function report(address: string, partitions: readonly Listed[], foreign: readonly string[], io: Io): string[] {
  if (partitions.length === 0) return [`no file of an archive lies in ${address}`, ...foreignLines(foreign)]
  const rows = partitions.map(({ topic, partition, versions, files, records, bytes, days, first }) => [
    topic,
    String(partition),
    versions.join(', '),
    files.toLocaleString('en'),
    records.toLocaleString('en'),
    sizeText(bytes),
    String(days.length),
    days.length === 1 ? String(days[0]) : `${days[0]} to ${days.at(-1)}`,
    String(first),
  ])
  const titles = ['topic', 'partition', 'versions', 'files', 'records', 'size', 'days', 'of', 'from offset']
  const [heading = '', ...lines] = table([titles, ...rows])
  const total = (amount: (one: Listed) => number) => partitions.reduce((sum, one) => sum + amount(one), 0)
  const days = new Set(partitions.flatMap((one) => one.days)).size
  return [
    painter(io.stdout, io)('dim', heading),
    ...lines,
    '',
    `${countText(
      total(({ files }) => files),
      'file',
    )} with ${countText(
      total(({ records }) => records),
      'record',
    )}, ${sizeText(total(({ bytes }) => bytes))}, of ${countText(days, 'day')} in ${address}`,
    ...foreignLines(foreign),
  ]
}

/** What else lies there. */
export function foreignLines(foreign: readonly string[]): string[] {
  if (foreign.length === 0) return []
  const shown = foreign.slice(0, 5).join(', ')
  const more = foreign.length > 5 ? `, and ${foreign.length - 5} more` : ''
  return [`${countText(foreign.length, 'other file')} that no archive has written: ${shown}${more}`]
}
