import { type LogEnds, partitionName, WeirError } from '../model/index.js'
import type { ClientError, ClientSettings, Message } from './client.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { LogReader } from './log-reader.js'

/** Reads parts of a topic, one after the other, over one client. */
export class ExtentReader {
  private reader: Promise<LogReader> | undefined

  constructor(
    private readonly connection: KafkaConnection,
    private readonly topic: string,
    /** Further settings of the client. Default: it reads what is committed, and nothing else. */
    private readonly more: ClientSettings = {},
  ) {}

  /**
   * All that is committed in these partitions, up to where they ended; each in its order.
   * Errors: WEIR_SOURCE_UNREACHABLE.
   */
  async *messages(extents: readonly LogEnds[]): AsyncGenerator<readonly Message[]> {
    const open = new Map(extents.filter(({ start, end }) => start < end).map((one) => [partitionName(one), one]))
    if (open.size === 0) return
    const { topic } = this
    try {
      const reader = await this.opened()
      reader.assign([...open.values()].map(({ partition, start }) => ({ topic, partition, offset: start })))
      while (open.size > 0) {
        const found: Message[] = []
        for (const message of await reader.next()) {
          const extent = open.get(partitionName(message))
          if (extent !== undefined && message.offset < extent.end) found.push(message)
          if (extent !== undefined && message.offset >= extent.end - 1) open.delete(partitionName(message))
        }
        // What ends with the marker of a transaction has no record there.
        for (const [name, extent] of open) if (reader.hasEnded(extent)) open.delete(name)
        if (found.length > 0) yield found
      }
    } catch (error) {
      throw unreachable(error, topic, this.connection)
    }
  }

  async close(): Promise<void> {
    const reader = await this.reader?.catch(() => undefined)
    await reader?.close()
  }

  private opened(): Promise<LogReader> {
    this.reader ??= this.open()
    return this.reader
  }

  private async open(): Promise<LogReader> {
    const settings = { ...(await this.connection.settings()), ...this.more }
    const reader = new LogReader(settings, { code: 'WEIR_SOURCE_UNREACHABLE', doing: doingOf(this.topic) })
    try {
      await reader.connect()
      return reader
    } catch (error) {
      await reader.close()
      throw error
    }
  }
}

/** What it means that a topic can't be read. */
export function unreachable(error: unknown, topic: string, { address }: Pick<KafkaConnection, 'address'>): WeirError {
  if (error instanceof WeirError) return error
  return kafkaError('WEIR_SOURCE_UNREACHABLE', doingOf(topic), error as ClientError, { address })
}

function doingOf(topic: string): string {
  return `reading topic '${topic}'`
}
