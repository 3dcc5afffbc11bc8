import { afterAll, beforeAll, describe } from 'vitest'
import { mysqlSinkUnderTest, openMysql } from '../contracts/mysql-under-test.js'
import { outages, refusals, sinkContract } from '../contracts/sinks.contract.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'

const missing = missingMariadb()

describe.skipIf(missing !== undefined)(`real MariaDB${missing === undefined ? '' : ` (${missing})`}`, () => {
  let server: MariadbServer

  beforeAll(async () => {
    server = await MariadbServer.start()
  })
  afterAll(() => server.close())

  const ways = [
    ['insert', { writers: 3 }],
    ['upsert', { mode: 'upsert', key: ['id'], writers: 3 }],
  ] as const
  for (const joins of [false, true]) {
    for (const [way, options] of ways) {
      sinkContract(
        `${way}, ${joins ? 'in the transaction of the epoch' : 'on its own'}`,
        async () => {
          const connection = openMysql({ url: server.url })
          const table = `items_${way}_${joins ? 'joined' : 'alone'}`
          const close = () => connection.close()
          const outage = { begin: () => server.kill(), end: () => server.start() }
          return { ...(await mysqlSinkUnderTest({ connection, table, options, joins, close })), outage }
        },
        refusals,
        outages,
      )
    }
  }
})
