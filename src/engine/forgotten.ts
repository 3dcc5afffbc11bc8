import type { HeldPartition, Position } from '../model/index.js'
import type { KeptState } from './state-plan.js'
import type { InputNode } from './topology.js'

/** A topic that a task has positions of, and reads no longer: it was renamed, or its input taken away. */
export interface ForgottenTopic {
  readonly topic: string
  readonly partitions: number
}

/** The topics that a task reads; undefined where that is an internal one. Sources that read none have partitions of their own. */
export function readBy({ inputs }: Pick<KeptState['part'], 'inputs'>): readonly string[] | undefined {
  const reads = inputs.map(({ source: { definition, options } }) => {
    const topics = definition.reads?.(options)?.topics
    return topics ?? (isInternal(options) ? undefined : [])
  })
  return reads.every((topics) => topics !== undefined) ? reads.flat() : undefined
}

/** Positions as they are to be kept: facts of a source that names no topics say so, for nobody would know them again. */
export function marked(
  positions: readonly Position[],
  { source: { definition, options } }: InputNode,
): readonly Position[] {
  if (definition.reads !== undefined || isInternal(options)) return positions
  return positions.map((one) => (one.facts === undefined ? one : { ...one, facts: { ...one.facts, isOwn: true } }))
}

function isInternal(options: unknown): boolean {
  return (options as { readonly topic?: unknown } | undefined)?.topic !== undefined
}

/** What a task no longer reads of what is held for it. Nobody waits for it, and what it brought stays as it is. */
export function forgottenOf(
  held: readonly HeldPartition[],
  { task, part }: Pick<KeptState, 'task' | 'part'>,
): readonly ForgottenTopic[] {
  const topics = readBy(part)
  if (topics === undefined) return []
  const read = new Set(topics)
  // What a source that names none calls its own partitions nobody knows; facts are known of topics, and are marked where they are its.
  const isSure = part.inputs.every(({ source: { definition, options } }) => definition.reads?.(options) !== undefined)
  const counts = new Map<string, number>()
  for (const { task: holder, topic, progress } of held) {
    const isTopic = isSure || (progress?.facts !== undefined && progress.facts.isOwn !== true)
    if (holder === task && isTopic && !read.has(topic)) counts.set(topic, (counts.get(topic) ?? 0) + 1)
  }
  return [...counts].map(([topic, partitions]) => ({ topic, partitions }))
}
