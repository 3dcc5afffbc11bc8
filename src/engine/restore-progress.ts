import { type Clock, type Logger, partitionName, type StoredChunk, type TopicPartition } from '../model/index.js'

const everyMs = 5_000

/** Tells how far the restoring of a partition has come, where it takes long. */
export class RestoreProgress {
  /** Since the process began, bytes of chunks. */
  bytes = 0
  private ofPartition = 0
  private began = 0
  private toldAt = 0

  constructor(
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  begin(): void {
    this.ofPartition = 0
    this.began = this.clock.scheduler.now()
    this.toldAt = this.began
  }

  took(partition: TopicPartition, { bytes }: StoredChunk): void {
    this.bytes += bytes.length
    this.ofPartition += bytes.length
    const now = this.clock.scheduler.now()
    if (now - this.toldAt < everyMs) return
    this.toldAt = now
    this.log.info(`restoring ${partitionName(partition)}: ${megabytes(this.ofPartition)} so far`)
  }

  done(partition: TopicPartition, keys: number): void {
    const ms = this.clock.scheduler.now() - this.began
    const text = `restored ${partitionName(partition)}: ${keys} keys, ${megabytes(this.ofPartition)} in ${ms} ms`
    if (ms >= 1_000) this.log.info(text)
    else this.log.debug(text)
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
