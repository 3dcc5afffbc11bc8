import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { postgresCheckpoints } from '../../src/postgres/checkpoint-tables.js'
import { postgresViews } from '../../src/postgres/view-tables.js'
import { MemoryViews } from '../../src/state/index.js'
import { openPostgres } from './postgres-under-test.js'
import { joiningViewStorageContract, viewStorageContract } from './view-storage.contract.js'

viewStorageContract('memory', () => {
  const views = new MemoryViews()
  return Promise.resolve({ connect: () => views, close: () => Promise.resolve() })
})

const embedded = () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'weir-embedded-'))
  const connection = openPostgres('embedded', { dataDirectory })
  const connect = () => postgresViews(connection)
  return Promise.resolve({
    connect,
    connectBoth: () => ({ storage: connect(), checkpoints: postgresCheckpoints(connection) }),
    close: async () => {
      await connection.close()
      rmSync(dataDirectory, { recursive: true })
    },
  })
}
viewStorageContract('embedded Postgres', embedded)
joiningViewStorageContract('embedded Postgres', embedded)
