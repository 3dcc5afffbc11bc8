import type { KafkaConnection } from '../../kafka/connection.js'
import { allTopics } from '../../kafka/whole-topic.js'
import type { LogEnds } from '../../model/index.js'
import { type BrokerOptions, withBrokers } from '../brokers.js'
import { exitCodes, type Io } from '../io.js'
import { painter, shownJson, table } from '../paint.js'
import { isInternal } from './topic.js'

export interface LsOptions extends BrokerOptions {
  readonly all?: boolean
  readonly json?: boolean
}

/** Of how many partitions it is asked at once where they end. */
const mostAsked = 2_000

/** `weir topics ls [text]`: the topics whose names have this text. */
export async function ls(
  text: string | undefined,
  { all = false, json = false, ...where }: LsOptions,
  io: Io,
): Promise<number> {
  return withBrokers(where, io, async ({ connection }) => {
    const listed = (await allTopics(connection))
      .filter(({ topic }) => (all || !isInternal(topic)) && (text === undefined || topic.includes(text)))
      .sort((one, other) => one.topic.localeCompare(other.topic, 'en', { numeric: true }))
    const records = await recordsOf(connection, listed)
    const rows = listed.map((one) => ({ ...one, records: records.get(one.topic) ?? 0 }))
    if (json) io.stdout.write(`${shownJson(rows)}\n`)
    else if (rows.length === 0)
      io.stdout.write(text === undefined ? 'no topics\n' : `no topic has '${text}' in its name\n`)
    else {
      const [heading = '', ...lines] = table([
        ['topic', 'partitions', 'copies', 'records', ''],
        ...rows.map(({ topic, partitions, replicas, records: count, lagging }) => [
          topic,
          String(partitions),
          String(replicas),
          count.toLocaleString('en'),
          lagging === 0 ? '' : `copies of ${lagging} are behind`,
        ]),
      ])
      io.stdout.write(`${[painter(io.stdout, io)('dim', heading), ...lines].join('\n')}\n`)
    }
    return exitCodes.ok
  })
}

/** At most so many: what is compacted or a marker has an offset as well. */
async function recordsOf(
  { topics }: KafkaConnection,
  listed: readonly { readonly topic: string; readonly partitions: number }[],
): Promise<ReadonlyMap<string, number>> {
  const all = listed.flatMap(({ topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
  )
  const counts = new Map<string, number>()
  const add = ({ topic, start, end }: LogEnds) => counts.set(topic, (counts.get(topic) ?? 0) + end - start)
  for (let at = 0; at < all.length; at += mostAsked)
    for (const ends of await topics.logEnds(all.slice(at, at + mostAsked))) add(ends)
  return counts
}
