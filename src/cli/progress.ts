import { concat, defer, lastValueFrom } from 'rxjs'
import type { CheckpointStore, HeldPartition, PartitionProgress } from '../model/index.js'

/**
 * Changes what is known of a partition, as a task of a later generation would: whoever runs it begins anew with that.
 * Returns what was known before.
 */
export async function changeProgress(
  checkpoints: CheckpointStore,
  { task, topic, partition }: HeldPartition,
  change: (progress: PartitionProgress | undefined) => PartitionProgress,
): Promise<PartitionProgress | undefined> {
  const [acquired] = await lastValueFrom(checkpoints.acquire(task, [{ topic, partition }]))
  if (acquired === undefined) return undefined
  const { generation, sequence, progress } = acquired
  const committed = { topic, partition, generation, sequence, chunks: [], progress: change(progress) }
  const commit$ = defer(() => checkpoints.begin(task).commit({ task, partitions: [committed] }))
  const release$ = defer(() => checkpoints.release?.(task, [{ topic, partition }]) ?? [])
  await lastValueFrom(concat(commit$, release$), { defaultValue: undefined })
  return progress
}
