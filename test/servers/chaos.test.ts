import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { brokerFault, Chaos, databaseFault, replicaFaults } from '../support/chaos.js'
import { Job, type LogLine, type Servers } from '../support/job.js'
import { Traffic } from '../support/job-traffic.js'
import { settle } from '../support/job-truth.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { missingPostgres, PostgresServer } from './postgres-server.js'

const missing = requireKafka() ?? missingPostgres()
const because = missing === undefined ? '' : ` (skipped: ${missing})`

/** `npm run chaos` sets these. */
const seconds = Number(process.env['CHAOS_SECONDS'] ?? 45)
const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 1e9))

const timeout = seconds * 1_000 + 300_000

// Random faults take long and need a machine of their own: `npm run chaos` asks for them.
const isAsked = process.env['CHAOS_SECONDS'] !== undefined

describe.skipIf(missing !== undefined || !isAsked)(`chaos with seed ${seed}${because}`, { timeout }, () => {
  let servers: Servers

  beforeAll(async () => {
    const [kafka, postgres] = await Promise.all([KafkaCluster.start({ brokers: 3 }), PostgresServer.start()])
    servers = { kafka, postgres }
  }, 240_000)
  afterAll(async () => {
    await Promise.all([servers?.kafka.close(), servers?.postgres.close()])
  })

  test('three replicas of the activity job count each event once, whatever goes away', async () => {
    const { kafka, postgres } = servers
    const job = await Job.create(servers, { ALLOWED_LATENESS_SEC: '3' })
    // With lasting names a replica that is back in time gets its old work; without, every end is a rebalance.
    const named = (index: number) => (seed % 2 === 0 ? { WEIR_INSTANCE_ID: `replica-${index}` } : {})
    const replicas = await Promise.all([0, 1, 2].map((index) => job.started(named(index))))
    onTestFailed(() => replicas.forEach(({ log }, index) => console.log(`replica ${index}`, lines(log))))
    const traffic = replicas.map(({ url }, index) => new Traffic(url, { seed: seed + index, callers: 1 }))

    const chaos = new Chaos(seed, seconds * 1_000)
    await Promise.all([
      chaos.deal(1, replicaFaults(replicas)),
      chaos.deal(2, [brokerFault(kafka, 3), databaseFault('PostgreSQL', postgres)]),
    ])

    // At last two die at once, and the one that is left has all of the work.
    const [left, ...others] = replicas
    await sleep(1_000)
    chaos.tell('kill -9 replicas 1 and 2')
    await Promise.all(others.map((replica) => replica.kill()))
    const accounts = await Promise.all(traffic.map((each) => each.stop()))
    const { messages, deadLetters, expected } = await settle(job, accounts)
    console.log(chaos.report(await commitTimes(job)))
    console.log(`${messages.length} events, ${deadLetters.length} of them late, ${expected.length} windows`)
    expect(expected.length).toBeGreaterThan(seconds / 3)
    expect(messages.length - deadLetters.length).toBeGreaterThan(messages.length / 2)
    expect(await left?.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })
})

function lines(log: readonly LogLine[]): string {
  return log.map((line) => JSON.stringify(line)).join('\n')
}

/** When rows were committed, ms, the oldest first. */
async function commitTimes(job: Job): Promise<number[]> {
  const found = await job.query<{ at: string }>(
    `SELECT DISTINCT extract(epoch from created_at AT TIME ZONE current_setting('timezone')) * 1000 AS at
     FROM user_activity_metrics ORDER BY at`,
  )
  return found.map(({ at }) => Number(at))
}
