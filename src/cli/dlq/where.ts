import type { Engine } from '../../engine/index.js'
import type { KafkaConnection } from '../../kafka/connection.js'
import { extentOf } from '../../kafka/whole-topic.js'
import type { LogEnds } from '../../model/index.js'
import { type Io, UsageError } from '../io.js'
import { kafkaName, lastingKafka } from '../kafka.js'
import { type Prepared, prepare } from '../prepare.js'
import { withEngine } from '../stored.js'

export interface WhereOptions {
  readonly config?: string
  readonly topic?: readonly string[]
  readonly connection?: string
}

/** A topic of dead letters that is there. */
export interface LetterTopic {
  readonly topic: string
  readonly connection: KafkaConnection
  readonly extents: readonly LogEnds[]
}

/** What a command works with. */
export interface Desk {
  readonly io: Io
  readonly prepared: Prepared
  readonly engine: Engine
  readonly topics: readonly LetterTopic[]
}

/**
 * Opens the topics that are named, or else those that the flows of the configuration write dead letters to.
 * Errors: `UsageError` when there is none, WEIR_SOURCE_UNREACHABLE.
 */
export async function atDesk<T>(options: WhereOptions, io: Io, work: (desk: Desk) => Promise<T>): Promise<T> {
  const prepared = await prepare({ config: options.config }, io)
  const named = placesOf(options, prepared)
  return withEngine(prepared, async (engine) => {
    const topics: LetterTopic[] = []
    for (const { topic, name } of named) {
      const connection = lastingKafka(engine, name)
      const extents = await extentOf(connection, topic)
      if (extents.length > 0) topics.push({ topic, connection, extents })
      else if (options.topic !== undefined) throw new UsageError(`there is no topic '${topic}'`)
      else io.stderr.write(`there is no topic ${topic}: no letter was written to it yet\n`)
    }
    return work({ io, prepared, engine, topics })
  })
}

function placesOf({ topic: asked, connection }: WhereOptions, prepared: Prepared) {
  if (asked !== undefined) {
    const name = kafkaName(connection, prepared)
    return asked.map((topic) => ({ topic, name }))
  }
  const { flows, connections } = prepared.topology
  const all = flows.flatMap(({ deadLetters: letters }) =>
    letters !== undefined && connections.get(letters.connection)?.definition.kind === 'kafka'
      ? [{ topic: letters.name, name: letters.connection }]
      : [],
  )
  if (all.length === 0)
    throw new UsageError('no flow of the configuration writes dead letters: name their topic with --topic')
  return [...new Map(all.map((place) => [`${place.name} ${place.topic}`, place])).values()]
}
