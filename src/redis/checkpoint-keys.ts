import type { TopicPartition } from '../model/index.js'
import { partitionName } from '../model/index.js'

const prefix = 'weir:{'

/**
 * The hash of a task: the generation and the progress of each of its partitions. What is between the braces decides where
 * a cluster keeps a key, so all keys of a task lie together, and one script may use them.
 */
export function taskKey(task: string): string {
  return `${prefix}${task}}`
}

/** The stream of a partition's chunks, whose ids are `<sequence>-<part>`. */
export function chunksKey(task: string, partition: TopicPartition): string {
  return `${taskKey(task)}:${partitionName(partition)}`
}

/** Matches the hashes of all tasks of an app. */
export function taskPattern(app: string): string {
  return `${prefix}${app.replace(/[\\*?[\]^]/g, '\\$&')}.*}`
}

export function taskOf(key: string): string {
  return key.slice(prefix.length, -1)
}

export function generationField(partition: TopicPartition): string {
  return `generation:${partitionName(partition)}`
}

export function progressField(partition: TopicPartition): string {
  return `progress:${partitionName(partition)}`
}

/** The partition that a field's name ends with. */
export function partitionOf(field: string): TopicPartition {
  const name = field.slice(field.indexOf(':') + 1)
  const dash = name.lastIndexOf('-')
  return { topic: name.slice(0, dash), partition: Number(name.slice(dash + 1)) }
}
