import { MemoryCheckpoints } from '../../src/state/index.js'
import { checkpointsContract } from './checkpoints.contract.js'
import { joinedCheckpointsContract } from './joined-checkpoints.contract.js'
import { embeddedCheckpoints } from './postgres-under-test.js'

checkpointsContract('memory', () => {
  const store = new MemoryCheckpoints()
  return Promise.resolve({ connect: () => Promise.resolve(store), close: () => Promise.resolve() })
})
checkpointsContract('embedded Postgres', embeddedCheckpoints)
joinedCheckpointsContract('embedded Postgres', embeddedCheckpoints)
