import { from, lastValueFrom, mergeMap, toArray } from 'rxjs'
import { describeError, WeirError } from '../../model/index.js'
import { exitCodes, type Io, UsageError } from '../io.js'
import { type Paint, painter } from '../paint.js'
import { countText } from '../stored.js'
import { type Bar, barOf } from './bar.js'
import { catalogOf, type PartitionFiles, type PlacedFile, partitionsOf } from './catalog.js'
import { DeepCheck } from './deep-check.js'
import { type Finding, judged, offsetsText, type SummarizedFile } from './findings.js'
import { foreignLines } from './ls.js'
import { partitionRows } from './rows.js'
import { type OpenedArchive, type WhereOptions, withArchive } from './where.js'

export interface VerifyOptions extends WhereOptions {
  readonly json?: boolean
  /** Whether every row is read. */
  readonly deep?: boolean
  /** How many offsets in a row may be without a record. */
  readonly gaps?: string
}

interface Verified {
  readonly topic: string
  readonly partition: number
  readonly files: number
  readonly records: number
  readonly offsets: readonly [number, number] | undefined
  readonly findings: readonly Finding[]
  readonly absent: number
  readonly surplus: number
}

/** How many files are looked at at a time. */
const filesAtOnce = 8
/** How often it is looked anew, where files come and go meanwhile: at some time somebody has to be told. */
const mostLooks = 5

/**
 * `weir archive verify [where]`: whether every record of an archive is where it says, by topic and partition. Names and footers
 * tell most; `deep` reads every row. Fails when something is wrong, or there is nothing.
 */
export async function verify(where: string | undefined, options: VerifyOptions, io: Io): Promise<number> {
  const gaps = gapsOf(options)
  return withArchive(where, options, io, async (archive) => {
    let { files, foreign } = await catalogOf(archive, barOf(io, 'files'))
    let partitions: readonly Verified[] = []
    for (let looks = 1; ; looks++) {
      partitions = await lookedAt(archive, files, { gaps, isDeep: options.deep === true, io })
      if (looks === mostLooks || partitions.every(({ findings }) => findings.length === 0)) break
      // What somebody merges, or has just written, is not missing, and not doubled for long.
      const now = await catalogOf(archive, barOf(io, 'files'))
      if (!haveMoved(files, now.files, partitions)) break
      ;({ files, foreign } = now)
    }
    const ok = partitions.length > 0 && partitions.every(({ findings }) => findings.length === 0)
    const { address } = archive.store
    const text = options.json
      ? JSON.stringify({ ok, archive: address, partitions, foreign }, undefined, 2)
      : report(address, partitions, foreign, options, painter(io.stdout, io)).join('\n')
    io.stdout.write(`${text}\n`)
    return ok ? exitCodes.ok : exitCodes.failed
  })
}

function gapsOf({ gaps = '0' }: VerifyOptions): number {
  if (/^\d{1,15}$/.test(gaps)) return Number(gaps)
  throw new UsageError(`--gaps: '${gaps}' is no number of offsets`)
}

async function lookedAt(
  archive: OpenedArchive,
  files: readonly PlacedFile[],
  { gaps, isDeep, io }: { readonly gaps: number; readonly isDeep: boolean; readonly io: Io },
): Promise<readonly Verified[]> {
  const summaries = await summariesOf(archive, files, barOf(io, 'footers', files.length))
  const bar = barOf(
    io,
    'records',
    files.reduce((sum, { place }) => sum + place.records, 0),
  )
  let read = 0
  const passed = () => bar.at(++read)
  const partitions: Verified[] = []
  for (const partition of partitionsOf(files))
    partitions.push(await verified(archive, partition, summaries, { gaps, isDeep, passed }))
  bar.end()
  return partitions
}

/** Whether files have gone meanwhile, or have come where something was found: what is at the end is not about it. */
function haveMoved(
  before: readonly PlacedFile[],
  now: readonly PlacedFile[],
  partitions: readonly Verified[],
): boolean {
  const [old, names] = [before, now].map((files) => new Set(files.map(({ name }) => name))) as [
    Set<string>,
    Set<string>,
  ]
  if (before.some(({ name }) => !names.has(name))) return true
  return now.some(({ name, topic, place }) => {
    const partition = partitions.find((each) => each.topic === topic && each.partition === place.partition)
    const last = partition === undefined || partition.findings.length === 0 ? -1 : (partition.offsets?.[1] ?? -1)
    return !old.has(name) && place.first <= last
  })
}

/** What each file says of itself, by name; or why it does not. */
type Summaries = ReadonlyMap<string, SummarizedFile | Finding>

