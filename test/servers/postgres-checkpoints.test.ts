import { describe } from 'vitest'
import { checkpointsContract } from '../contracts/checkpoints.contract.js'
import { joinedCheckpointsContract } from '../contracts/joined-checkpoints.contract.js'
import { checkpointsUnderTest, openPostgres } from '../contracts/postgres-under-test.js'
import { storedStateContract } from '../contracts/stored-state.contract.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'

const missing = missingPostgres()

describe.skipIf(missing !== undefined)(`real PostgreSQL${missing === undefined ? '' : ` (${missing})`}`, () => {
  const start = async () => {
    const server = await PostgresServer.start()
    return checkpointsUnderTest(() => openPostgres(server.url), {
      sever: () => server.terminateSessions(),
      close: () => server.close(),
    })
  }
  checkpointsContract('PostgreSQL', start)
  joinedCheckpointsContract('PostgreSQL', start)
  storedStateContract('PostgreSQL', async () => {
    const kind = await start()
    return { ...kind, cut: () => kind.sever() }
  })
})
