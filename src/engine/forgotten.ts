import type { HeldPartition } from '../model/index.js'
import type { KeptState } from './state-plan.js'

/** A topic that a task has positions of, and reads no longer: it was renamed, or its input taken away. */
export interface ForgottenTopic {
  readonly topic: string
  readonly partitions: number
}

/** What a task no longer reads of what is held for it. Nobody waits for it, and what it brought stays as it is. */
export function forgottenOf(
  held: readonly HeldPartition[],
  { task, part }: Pick<KeptState, 'task' | 'part'>,
): readonly ForgottenTopic[] {
  const reads = part.inputs.map(({ source: { definition, options } }) => definition.reads?.(options)?.topics)
  // Those that name no topics have partitions of their own.
  if (reads.some((topics) => topics === undefined)) return []
  const read = new Set(reads.flat())
  const counts = new Map<string, number>()
  for (const one of held)
    if (one.task === task && !read.has(one.topic)) counts.set(one.topic, (counts.get(one.topic) ?? 0) + 1)
  return [...counts].map(([topic, partitions]) => ({ topic, partitions }))
}
