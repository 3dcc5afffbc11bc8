import { describe } from 'vitest'
import { checkpointsContract } from '../contracts/checkpoints.contract.js'
import { joinedCheckpointsContract } from '../contracts/joined-checkpoints.contract.js'
import { mysqlCheckpointsUnderTest, openMysql } from '../contracts/mysql-under-test.js'
import { storedStateContract } from '../contracts/stored-state.contract.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'

const missing = missingMariadb()

describe.skipIf(missing !== undefined)(`real MariaDB${missing === undefined ? '' : ` (${missing})`}`, () => {
  const start = async () => {
    const server = await MariadbServer.start()
    return mysqlCheckpointsUnderTest(() => openMysql({ url: server.url }), {
      sever: () => server.terminateSessions(),
      close: () => server.close(),
    })
  }
  checkpointsContract('MariaDB', start)
  joinedCheckpointsContract('MariaDB', start)
  storedStateContract('MariaDB', async () => {
    const kind = await start()
    return { ...kind, cut: () => kind.sever() }
  })
})
