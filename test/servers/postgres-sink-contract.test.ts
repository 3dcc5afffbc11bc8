import { afterAll, beforeAll, describe } from 'vitest'
import { postgresSinkUnderTest } from '../contracts/postgres-sink-under-test.js'
import { openPostgres, openWith } from '../contracts/postgres-under-test.js'
import { heldUpContract, oddities, outages, refusals, sinkContract } from '../contracts/sinks.contract.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'
import { onWay } from './tcp-proxy.js'

const missing = missingPostgres()

describe.skipIf(missing !== undefined)(`real PostgreSQL${missing === undefined ? '' : ` (${missing})`}`, () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server?.close())

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
          const connection = openPostgres(server.url)
          const table = `items_${way.toLowerCase()}_${joins ? 'joined' : 'alone'}`
          const close = () => connection.close()
          const outage = { begin: () => server.kill(), end: () => server.start() }
          return { ...(await postgresSinkUnderTest({ connection, table, options, joins, close })), outage }
        },
        refusals,
        oddities,
        outages,
      )
    }
    heldUpContract(`${joins ? 'in the transaction of the epoch' : 'on its own'}`, () => {
      const urlBy = (port: number) => server.url.replace(String(server.port), String(port))
      const table = `items_held_${joins ? 'joined' : 'alone'}`
      return onWay(
        server.port,
        (port) => openWith({ url: urlBy(port), statementTimeout: '2s' }),
        (connection, close) =>
          postgresSinkUnderTest({ connection, table, options: { ...upsert, retries: 0 }, joins, close }),
      )
    })
  }
})
