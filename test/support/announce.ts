import { missingBlobServers } from '../servers/blob-servers.js'
import { missingCassandra } from '../servers/cassandra-server.js'
import { requireKafka } from '../servers/kafka-install.js'
import { missingMariadb } from '../servers/mariadb-server.js'
import { missingPostgres } from '../servers/postgres-server.js'
import { missingPython } from '../servers/python-install.js'
import { missingRedis } from '../servers/redis-server.js'

const servers: Readonly<Record<string, () => string | undefined | Promise<string | undefined>>> = {
  'Apache Kafka': requireKafka,
  PostgreSQL: missingPostgres,
  Redis: missingRedis,
  MariaDB: missingMariadb,
  Cassandra: missingCassandra,
  'S3, Azure and GCS': missingBlobServers,
  'Python readers of archives': missingPython,
}

/** Before the first of all tests: which of them are skipped for want of a server, and why. */
export async function setup(): Promise<void> {
  const missing: string[] = []
  for (const [name, reason] of Object.entries(servers)) {
    try {
      const why = await reason()
      if (why !== undefined) missing.push(`${name} (${why})`)
    } catch (error) {
      missing.push(`${name}, which is required (${error instanceof Error ? error.message : String(error)})`)
    }
  }
  const soak = 'the soak, which npm run soak runs'
  console.log(
    missing.length === 0
      ? `weir test: every server is there, and nothing is skipped but ${soak}\n`
      : `weir test: skipped is what needs ${missing.join(', ')}, and ${soak}\n`,
  )
}
