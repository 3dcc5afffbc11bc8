import { describe } from 'vitest'
import { postgresSinkUnderTest } from '../contracts/postgres-sink-under-test.js'
import { openPostgres } from '../contracts/postgres-under-test.js'
import { outages, refusals, sinkContract } from '../contracts/sinks.contract.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'

const missing = missingPostgres()

describe.skipIf(missing !== undefined)(`real PostgreSQL${missing === undefined ? '' : ` (${missing})`}`, () => {
  const upsert = { mode: 'upsert', key: ['id'] }
  const ways = [
    ['insert', { writers: 3 }],
    ['upsert', { ...upsert, writers: 3 }],
    ['COPY', { copyFrom: 1, writers: 3 }],
  ] as const
  for (const joins of [false, true]) {
    for (const [way, options] of ways) {
      sinkContract(
        `${way}, ${joins ? 'in the transaction of the epoch' : 'on its own'}`,
        async () => {
          const server = await PostgresServer.start()
          const connection = openPostgres(server.url)
          const close = async () => {
            await connection.close()
            await server.close()
          }
          const outage = { begin: () => server.kill(), end: () => server.start() }
          return { ...(await postgresSinkUnderTest({ connection, options, joins, close })), outage }
        },
        refusals,
        outages,
      )
    }
  }
})
