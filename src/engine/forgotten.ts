import type { HeldPartition } from '../model/index.js'
import type { KeptState } from './state-plan.js'

/** A topic that a task has positions of, and reads no longer: it was renamed, or its input taken away. */
export interface ForgottenTopic {
  readonly topic: string
  readonly partitions: number
}

/** The topics that a task reads; undefined where a source names none, and has partitions of its own. */
export function readBy({ inputs }: Pick<KeptState['part'], 'inputs'>): readonly string[] | undefined {
  const reads = inputs.map(({ source: { definition, options } }) => definition.reads?.(options)?.topics)
  return reads.every((topics) => topics !== undefined) ? reads.flat() : undefined
}

/** What a task no longer reads of what is held for it. Nobody waits for it, and what it brought stays as it is. */
export function forgottenOf(
  held: readonly HeldPartition[],
  { task, part }: Pick<KeptState, 'task' | 'part'>,
): readonly ForgottenTopic[] {
  const topics = readBy(part)
  if (topics === undefined) return []
  const read = new Set(topics)
  const counts = new Map<string, number>()
  for (const one of held)
    if (one.task === task && !read.has(one.topic)) counts.set(one.topic, (counts.get(one.topic) ?? 0) + 1)
  return [...counts].map(([topic, partitions]) => ({ topic, partitions }))
}
