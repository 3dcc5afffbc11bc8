/** A file as it was decided on: whoever has its partition makes it so, and none other. Committed before it is stored. */
export interface Cut {
  /** Where it is stored, below the base. */
  readonly name: string
  readonly first: number
  readonly last: number
  readonly records: number
  /** What compresses it; undefined of one that was decided on before that was kept. */
  readonly codec?: string | undefined
}

export interface DecidedCut extends Cut {
  readonly isStored: boolean
  /** Whether something else lies there under its name: that it is there does not mean that it is stored. */
  readonly isForeign: boolean
}

/** What a partition keeps of one of its folders (a schema version, a day), until its position is beyond. */
export interface FolderState {
  /** Tells the topic from another that has its name later. */
  readonly id: string | undefined
  /** Up to which offset its records are stored; -1 before the first. */
  readonly stored: number
  /** What was decided beyond, in the order of the offsets. A later one may be stored before an earlier one is. */
  readonly cuts: readonly DecidedCut[]
}

/** When a file is complete. */
export interface CutLimits {
  readonly maxBytes: number
  readonly maxRecords: number
  /** How long it waits for more, ms, from its first record on. */
  readonly everyMs: number
}

/** Whether a file is complete by what is in it. */
export function isFull({ bytes, records }: { bytes: number; records: number }, limits: CutLimits): boolean {
  return bytes >= limits.maxBytes || records >= limits.maxRecords
}
