import type { LogTruncation, TruncationCommand } from '../state/checkpoint-protocol/index.js'
import { logPartition } from './checkpoint-log.js'
import type { KafkaConnection } from './connection.js'

const everyMs = 1_000

/** Has what is obsolete deleted from the logs of a task, once a second at most. */
export class Truncating {
  private underWay: Promise<unknown> = Promise.resolve()
  private tidiedAt = Number.NEGATIVE_INFINITY

  constructor(
    private readonly connection: KafkaConnection,
    private readonly task: string,
    private readonly truncation: LogTruncation,
  ) {}

  /** After a commit; what it does is no concern of the epoch, and fails in silence to be done later. */
  tidy(): void {
    const now = performance.now()
    if (now - this.tidiedAt < everyMs) return
    const command = this.truncation.handle({ on: 'tidy' })
    if (command.do === 'rest') return
    this.tidiedAt = now
    this.underWay = this.perform(command)
      .catch((error: unknown) =>
        this.connection.context.log.debug({ err: error }, 'Kafka: truncating checkpoints failed'),
      )
      .finally(() => this.truncation.handle({ on: 'over' }))
  }

  close(): Promise<unknown> {
    return this.underWay
  }

  private async perform(command: TruncationCommand): Promise<void> {
    const { topics } = this.connection
    if (command.do === 'ask') {
      const logs = command.partitions.map((source) => logPartition(this.task, source))
      const found = await topics.offsets(logs, 'latest')
      const ends = command.partitions.flatMap(({ topic, partition }, index) => {
        const log = logs[index]
        const end = found.find((one) => one.topic === log?.topic && one.partition === log.partition)
        return end === undefined ? [] : [{ topic, partition, offset: end.offset }]
      })
      return this.perform(this.truncation.handle({ on: 'ends', ends }))
    }
    if (command.do === 'rest') return
    await topics.deleteBefore(
      command.before.map((position) => ({ ...logPartition(this.task, position), offset: position.offset })),
    )
  }
}
