import type { AbortedTransaction } from './protocol/fetch.js'

interface TransactionalBatch {
  readonly producer: bigint
  readonly last: number
  readonly isTransactional: boolean
}

/**
 * Which batches of a response belong to transactions that were aborted, told batch by batch in their order; the rule is the
 * Java consumer's. A producer may have several: each begins at its first offset and ends at the next marker of that
 * producer, or beyond the response.
 */
export class AbortedProducers {
  /** Those that have not begun, the next one last. */
  private readonly toCome: AbortedTransaction[]
  private readonly producers = new Set<bigint>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.toCome = aborted.toSorted((one, other) => other.first - one.first)
  }

  /** Whether the records of this batch were taken back. */
  hide(batch: TransactionalBatch): boolean {
    if (!batch.isTransactional) return false
    this.goTo(batch.last)
    return this.producers.has(batch.producer)
  }

  /** This batch says that the transaction of its producer ends as aborted. */
  end(batch: TransactionalBatch): void {
    this.goTo(batch.last)
    this.producers.delete(batch.producer)
  }

  private goTo(offset: number): void {
    for (let next = this.toCome.at(-1); next !== undefined && next.first <= offset; next = this.toCome.at(-1)) {
      this.producers.add(next.producer)
      this.toCome.pop()
    }
  }
}
