import type { RowsSummary } from '../../codecs/archive/file-reader.js'
import type { PlacedFile } from './catalog.js'

/** Something that is not as it should be. */
export interface Finding {
  readonly kind: 'unreadable' | 'misplaced' | 'doubled' | 'missing'
  /** The first and the last offset that it is about, where it is about some. */
  readonly offsets?: readonly [first: number, last: number] | undefined
  /** The files that it is about; of what is missing, those before and behind it. */
  readonly files: readonly string[]
  /** How many offsets are missing, at least. */
  readonly count?: number
  readonly told: string
}

/** A file, and what its footer says. */
export interface SummarizedFile extends PlacedFile {
  readonly summary: RowsSummary
}

/** What is found of a partition, and what of it can't be judged. */
export interface Verdict {
  readonly findings: readonly Finding[]
  /** How many offsets have no record although no more than `gaps` in a row are missing, at least. */
  readonly absent: number
  /** How many more records than offsets there are, at least: events of one batch have the same offset. */
  readonly surplus: number
}

/**
 * Judges a partition by the names and footers of its files: what is in none of them, in two of them, or not where it says.
 * @param gaps How many offsets in a row may be without a record.
 */
export function judged(files: readonly SummarizedFile[], gaps: number): Verdict {
  const runs = runsOf(files)
  const inner = runs.map((run) => innerOf(run, gaps))
  const between = runs.flatMap((run, index) => betweenOf(runs[index - 1], run))
  const missing = between.filter(({ count = 0 }) => count > gaps)
  const passed = between.filter(({ count = 0 }) => count <= gaps)
  return {
    findings: [
      ...files.flatMap(misplaced),
      ...doubledIn(files),
      ...missing,
      ...inner.flatMap(({ finding }) => finding ?? []),
    ],
    absent: [...passed, ...inner].reduce((sum, { count = 0 }) => sum + count, 0),
    surplus: inner.reduce((sum, { surplus }) => sum + surplus, 0),
  }
}

/** Files whose offsets overlap, in a row: no offset is told to be missing among them but by counting. */
interface Run {
  readonly files: readonly SummarizedFile[]
  readonly first: number
  readonly last: number
  /** The file that has the last offset. */
  readonly end: SummarizedFile
}

function runsOf(files: readonly SummarizedFile[]): readonly Run[] {
  const runs: Run[] = []
  for (const file of [...files].sort((a, b) => a.summary.offsets[0] - b.summary.offsets[0])) {
    const [first, last] = file.summary.offsets
    const run = runs.at(-1)
    if (run === undefined || first > run.last) runs.push({ files: [file], first, last, end: file })
    else
      runs[runs.length - 1] = {
        ...run,
        files: [...run.files, file],
        last: Math.max(run.last, last),
        end: last > run.last ? file : run.end,
      }
  }
  return runs
}

function betweenOf(before: Run | undefined, { first, files }: Run): Finding[] {
  if (before === undefined || first === before.last + 1) return []
  const [file] = files
  return [missingBetween([before.last + 1, first - 1], before.end.name, file?.name ?? '')]
}

/** Offsets that no file has, between two records next to each other. */
export function missingBetween(offsets: readonly [number, number], before: string, behind: string): Finding {
  const [first, last] = offsets
  const place = before === behind ? `in the midst of ${before}` : `between ${before} and ${behind}`
  const told = `${offsetsText(offsets)} ${first === last ? 'is' : 'are'} in no file, ${place}`
  return { kind: 'missing', offsets, files: [before, behind], count: last - first + 1, told }
}

/** Fewer records than offsets: some have none, whichever they are. */
function innerOf({ files, first, last }: Run, gaps: number) {
  const rows = files.reduce((sum, { summary }) => sum + summary.rows, 0)
  const count = Math.max(0, last - first + 1 - rows)
  const surplus = Math.max(0, rows - (last - first + 1))
  if (count === 0 || gaps > 0) return { count, surplus, finding: undefined }
  const names = files.map(({ name }) => name)
  const where = names.length === 1 ? names[0] : `the ${names.length} files from ${names[0]} on`
  const told = `${count.toLocaleString('en')} or more of ${offsetsText([first, last])} are in no file, amid ${where}: --deep tells which`
  return {
    count: 0,
    surplus,
    finding: { kind: 'missing', offsets: [first, last], files: names, count, told } as Finding,
  }
}

/** In one folder the next file begins behind the last offset of the one before. */
function doubledIn(files: readonly SummarizedFile[]): readonly Finding[] {
  const last = new Map<string, SummarizedFile>()
  return files.flatMap((file) => {
    const before = last.get(file.folder)
    const [first, end] = file.summary.offsets
    if (before === undefined || end > before.summary.offsets[1]) last.set(file.folder, file)
    if (before === undefined || first > before.summary.offsets[1]) return []
    return [doubledBetween([first, Math.min(end, before.summary.offsets[1])], before.name, file.name)]
  })
}

export function doubledBetween(offsets: readonly [number, number], one: string, other: string): Finding {
  const [first, last] = offsets
  const told = `${offsetsText(offsets)} ${first === last ? 'is' : 'are'} in both ${one} and ${other}`
  return { kind: 'doubled', offsets, files: [one, other], told }
}

/** What the name of a file says, and its footer does not. */
function misplaced({ name, place, topic, day, summary }: SummarizedFile): Finding[] {
  const { rows, offsets, partitions, topics } = summary
  const faults = [
    rows !== place.records && `its name says ${place.records} records, and it has ${rows}`,
    offsets[0] !== place.first && `its name says offset ${place.first}, and it begins at ${offsets[0]}`,
    partitions.some((partition) => partition !== place.partition) &&
      `it lies in pid=${place.partition}, and is of partition ${[...new Set(partitions)].join(' to ')}`,
    topics?.some((one) => one !== topic) && `it lies in ${topic}, and is of topic ${[...new Set(topics)].join(' to ')}`,
    day !== dayOf(place.time) && `it lies in dt=${day}, and its name says another day`,
  ].filter((fault) => typeof fault === 'string')
  return faults.map((fault) => ({ kind: 'misplaced', offsets, files: [name], told: `${name}: ${fault}` }))
}

/** The day of a time, UTC. */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

export function offsetsText([first, last]: readonly [number, number]): string {
  return first === last ? `offset ${first}` : `offsets ${first} to ${last}`
}
