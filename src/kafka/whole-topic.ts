import { type LogEnds, partitionName, WeirError } from '../model/index.js'
import type { ClientError, Message } from './client.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { LogReader } from './log-reader.js'

/** Where the partitions of a topic begin and end now; none where there is no such topic. Errors: WEIR_SOURCE_UNREACHABLE. */
export async function extentOf({ topics, address }: KafkaConnection, topic: string): Promise<readonly LogEnds[]> {
  try {
    const partitions = (await topics.describe([topic])).get(topic)?.partitions ?? 0
    return await topics.logEnds(Array.from({ length: partitions }, (_, partition) => ({ topic, partition })))
  } catch (error) {
    throw unreachable(error, topic, address)
  }
}

/**
 * All that is committed in these partitions, up to where they ended; each in its order.
 * Errors: WEIR_SOURCE_UNREACHABLE.
 */
export async function* messagesIn(
  connection: KafkaConnection,
  extents: readonly LogEnds[],
): AsyncGenerator<readonly Message[]> {
  const open = new Map(extents.filter(({ start, end }) => start < end).map((one) => [partitionName(one), one]))
  const topic = extents[0]?.topic ?? ''
  if (open.size === 0) return
  const doing = `reading topic '${topic}'`
  const reader = new LogReader(await connection.settings(), { code: 'WEIR_SOURCE_UNREACHABLE', doing })
  try {
    await reader.connect()
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
    throw unreachable(error, topic, connection.address)
  } finally {
    await reader.close()
  }
}

function unreachable(error: unknown, topic: string, address: string): WeirError {
  if (error instanceof WeirError) return error
  return kafkaError('WEIR_SOURCE_UNREACHABLE', `reading topic '${topic}'`, error as ClientError, { address })
}
