import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { postgresSinkUnderTest } from './postgres-sink-under-test.js'
import { openPostgres } from './postgres-under-test.js'
import { heldUpContract, oddities, outages, refusals, sinkContract } from './sinks.contract.js'
import { viewSinkUnderTest } from './view-sink-under-test.js'
import { webhookUnderTest } from './webhook-under-test.js'

const embedded = (joins: boolean, options = {}) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'weir-embedded-'))
  const connection = openPostgres('embedded', { dataDirectory })
  const close = async () => {
    await connection.close()
    rmSync(dataDirectory, { recursive: true })
  }
  return postgresSinkUnderTest({ connection, joins, options, close })
}

sinkContract('embedded Postgres, in the transaction of the epoch', () => embedded(true), refusals, oddities)
sinkContract('embedded Postgres, on its own', () => embedded(false, { writers: 3 }), refusals, oddities)

sinkContract('a view', viewSinkUnderTest, refusals, oddities)

sinkContract('a webhook', webhookUnderTest, refusals, oddities, outages)
heldUpContract('a webhook', webhookUnderTest)
