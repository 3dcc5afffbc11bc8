import type { StoreCodec, StorePartition } from '../../model/index.js'
import type { Cut, DecidedCut, FolderState } from './cut.js'

type SavedCut = [
  name: string,
  first: number,
  last: number,
  records: number,
  isStored: boolean,
  isForeign: boolean,
  codec?: string | null,
]

export const folderCodec: StoreCodec<FolderState> = {
  version: 1,
  save: ({ id, stored, cuts }) => [
    id ?? null,
    stored,
    cuts.map(({ name, first, last, records, isStored, isForeign, codec }): SavedCut => {
      return [name, first, last, records, isStored, isForeign, codec ?? null]
    }),
  ],
  load(saved) {
    const [id, stored, cuts] = saved as [string | null, number, SavedCut[]]
    return {
      id: id ?? undefined,
      stored,
      cuts: cuts.map(([name, first, last, records, isStored, isForeign, codec]) => {
        return { name, first, last, records, isStored, isForeign, codec: codec ?? undefined }
      }),
    }
  },
}

/** What is kept of the folders of one partition. */
export class Folders {
  constructor(
    private readonly part: StorePartition<FolderState>,
    /** Tells the topic from another that has its name later; undefined as long as no broker has said. */
    private readonly id: string | undefined,
  ) {}

  /** What is kept of one; undefined before its first file. */
  get(folder: string): FolderState | undefined {
    return this.part.get(0, folder)?.value
  }

  cuts(folder: string): readonly DecidedCut[] {
    return this.get(folder)?.cuts ?? []
  }

  *all(): Generator<[folder: string, state: FolderState]> {
    for (const [folder, { value }] of this.part.segment(0) ?? []) yield [String(folder), value]
  }

  /** Decides on a file, or on another in the place of one that can't be made any more. */
  replace(folder: string, given: Cut | undefined, cut: Cut | undefined): void {
    const cuts = [...this.cuts(folder)]
    const at = given === undefined ? cuts.length : cuts.findIndex(({ name }) => name === given.name)
    cuts.splice(at, 1, ...(cut === undefined ? [] : [{ ...cut, isStored: false, isForeign: false }]))
    this.put(folder, { stored: this.stored(folder), cuts })
  }

  /** A file is stored: its records come into none again. */
  done(folder: string, cut: Cut): void {
    const cuts = this.cuts(folder).map((one) => (one.name === cut.name ? { ...one, isStored: true } : one))
    const open = cuts.findIndex(({ isStored }) => !isStored)
    const count = open === -1 ? cuts.length : open
    const stored = cuts[count - 1]?.last ?? this.stored(folder)
    this.put(folder, { stored, cuts: cuts.slice(count) })
  }

  /** Something else lies where a file is to be. */
  foreign(folder: string, { name }: Cut): void {
    const cuts = this.cuts(folder).map((one) => (one.name === name ? { ...one, isForeign: true } : one))
    this.put(folder, { stored: this.stored(folder), cuts })
  }

  forget(folder: string): void {
    this.part.delete(0, folder)
  }

  /** Forgets what belongs to a topic that had the name before. Returns the cuts that were still to be stored. */
  forgetOthers(): readonly Cut[] {
    const isAnother = (id = this.id) => this.id !== undefined && id !== this.id
    const others = [...this.all()].filter(([, { id }]) => isAnother(id))
    for (const [folder] of others) this.forget(folder)
    return others.flatMap(([, { cuts }]) => cuts).filter(({ isStored }) => !isStored)
  }

  private stored(folder: string): number {
    return this.get(folder)?.stored ?? -1
  }

  private put(folder: string, known: Omit<FolderState, 'id'>): void {
    const entry = this.part.get(0, folder)
    const state = { id: this.id ?? entry?.value.id, ...known }
    if (entry === undefined) return void this.part.add(0, folder, state)
    entry.value = state
    this.part.touch(entry)
  }
}
