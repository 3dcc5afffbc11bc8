import type { PartitionCommit, StoredChunk } from '../../src/model/index.js'
import type { TaskStores } from '../../src/state/index.js'

export const partition = { topic: 'events', partition: 0 }

/** The log of one partition as a checkpoint store keeps it. */
export function logOf(stores: TaskStores) {
  let chunks: StoredChunk[] = []
  let position = 0
  let written = 0
  return {
    commit(): PartitionCommit {
      const commit = stores.commit({ ...partition, offset: ++position }, {})
      for (const bytes of commit.chunks) written += bytes.length
      const { sequence, truncateBefore = 0 } = commit
      chunks.push(...commit.chunks.map((bytes) => ({ sequence, bytes })))
      if (truncateBefore > 0) chunks = chunks.filter((chunk) => chunk.sequence >= truncateBefore)
      return commit
    },
    bytes: () => chunks.reduce((sum, { bytes }) => sum + bytes.length, 0),
    written: () => written,
  }
}
