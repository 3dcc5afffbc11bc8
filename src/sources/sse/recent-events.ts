import type { Store, StoreCodec, TopicPartition } from '../../model/index.js'
import { Digests, digestLength } from './digests.js'

/** Of how many events it is remembered that they came: far more than any server shows a second time. */
const remembered = 100_000

/** Events are forgotten by segments of so many offsets. */
const segmentLength = 10_000

/** The digests of the events that an epoch emitted, one behind the other. */
class Block {
  constructor(
    private bytes = Buffer.alloc(0),
    private length = bytes.length,
  ) {}

  add(digest: string): void {
    if (this.length === this.bytes.length) {
      const larger = Buffer.alloc(Math.max(16 * digestLength, 2 * this.length))
      this.bytes.copy(larger)
      this.bytes = larger
    }
    this.length += this.bytes.write(digest, this.length, 'latin1')
  }

  get all(): Buffer {
    return this.bytes.subarray(0, this.length)
  }
}

/** What is kept in a segment, by the offset of the first event: a block. Version 1 kept `true`, by each digest in base64. */
export const blockCodec: StoreCodec<Block | true> = {
  version: 2,
  save: (value) => (value === true ? true : value.all),
  load: (saved) => (saved === true ? true : new Block(Buffer.from(saved as Uint8Array))),
}

/** The newest 100,000 events of a stream, by their digests: what comes again is told from what is new. */
export class RecentEvents {
  /** The newest ones, and those before them. */
  private young = new Digests()
  private old = new Digests()
  /** What the running epoch has emitted in this segment. */
  private block: Block | undefined
  private segment = 0

  constructor(
    /** Those of events that were emitted, by segments of the offset. */
    private readonly emitted: Store<Block | true>,
    private readonly partition: TopicPartition,
  ) {}

  /** Goes on with those that were committed, whoever did it. */
  load(): void {
    const { stored } = this
    this.old.clear()
    this.young.clear()
    for (const segment of [...stored.segments()].sort((a, b) => a - b)) {
      for (const [key, { value }] of stored.segment(segment) ?? [])
        for (const digest of value === true ? [fromBase64(String(key))] : digestsOf(value)) this.young.add(digest)
    }
  }

  /** An epoch begins. What it emits is kept apart, for it alone is written at its end. */
  begin(): void {
    this.block = undefined
  }

  has(digest: string): boolean {
    return this.young.has(digest) || this.old.has(digest)
  }

  add(digest: string): void {
    if (this.young.size >= remembered) {
      this.old = this.young
      this.young = new Digests()
    }
    this.young.add(digest)
  }

  /** The event of this offset is emitted: its digest is committed with it. */
  emit(offset: number, digest: string): void {
    const segment = Math.floor(offset / segmentLength)
    if (this.block === undefined || this.segment !== segment) this.block = this.open(segment, offset)
    this.block.add(digest)
  }

  private open(segment: number, offset: number): Block {
    const { stored } = this
    const block = new Block()
    this.segment = segment
    stored.add(segment, offset, block)
    const oldest = segment - remembered / segmentLength - 1
    for (const known of [...stored.segments()]) if (known <= oldest) stored.dropSegment(known)
    return block
  }

  private get stored() {
    return this.emitted.of(this.partition.topic, this.partition.partition)
  }
}

function* digestsOf(block: Block): Generator<string> {
  const { all } = block
  for (let at = 0; at < all.length; at += digestLength) yield all.toString('latin1', at, at + digestLength)
}

function fromBase64(digest: string): string {
  return Buffer.from(digest, 'base64').toString('latin1')
}
