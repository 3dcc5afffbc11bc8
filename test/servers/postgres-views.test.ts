import { describe } from 'vitest'
import { postgresCheckpoints } from '../../src/postgres/checkpoint-tables.js'
import { postgresViews } from '../../src/postgres/view-tables.js'
import { openPostgres } from '../contracts/postgres-under-test.js'
import { joiningViewStorageContract, viewStorageContract } from '../contracts/view-storage.contract.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'

const missing = missingPostgres()

describe.skipIf(missing !== undefined)(
  `views in real PostgreSQL${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    const start = async () => {
      const server = await PostgresServer.start()
      const connections = [openPostgres(server.url), openPostgres(server.url)] as const
      let next = 0
      const connect = () => postgresViews(connections[next++ % 2] as (typeof connections)[0])
      const [first] = connections
      return {
        connect,
        connectBoth: () => ({ storage: postgresViews(first), checkpoints: postgresCheckpoints(first) }),
        close: async () => {
          for (const connection of connections) await connection.close()
          await server.close()
        },
      }
    }
    viewStorageContract('PostgreSQL', start)
    joiningViewStorageContract('PostgreSQL', start)
  },
)
