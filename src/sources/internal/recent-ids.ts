import type { Store, TopicPartition } from '../../model/index.js'

/** Of how many ids it is remembered that they came: far more than any system shows a second time. */
const remembered = 100_000

/** Ids are forgotten by segments of so many offsets. */
const segmentLength = 10_000

/** The newest 100,000 ids of a source, each with what is known of it: what comes again is told from what is new. */
export class RecentIds<V> {
  /** The newest ones, and those before them: a map is slow to forget its oldest. */
  private young = new Map<string, V>()
  private old = new Map<string, V>()

  constructor(
    /** Those of items that were emitted, by segments of the offset. */
    private readonly emitted: Store<V>,
    private readonly partition: TopicPartition,
  ) {}

  /** Goes on with those that were committed, whoever did it. */
  load(): void {
    const ids = this.stored
    this.old.clear()
    this.young.clear()
    for (const segment of [...ids.segments()].sort((a, b) => a - b))
      for (const [id, { value }] of ids.segment(segment) ?? []) this.young.set(String(id), value)
  }

  get(id: string): V | undefined {
    return this.young.get(id) ?? this.old.get(id)
  }

  add(id: string, value: V): void {
    if (this.young.size >= remembered) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(id, value)
  }

  /** The item of this offset is emitted: its id is committed with it. */
  emit(offset: number, id: string, value: V): void {
    const ids = this.stored
    const segment = Math.floor(offset / segmentLength)
    ids.add(segment, id, value)
    const oldest = segment - remembered / segmentLength - 1
    if (ids.segment(oldest) !== undefined) ids.dropSegment(oldest)
  }

  private get stored() {
    return this.emitted.of(this.partition.topic, this.partition.partition)
  }
}
