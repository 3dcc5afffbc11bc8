import { closest } from '../../config/closest.js'
import type { KafkaConnection } from '../../kafka/connection.js'
import { allTopics, extentOf } from '../../kafka/whole-topic.js'
import type { LogEnds } from '../../model/index.js'
import { UsageError } from '../io.js'
import { thereIs } from '../progress.js'

/** How many names are told in place of one that there is not. */
const mostNames = 10

/** Where the partitions of a topic begin and end now. Errors: `UsageError` where there is none, WEIR_SOURCE_UNREACHABLE. */
export async function extentsOf(connection: KafkaConnection, topic: string): Promise<readonly LogEnds[]> {
  const extents = await extentOf(connection, topic)
  if (extents.length > 0) return extents
  const all = (await allTopics(connection)).map((one) => one.topic)
  throw new UsageError(`there is no topic '${topic}': ${instead('topic', topic, all)}`)
}

/** What may have been meant by a name that there is not. */
export function instead(what: string, name: string, known: readonly string[]): string {
  const meant = closest(name, known)
  if (meant !== undefined) return `did you mean '${meant}'?`
  const shown = known.filter((one) => !isInternal(one)).sort()
  if (shown.length <= mostNames) return thereIs(what, shown)
  return `there are ${shown.length.toLocaleString('en')} others, which weir ${what}s ls lists`
}

/** Whether brokers keep it for themselves. */
export function isInternal(topic: string): boolean {
  return topic.startsWith('__')
}
