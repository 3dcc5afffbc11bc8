import { concat, concatMap, defer, EMPTY, mergeAll, type Observable, of } from 'rxjs'
import type { CheckpointStore, HeldPartition, PartitionProgress } from '../model/index.js'

/**
 * Changes what is known of a partition, as a task of a later generation would: whoever runs it begins anew with that.
 * Emits what was known before.
 */
export function changeProgress(
  checkpoints: CheckpointStore,
  { task, topic, partition }: HeldPartition,
  change: (progress: PartitionProgress | undefined) => PartitionProgress,
): Observable<PartitionProgress | undefined> {
  return checkpoints.acquire(task, [{ topic, partition }]).pipe(
    mergeAll(),
    concatMap(({ generation, sequence, progress }) => {
      const committed = { topic, partition, generation, sequence, chunks: [], progress: change(progress) }
      const commit$ = defer(() => checkpoints.begin(task).commit({ task, partitions: [committed] }))
      const release$ = defer(() => checkpoints.release?.(task, [{ topic, partition }]) ?? EMPTY)
      return concat(commit$, release$, of(progress))
    }),
  )
}

/**
 * Results up to that time stay final; what was told to others before is no longer believed. They are further than a partition's
 * own watermark may then be, as after it was idle: what comes too late for them is told so record by record.
 */
export function setBack(progress: PartitionProgress | undefined, time: number, timeSets: number): PartitionProgress {
  const { movedOnMs: _, ...kept } = progress ?? { position: 0 }
  const { streamTime, watermark, together } = kept
  const times = { streamTime: backTo(streamTime, time), watermark: backTo(watermark, time) }
  return { ...kept, ...times, together: backTo(together, time), timeSets, toldIdle: true }
}

/** How often time will have been set back, once it is in all these. */
export function nextTimeSet(held: readonly HeldPartition[]): number {
  return Math.max(0, ...held.map(({ progress }) => progress?.timeSets ?? 0)) + 1
}

export function backTo(time: number | undefined, limit: number): number | undefined {
  return time === undefined ? undefined : Math.min(time, limit)
}
