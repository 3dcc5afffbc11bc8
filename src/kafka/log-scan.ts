import { partitionName, type TopicPartition } from '../model/index.js'
import { entryOf, LogHead } from './checkpoint-log.js'
import type { KafkaConnection } from './connection.js'
import { LogReader } from './log-reader.js'

/** How many entries before the end are looked at first for where the last epoch ended. */
const firstWindow = 32

/** A log, and the source partition that it is of. */
export interface Log extends TopicPartition {
  readonly source: TopicPartition
}

/** Follows the ends of several logs: first it finds out where they stand, then what is added. */
export class LogScan {
  readonly heads = new Map<string, LogHead>()

  private constructor(
    private readonly connection: KafkaConnection,
    private readonly reader: LogReader,
    private readonly logs: readonly Log[],
  ) {}

  /** Runs something with the heads of these logs. */
  static async with<T>(
    connection: KafkaConnection,
    logs: readonly Log[],
    use: (scan: LogScan) => Promise<T>,
  ): Promise<T> {
    const reader = new LogReader(await connection.settings())
    try {
      await reader.connect()
      const scan = new LogScan(connection, reader, logs)
      await scan.find()
      return await use(scan)
    } finally {
      connection.closes(reader.close())
    }
  }

  head(source: TopicPartition): LogHead {
    return this.heads.get(partitionName(source)) as LogHead
  }

  /** Reads on until that holds for every head. */
  async until(holds: (head: LogHead) => boolean): Promise<void> {
    await this.read(() => [...this.heads.values()].every(holds))
  }

  /** Looks ever further back, until each log's last commit is found or all of the log is read. */
  private async find(): Promise<void> {
    const { topics } = this.connection
    const [starts, ends] = await Promise.all([
      topics.offsets(this.logs, 'earliest'),
      topics.offsets(this.logs, 'latest'),
    ])
    const boundsOf = ({ topic, partition }: TopicPartition, of: typeof starts) =>
      of.find((found) => found.topic === topic && found.partition === partition)?.offset ?? 0
    const isFound = (log: Log, window: number) =>
      this.head(log.source).committed !== undefined || boundsOf(log, ends) - window <= boundsOf(log, starts)
    for (let window = firstWindow; ; window *= 8) {
      for (const { source } of this.logs) this.heads.set(partitionName(source), new LogHead(source))
      this.reader.assign(
        this.logs.map((log) => {
          const offset = Math.max(boundsOf(log, starts), boundsOf(log, ends) - window)
          return { topic: log.topic, partition: log.partition, offset }
        }),
      )
      await this.read(() => this.logs.every((log) => this.reader.hasEnded(log)))
      if (this.logs.every((log) => isFound(log, window))) return
    }
  }

  private async read(isDone: () => boolean): Promise<void> {
    const heads = new Map(this.logs.map((log) => [partitionName(log), this.head(log.source)]))
    await this.reader.read(
      (message) => heads.get(partitionName(message))?.apply(entryOf(message), message.offset),
      isDone,
    )
  }
}
