/**
 * State that lasts longer than an epoch.
 *
 *   task-stores          all stores of a task: assigned, restored, committed and dropped by source partition
 *   partition-state      all stores of one partition, and their log
 *   partition-store      one store's entries of one partition, live, and what the epoch changed of them
 *   recency              when entries of a bounded store were touched, and which are the next to go
 *   changelog            the log of epochs: what a commit adds to it, what is rewritten, what is obsolete
 *   log-span, chunk      a stretch of that log and its entries; how a store's changes are packed and put back
 *   packing, pieces      how values are packed so that the same comes back, and which can't be; bytes in pieces
 *   stored-state         what a checkpoint store holds, read without taking it over
 *   unlike               what a restore would bring otherwise than it is in memory: for tests
 *   memory-checkpoints   the checkpoint store that lasts as long as the process
 *   memory-views         views in the memory of the process
 *   replicated-views     views in the memory of every replica, joined by a topic
 *   checkpoint-protocol  how partitions are taken over, written and given back where checkpoints are logs
 *   topic-protocol       what follows when topics are not what they were
 *   letter-protocol      how dead letters are written, whatever their topic refuses
 */
export { MemoryCheckpoints } from './memory-checkpoints.js'
export { MemoryViews } from './memory-views.js'
export { pack, tagged, UnkeepableError, unpack } from './packing.js'
export { unclaimedHint } from './partition-state.js'
export { piecesOf } from './pieces.js'
export { ReplicatedViews } from './replicated-views.js'
export { isSameVersion, readStored, type StoredStore } from './stored-state.js'
export { TaskStores } from './task-stores.js'
