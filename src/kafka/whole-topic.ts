import type { LogEnds } from '../model/index.js'
import type { ListedTopic } from './admin.js'
import type { ClientError, Message } from './client.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { ExtentReader, unreachable } from './extent-reader.js'

/** Where the partitions of a topic begin and end now; none where there is no such topic. Errors: WEIR_SOURCE_UNREACHABLE. */
export async function extentOf(connection: KafkaConnection, topic: string): Promise<readonly LogEnds[]> {
  const { topics } = connection
  try {
    const partitions = (await topics.describe([topic])).get(topic)?.partitions ?? 0
    return await topics.logEnds(Array.from({ length: partitions }, (_, partition) => ({ topic, partition })))
  } catch (error) {
    throw unreachable(error, topic, connection)
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
  const reader = new ExtentReader(connection, extents[0]?.topic ?? '')
  try {
    yield* reader.messages(extents)
  } finally {
    await reader.close()
  }
}

/** Every topic that there is. Errors: WEIR_SOURCE_UNREACHABLE. */
export async function allTopics({ topics, address }: KafkaConnection): Promise<readonly ListedTopic[]> {
  try {
    return await topics.all()
  } catch (error) {
    throw kafkaError('WEIR_SOURCE_UNREACHABLE', 'listing the topics', error as ClientError, { address })
  }
}
