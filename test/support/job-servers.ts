import { afterAll, beforeAll, describe } from 'vitest'
import { KafkaCluster, requireKafka } from '../servers/kafka-broker.js'
import { missingPostgres, PostgresServer } from '../servers/postgres-server.js'
import type { Servers } from './job.js'

type Cluster = NonNullable<Parameters<typeof KafkaCluster.start>[0]>

/** Why the job can't run here with real servers; undefined when it can. */
export const missing = requireKafka() ?? missingPostgres()

/** What is added to the title of what can't run here. */
export const because = (reason: string | undefined): string => (reason === undefined ? '' : ` (skipped: ${reason})`)

/** A suite of the job, with servers of its own. */
export function describeJob(title: string, tests: (servers: Servers) => void, cluster?: Cluster): void {
  describe.skipIf(missing !== undefined)(`${title}${because(missing)}`, () => tests(jobServers(cluster)))
}

/** Servers that are started before the first test of a suite, and ended after its last. */
export function jobServers(cluster: Cluster = {}): Servers {
  let kafka: KafkaCluster | undefined
  let postgres: PostgresServer | undefined

  beforeAll(async () => {
    ;[kafka, postgres] = await Promise.all([KafkaCluster.start(cluster), PostgresServer.start()])
  })
  afterAll(() => Promise.all([kafka?.close(), postgres?.close()]))

  return {
    get kafka() {
      return started(kafka)
    },
    get postgres() {
      return started(postgres)
    },
  }
}

function started<T>(server: T | undefined): T {
  if (server === undefined) throw new Error('servers are there from the first test on')
  return server
}
