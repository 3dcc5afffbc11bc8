import type { PartitionCommit } from '../../model/index.js'

/** All entries before the offset are of this sequence or a lower one, and of commits up to this one. */
interface Mark {
  readonly offset: number
  readonly sequence: number
  readonly started: number
}

const mostMarks = 2_048

/**
 * A partition that a task holds, and what it has written of it. Where sequences lie is learned while loading, and from
 * asking where the log ends, because reports of what was written where would double the price of a message.
 */
export class Grant {
  /** Commits begun and commits done since it was acquired. */
  private started = 0
  private commits = 0
  /** What the last commit said, to be compared with the next. */
  private told = ''
  private marks: Mark[] = []

  constructor(
    readonly generation: number,
    private sequence = 0,
    /** All chunks of a lower sequence are obsolete. */
    public keptFrom = 0,
  ) {}

  /** A commit begins. Returns whether the log does not say so already. */
  begins(commit: PartitionCommit): boolean {
    const told = JSON.stringify([commit.progress, commit.sequence, commit.truncateBefore])
    const isNews = commit.chunks.length > 0 || told !== this.told
    this.told = told
    if (!isNews) return false
    this.keptFrom = Math.max(this.keptFrom, commit.truncateBefore ?? 0)
    this.sequence = commit.sequence
    this.started++
    return true
  }

  isDone(): void {
    this.commits++
  }

  /** A chunk was found at an offset. */
  found(sequence: number, offset: number): void {
    const last = this.marks.at(-1)?.sequence ?? 0
    if (sequence > last + 1) this.mark({ sequence: sequence - 1, offset, started: 0 })
  }

  /** The log ends there. Whatever began to be written while the brokers were asked may lie before the end as well. */
  endsAt(offset: number): void {
    this.mark({ offset, sequence: this.sequence, started: this.started })
  }

  /** Up to where nothing is needed any more: neither chunks nor the last word on where the partition stands. Told once. */
  obsolete(): number | undefined {
    const isObsolete = ({ sequence, started }: Mark) =>
      this.commits > started && (this.sequence === 0 || sequence < this.keptFrom)
    const count = this.marks.findLastIndex(isObsolete) + 1
    return this.marks.splice(0, count).at(-1)?.offset
  }

  private mark(mark: Mark): void {
    if ((this.marks.at(-1)?.offset ?? -1) >= mark.offset) return
    this.marks.push(mark)
    if (this.marks.length > mostMarks) this.marks = this.marks.filter((_, index) => index % 2 === 0)
  }
}
