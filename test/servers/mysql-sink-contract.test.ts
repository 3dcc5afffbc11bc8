import { afterAll, beforeAll, describe } from 'vitest'
import { mysqlSinkUnderTest, openMysql } from '../contracts/mysql-under-test.js'
import { heldUpContract, oddities, outages, refusals, sinkContract } from '../contracts/sinks.contract.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'
import { onWay } from './tcp-proxy.js'

const missing = missingMariadb()

describe.skipIf(missing !== undefined)(`real MariaDB${missing === undefined ? '' : ` (${missing})`}`, () => {
  let server: MariadbServer

  beforeAll(async () => {
    server = await MariadbServer.start()
  })
  afterAll(() => server.close())

  const upsert = { mode: 'upsert', key: ['id'] }
  const ways = [
    ['insert', { writers: 3 }],
    ['upsert', { ...upsert, writers: 3 }],
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
        oddities,
        outages,
      )
    }
    heldUpContract(`${joins ? 'in the transaction of the epoch' : 'on its own'}`, () => {
      const urlBy = (port: number) => server.url.replace(String(server.port), String(port))
      const table = `items_held_${joins ? 'joined' : 'alone'}`
      return onWay(
        server.port,
        (port) => openMysql({ url: urlBy(port), statementTimeout: '2s' }),
        (connection, close) =>
          mysqlSinkUnderTest({ connection, table, options: { ...upsert, retries: 0 }, joins, close }),
      )
    })
  }
})
