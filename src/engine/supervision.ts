import { PartitionMap, type Position, type WeirError } from '../model/index.js'

const firstBackoffMs = 500
const longestBackoffMs = 30_000

/**
 * Counts the failures of a flow in a row, and says what follows from one. A system's fault is tried again for as long as it
 * lasts; one of the records as often as `attempts` says, with the same records.
 */
export class Supervision {
  /** In a row, whosever fault. */
  failures = 0
  error: WeirError | undefined
  /** When the first of them was, ms. */
  failingSince: number | undefined
  /** Those among them that count, for the records were the same. */
  private tries = 0
  private failedAt = Number.NEGATIVE_INFINITY
  /** How far was read in vain: what fails has to come through before anything is well again. */
  private readonly awaited = new PartitionMap<number>()

  constructor(private readonly attempts: number) {}

  /**
   * How long to wait before the next try, ms; undefined when the flow has to stop. `read` is how far the sources have read
   * beyond the last commit; undefined when what they read will not come again.
   */
  failed(error: WeirError, now: number, read: readonly Position[] | undefined): number | undefined {
    this.error = error
    this.failingSince ??= now
    for (const { topic, partition, offset } of read ?? [])
      this.awaited.set(topic, partition, Math.max(offset, this.awaited.get(topic, partition) ?? 0))
    if (error.atOnce) return 0
    this.failures++
    this.failedAt = now
    if (error.remedy === 'stop') return undefined
    if (error.culprit === 'record' && read !== undefined && ++this.tries >= this.attempts) return undefined
    return Math.min(longestBackoffMs, firstBackoffMs * 2 ** (this.failures - 1))
  }

  /**
   * An epoch was committed up to these positions, all that the task has. What failed may still have to come again: an epoch
   * beside it proves nothing, and an empty one little, so that it ends a row of failures only when the last is long past.
   */
  succeeded(committed: readonly Position[], records: number, now: number): void {
    if (this.failingSince === undefined) return
    if (records === 0 && now - this.failedAt < longestBackoffMs) return
    const isAwaited = committed.some(
      ({ topic, partition, offset }) => offset < (this.awaited.get(topic, partition) ?? Number.NEGATIVE_INFINITY),
    )
    if (isAwaited) return
    this.awaited.clear()
    this.failures = 0
    this.tries = 0
    this.error = undefined
    this.failingSince = undefined
  }
}
