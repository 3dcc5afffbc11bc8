import { concat, lastValueFrom } from 'rxjs'
import type { CheckpointStore, Connection, HeldPartition, LogEnds, TopicFacts, TopicPartition } from '../model/index.js'
import type { ConfigFault } from './config-error.js'
import { forgottenOf } from './forgotten.js'
import type { KeptState } from './state-plan.js'
import type { SourceNode, Topology } from './topology.js'

/** A topic that is not what it was when a flow last read it. */
export interface ChangedTopic {
  readonly flow: string
  readonly task: string
  readonly topic: string
  readonly change: 'grown' | 'recreated' | 'missing' | 'forgotten'
  /** How many partitions it had, and has; 0 where there is none. */
  readonly was: number
  readonly now: number
  /** Whether the flow would stop. */
  readonly isRefused: boolean
}

interface Asked {
  checkpointStore(name: string): CheckpointStore
  connection(name: string): Connection
}

/**
 * Where the logs of partitions of a task begin and end, of those that there are; undefined where what the task reads has no logs
 * that anybody could ask for. Errors: those of the connection.
 */
export async function logEndsOf(
  task: string,
  partitions: readonly TopicPartition[],
  topology: Topology,
  kept: readonly KeptState[],
  asked: Pick<Asked, 'connection'>,
): Promise<readonly LogEnds[] | undefined> {
  const topics = new Set(partitions.map(({ topic }) => topic))
  const inputs = kept.find((one) => one.task === task)?.part.inputs ?? []
  const reads = ({ definition, options }: SourceNode) => definition.reads?.(options).topics
  // What names no topics is the source of an internal one, and the only one of its task.
  const source = inputs
    .map((input) => input.source)
    .find((one) => reads(one)?.some((topic) => topics.has(topic)) ?? true)
  if (source?.connection === undefined) return undefined
  const channel = topology.connections.get(source.connection)?.definition.channel
  return channel?.logEnds?.(asked.connection(source.connection), partitions)
}

/**
 * Compares the topics that flows read with what they were when their positions were committed. Errors: those of the
 * checkpoint stores and of the connections.
 */
export async function planTopics(
  topology: Topology,
  kept: readonly KeptState[],
  asked: Asked,
): Promise<readonly ChangedTopic[]> {
  const changed: ChangedTopic[] = []
  for (const { flow, task, where, part } of kept) {
    if (where === 'memory' || !part.checkpointed) continue
    const checkpoints = asked.checkpointStore(where)
    const held = await lastValueFrom(concat(checkpoints.open(), checkpoints.list(topology.app)))
    const own = held.filter((one) => one.task === task)
    for (const { topic, partitions: was } of forgottenOf(own, { task, part }))
      changed.push({ flow, task, topic, change: 'forgotten', was, now: 0, isRefused: false })
    for (const { source } of part.inputs) {
      const found = await changesOf(source, own, topology, asked)
      changed.push(...found.map((one) => ({ flow, task, ...one, isRefused: isRefused(one, source, part.keeps) })))
    }
  }
  return changed
}

type Found = Pick<ChangedTopic, 'topic' | 'change' | 'was' | 'now'>

async function changesOf(
  { definition, options, connection }: SourceNode,
  held: readonly HeldPartition[],
  topology: Topology,
  asked: Asked,
): Promise<readonly Found[]> {
  // Of a partition that is gone nobody will commit anything any more: what it says is not news for ever.
  const factsOf = (topic: string, partitions = Number.POSITIVE_INFINITY) =>
    held.flatMap((one) =>
      one.topic === topic && one.partition < partitions && one.progress?.facts !== undefined
        ? [one.progress.facts]
        : [],
    )
  const topics = (definition.reads?.(options).topics ?? []).filter((topic) => factsOf(topic).length > 0)
  const kind = connection === undefined ? undefined : topology.connections.get(connection)?.definition
  if (topics.length === 0 || connection === undefined || kind?.channel?.describe === undefined) return []
  const seen = await kind.channel.describe(asked.connection(connection), topics)
  return topics.flatMap((topic) => {
    const now = seen.get(topic)
    return compare(topic, factsOf(topic, now?.partitions), now) ?? []
  })
}

function compare(
  topic: string,
  facts: readonly TopicFacts[],
  now: Pick<TopicFacts, 'id' | 'partitions'> | undefined,
): Found | undefined {
  if (facts.length === 0) return undefined
  const was = Math.max(...facts.map(({ partitions }) => partitions))
  if (now === undefined) return { topic, change: 'missing', was, now: 0 }
  const isAnother = now.id !== undefined && facts.some(({ id }) => id !== undefined && id !== now.id)
  if (isAnother) return { topic, change: 'recreated', was, now: now.partitions }
  return now.partitions === was ? undefined : { topic, change: 'grown', was, now: now.partitions }
}

function isRefused({ change }: Found, { definition, options }: SourceNode, keeps: KeptState['part']['keeps']): boolean {
  const reads = definition.reads?.(options)
  if (change === 'recreated') return reads?.onRecreated !== 'restart'
  return change === 'grown' && keeps === 'state by key' && reads?.onGrown !== 'accept'
}

/** What a plan has to be refused for, a fault a topic. */
export function topicFaults(changed: readonly ChangedTopic[]): ConfigFault[] {
  return changed
    .filter((one) => one.isRefused)
    .map(({ flow, topic, change, was, now }) =>
      change === 'recreated'
        ? {
            message: `flow '${flow}' has read a topic '${topic}' that was deleted and created again since`,
            hint: "To read the new one from its beginning, set the source's option onRecreated to 'restart'.",
          }
        : {
            message: `flow '${flow}' keeps state by the keys of topic '${topic}', which had ${was} partitions and has ${now}`,
            hint: `Write it to a topic of the new size, and read that under another name of the flow; or set the source's option onGrown to 'accept', where state may begin anew for keys that moved.`,
          },
    )
}
