import type { Store, StoreCodec, TopicPartition } from '../../model/index.js'

/** Of how many items it is remembered that they came: far more than any system shows a second time. */
const remembered = 100_000

/** Ids are forgotten by segments of so many offsets. */
const segmentLength = 10_000

export const idCodec: StoreCodec<true> = { version: 1, save: (value) => value, load: () => true }

/** The ids of the newest 100,000 items of a source: what comes a second time is told from what is new. */
export class RecentIds {
  /** The newest ones, those too that are not emitted yet, and those before them: a set is slow to forget its oldest. */
  private young = new Set<string>()
  private old = new Set<string>()

  constructor(
    /** Those of items that were emitted, by segments of the offset. */
    private readonly emitted: Store<true>,
    private readonly partition: TopicPartition,
  ) {}

  /** Goes on with those that were committed, whoever did it. */
  load(): void {
    const ids = this.stored
    const segments = [...ids.segments()].sort((a, b) => a - b)
    this.old.clear()
    this.young = new Set(segments.flatMap((segment) => [...(ids.segment(segment)?.keys() ?? [])].map(String)))
  }

  has(id: string): boolean {
    return this.young.has(id) || this.old.has(id)
  }

  add(id: string): void {
    if (this.young.size >= remembered) {
      this.old = this.young
      this.young = new Set()
    }
    this.young.add(id)
  }

  /** The item of this offset is emitted: its id is committed with it. */
  emit(offset: number, id: string): void {
    const ids = this.stored
    const segment = Math.floor(offset / segmentLength)
    ids.add(segment, id, true)
    const oldest = segment - remembered / segmentLength - 1
    if (ids.segment(oldest) !== undefined) ids.dropSegment(oldest)
  }

  private get stored() {
    return this.emitted.of(this.partition.topic, this.partition.partition)
  }
}