async function summariesOf(archive: OpenedArchive, files: readonly PlacedFile[], bar: Bar): Promise<Summaries> {
  let done = 0
  const look = async (file: PlacedFile) => {
    const found = await summaryOf(archive, file)
    bar.at(++done)
    return [file.name, found] as const
  }
  const all = await lastValueFrom(from(files).pipe(mergeMap(look, filesAtOnce), toArray()))
  bar.end()
  return new Map(all)
}

async function summaryOf(archive: OpenedArchive, file: PlacedFile): Promise<SummarizedFile | Finding> {
  try {
    const opened = await archive.open(file)
    return { ...file, summary: await opened.summary() }
  } catch (error) {
    return unreadable(file, error)
  }
}

/** Errors of the store are what they are. */
function unreadable({ name }: PlacedFile, error: unknown): Finding {
  const isOfFile = error instanceof WeirError && ['WEIR_ARCHIVE_UNREADABLE', 'WEIR_BLOB_MISSING'].includes(error.code)
  if (!isOfFile) throw error
  return { kind: 'unreadable', files: [name], told: describeError(error) }
}

interface Looking {
  readonly gaps: number
  readonly isDeep: boolean
  passed(): void
}

async function verified(
  archive: OpenedArchive,
  { topic, partition, files }: PartitionFiles,
  summaries: Summaries,
  { gaps, isDeep, passed }: Looking,
): Promise<Verified> {
  const found = files.flatMap(({ name }) => summaries.get(name) ?? [])
  const readable = found.filter((each): each is SummarizedFile => 'summary' in each)
  const broken = found.filter((each): each is Finding => !('summary' in each))
  const byFooters = judged(readable, gaps)
  const common = {
    topic,
    partition,
    files: files.length,
    records: readable.reduce((sum, { summary }) => sum + summary.rows, 0),
    offsets: rangeOf(readable),
  }
  if (!isDeep) return { ...common, ...byFooters, findings: [...broken, ...byFooters.findings] }
  const check = new DeepCheck(gaps)
  const failed = (file: PlacedFile, error: unknown) => void broken.push(unreadable(file, error))
  for await (const rows of partitionRows(archive, { files: readable }, { failed })) {
    for (const row of rows) {
      check.add(row)
      passed()
    }
  }
  const ofNames = byFooters.findings.filter(({ kind }) => kind === 'misplaced')
  return { ...common, absent: check.absent, surplus: 0, findings: [...broken, ...ofNames, ...check.findings] }
}

function rangeOf(files: readonly SummarizedFile[]): readonly [number, number] | undefined {
  if (files.length === 0) return undefined
  const bounds = files.map(({ summary }) => summary.offsets)
  const least = bounds.reduce((least, [first]) => Math.min(least, first), Number.POSITIVE_INFINITY)
  return [least, bounds.reduce((largest, [, last]) => Math.max(largest, last), 0)]
}

function report(
  address: string,
  partitions: readonly Verified[],
  foreign: readonly string[],
  { deep = false, gaps }: VerifyOptions,
  paint: Paint,
): string[] {
  if (partitions.length === 0) return [`no file of an archive lies in ${address}`, ...foreignLines(foreign)]
  const wrong = partitions.filter(({ findings }) => findings.length > 0).length
  const isMissing = partitions.some(({ findings }) => findings.some(({ kind }) => kind === 'missing'))
  return [
    ...partitions.flatMap((partition) => linesOf(partition, deep, paint)),
    '',
    wrong === 0
      ? `${paint('green', '✓')} all of ${address} is where it says`
      : `${paint('red', '✗')} ${countText(wrong, 'partition')} of ${partitions.length} in ${address} ${wrong === 1 ? 'is' : 'are'} not as they should be`,
    ...(isMissing && gaps === '0' ? [gapsHint] : []),
    ...foreignLines(foreign),
  ]
}

const gapsHint =
  'An offset that is in no file may never have been an event: markers of transactions, compaction, dead letters and records that were filtered leave such. --gaps <n> allows n of them in a row.'

function linesOf(
  { topic, partition, files, records, offsets, findings, absent, surplus }: Verified,
  deep: boolean,
  paint: Paint,
) {
  const sign = findings.length === 0 ? paint('green', '✓') : paint('red', '✗')
  const range = offsets === undefined ? '' : `, ${offsetsText(offsets)}`
  return [
    `${sign} ${topic}-${partition}: ${countText(files, 'file')}, ${countText(records, 'record')}${range}`,
    ...findings.map(({ kind, told }) => `    ${paint('red', kind)}: ${told}`),
    ...(absent > 0
      ? [`    ${countText(absent, 'offset')}${deep ? '' : ' or more'} without a record, as --gaps allows`]
      : []),
    ...(surplus > 0
      ? [
          `    ${countText(surplus, 'record')} more than offsets: events of batches; only --deep can tell what is missing or doubled`,
        ]
      : []),
  ]
}
