import type { ReadRow } from '../../codecs/archive/file-reader.js'
import { instantOf } from '../../codecs/archive/instant.js'
import type { PlacedFile } from './catalog.js'
import { dayOf, doubledBetween, type Finding, missingBetween } from './findings.js'
import type { FoundRow } from './rows.js'

/** Offsets that no file has, wherever the one file is followed by the other. */
interface Missing {
  readonly before: string
  readonly behind: string
  readonly first: readonly [number, number]
  readonly gaps: number
  readonly count: number
  readonly last: number
}

interface Doubled {
  readonly one: string
  readonly other: string
  readonly first: number
  last: number
}

/** Looks at every row of a partition, in the order of their offsets. */
export class DeepCheck {
  /** How many offsets have no record although no more than `gaps` in a row are missing. */
  absent = 0
  private readonly missing = new Map<string, Missing>()
  private readonly doubled = new Map<string, Doubled[]>()
  private readonly misplaced = new Map<string, { readonly told: string; rows: number }>()
  private readonly lastIn = new Map<string, number>()
  /** The rows of the offset that came last. */
  private current: FoundRow[] = []

  /** @param gaps How many offsets in a row may be without a record. */
  constructor(private readonly gaps: number) {}

  add(found: FoundRow): void {
    const { file, row } = found
    this.lookAt(file, row)
    const before = this.current.at(-1)
    if (before === undefined || row.offset > before.row.offset) {
      if (before !== undefined) this.gap(before, found)
      this.current = []
    } else if (row.offset === before.row.offset) this.compare(found)
    // What goes back is told as such.
    if (before === undefined || row.offset >= before.row.offset) this.current.push(found)
  }

  get findings(): readonly Finding[] {
    return [
      ...[...this.misplaced].map(([name, { told, rows }]): Finding => {
        const more = rows > 1 ? `, and ${rows - 1} more` : ''
        return { kind: 'misplaced', files: [name.split('\n')[0] ?? ''], told: `${told}${more}` }
      }),
      ...[...this.doubled.values()]
        .flat()
        .map(({ one, other, first, last }) => doubledBetween([first, last], one, other)),
      ...[...this.missing.values()].map(missingFinding),
    ]
  }

  private gap({ file, row }: FoundRow, next: FoundRow): void {
    const [first, last] = [row.offset + 1, next.row.offset - 1]
    const count = last - first + 1
    if (count <= this.gaps) {
      this.absent += count
      return
    }
    const [before, behind] = [file.name, next.file.name]
    const known = this.missing.get(`${before}\n${behind}`)
    const found = { before, behind, first: known?.first ?? ([first, last] as const), last }
    this.missing.set(`${before}\n${behind}`, {
      ...found,
      gaps: (known?.gaps ?? 0) + 1,
      count: (known?.count ?? 0) + count,
    })
  }

  /** Events of one batch have one offset, and those of one folder are in one file. */
  private compare({ file, row }: FoundRow): void {
    const other = this.current.find(
      (one) =>
        one.file !== file &&
        (one.file.folder === file.folder || (one.row.id === row.id && one.row.source === row.source)),
    )
    if (other === undefined) return
    const names = [other.file.name, file.name].sort()
    const [one = '', two = ''] = names
    const runs = this.doubled.get(names.join('\n')) ?? []
    const last = runs.at(-1)
    if (last !== undefined && row.offset <= last.last + 1) last.last = row.offset
    else runs.push({ one, other: two, first: row.offset, last: row.offset })
    this.doubled.set(names.join('\n'), runs)
  }

  private lookAt(file: PlacedFile, row: ReadRow): void {
    const { offset, partition, topic } = row
    const last = this.lastIn.get(file.name)
    if (last !== undefined && offset < last) this.place(file, `offset ${offset} comes behind ${last}`)
    this.lastIn.set(file.name, offset)
    if (topic !== file.topic || partition !== file.place.partition)
      this.place(file, `a record is of ${topic}-${partition}`)
    if (!this.daysOf(row).includes(file.day)) this.place(file, `a record is of another day than dt=${file.day}`)
  }

  /** That of its event and that of its record: which of them says it is an option of the sink. */
  private daysOf({ time, timestamp }: ReadRow): readonly string[] {
    const arrival = dayOf(Math.max(0, timestamp))
    const micros = time === undefined ? undefined : instantOf(time)
    return micros === undefined ? [arrival] : [dayOf(Math.floor(Number(micros) / 1_000)), arrival]
  }

  private place(file: PlacedFile, what: string): void {
    const key = `${file.name}\n${what.replace(/\d+/g, '')}`
    const known = this.misplaced.get(key)
    if (known === undefined) this.misplaced.set(key, { told: `${file.name}: ${what}`, rows: 1 })
    else known.rows++
  }
}

function missingFinding({ before, behind, first, gaps, count, last }: Missing): Finding {
  const finding = missingBetween(first, before, behind)
  if (gaps === 1) return finding
  const place = before === behind ? `in the midst of ${before}` : `where ${before} is followed by ${behind}`
  const told = `${count.toLocaleString('en')} offsets are in no file, in ${gaps} gaps from ${first[0]} to ${last}, ${place}`
  return { ...finding, offsets: [first[0], last], count, told }
}
