import { type Position, partitionName, type TopicPartition } from '../model/index.js'
import type { Bounds, Event, Search } from '../state/checkpoint-protocol/index.js'
import { entryOf } from './checkpoint-log.js'
import type { KafkaConnection } from './connection.js'
import { LogReader } from './log-reader.js'

/** Looks into logs, as the protocol of checkpoints commands. */
export class LogScan {
  private reader: LogReader | undefined
  /** The source partitions of the logs that are read. */
  private sources = new Map<string, TopicPartition>()

  constructor(
    private readonly connection: KafkaConnection,
    /** The log of a source partition. */
    private readonly logOf: (source: TopicPartition) => TopicPartition,
  ) {}

  perform(command: Search): Promise<Extract<Event, { on: 'bounded' | 'read' }>> {
    switch (command.do) {
      case 'bound':
        return this.bound(command.partitions)
      case 'seek':
        return this.seek(command.positions)
      case 'read':
        return this.read()
    }
  }

  close(): void {
    if (this.reader !== undefined) this.connection.closes(this.reader.close())
    this.reader = undefined
  }

  private async bound(sources: readonly TopicPartition[]): Promise<{ on: 'bounded'; bounds: readonly Bounds[] }> {
    const { topics } = this.connection
    const logs = sources.map(this.logOf)
    const [starts, ends] = await Promise.all([topics.offsets(logs, 'earliest'), topics.offsets(logs, 'latest')])
    const bounds = sources.map(({ topic, partition }, index) => {
      const log = logs[index] as TopicPartition
      return { topic, partition, start: offsetOf(log, starts), end: offsetOf(log, ends) }
    })
    return { on: 'bounded', bounds }
  }

  private async seek(positions: readonly Position[]) {
    if (this.reader === undefined) {
      this.reader = new LogReader(await this.connection.settings())
      await this.reader.connect()
    }
    this.sources = new Map(positions.map((source) => [partitionName(this.logOf(source)), source]))
    this.reader.assign(positions.map((position) => ({ ...this.logOf(position), offset: position.offset })))
    return this.read()
  }

  private async read() {
    const reader = this.reader as LogReader
    const entries = (await reader.next()).flatMap((message) => {
      const source = this.sources.get(partitionName(message))
      if (source === undefined) return []
      return [{ source, offset: message.offset, entry: entryOf(message), bytes: message.value }]
    })
    return { on: 'read', entries, hasEnded: reader.endedCount >= this.sources.size } as const
  }
}

function offsetOf({ topic, partition }: TopicPartition, found: readonly Position[]): number {
  return found.find((one) => one.topic === topic && one.partition === partition)?.offset ?? 0
}
