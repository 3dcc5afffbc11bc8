/**
 * State that lasts longer than an epoch.
 *
 *   task-stores          all stores of a task: assigned, restored, committed and dropped by source partition
 *   partition-store      one store's entries of one partition, live, and what the epoch changed of them
 *   changelog            the log of epochs: how changes are packed, rewritten and put back
 *   memory-checkpoints   the checkpoint store that lasts as long as the process
 */
export { MemoryCheckpoints } from './memory-checkpoints.js'
export { TaskStores } from './task-stores.js'
