import type { Position, TopicPartition } from '../model/index.js'
import {
  type BeginningCommand,
  type BeginningEvent,
  type SeenTopic,
  TopicBeginning,
} from '../state/topic-protocol/index.js'
import type { TopicAdmin } from './admin.js'
import type { GroupConsumer } from './consumer.js'
import { type ReaderOptions, tell } from './reader-options.js'

interface From {
  readonly consumer: GroupConsumer
  readonly topics: TopicAdmin
  readonly options: ReaderOptions
  /** What the topics were when this process last read them. */
  readonly remembered: ReadonlyMap<string, SeenTopic>
  /** What they were found to be while they are read. */
  readonly noticed: ReadonlyMap<string, SeenTopic>
}

export interface Beginning {
  readonly positions: readonly Position[]
  /** What the topics are. */
  readonly seen: ReadonlyMap<string, SeenTopic>
}

/** Asks what `TopicBeginning` wants to know, until it says where to begin. Errors with why not to. */
export async function startingPoints(
  from: From,
  partitions: readonly TopicPartition[],
  given: readonly Position[],
): Promise<Beginning> {
  const { options, remembered, noticed } = from
  const machine = new TopicBeginning(options, { partitions, given, remembered, noticed })
  let command = machine.start()
  while (command.do !== 'begin' && command.do !== 'refuse') command = machine.handle(await carryOut(command, from))
  tell(command.findings, options)
  if (command.do === 'refuse') throw command.error
  return command
}

async function carryOut(
  command: Exclude<BeginningCommand, { do: 'begin' | 'refuse' }>,
  { topics, consumer }: From,
): Promise<BeginningEvent> {
  switch (command.do) {
    case 'describe':
      return { on: 'described', seen: await topics.describe(command.topics) }
    case 'ask the group':
      return { on: 'committed', positions: await consumer.committedPositions(command.partitions) }
    case 'bound': {
      const { partitions, afterMs } = command
      if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs))
      const [starts, ends] = await Promise.all([
        topics.offsets(partitions, 'earliest'),
        topics.offsets(partitions, 'latest'),
      ])
      return { on: 'bounded', starts, ends }
    }
    case 'find':
      return { on: 'found', positions: await topics.offsets(command.partitions, command.time) }
  }
}
