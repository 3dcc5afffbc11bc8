import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFailed, onTestFinished, test } from 'vitest'
import type { SeismicEvent } from '../../src/flows/seismic.js'
import {
  brokerFault,
  Chaos,
  databaseFault,
  processFault,
  replicaFaults,
  tellSeed,
  watchGrowth,
} from '../support/chaos.js'
import { Job, until, Worker } from '../support/job.js'
import { because, jobServers, missing as missingForJob } from '../support/job-servers.js'
import { Traffic } from '../support/job-traffic.js'
import { readTopic, settle } from '../support/job-truth.js'
import { expectedTables, progressOf, shocks, storedTables } from '../support/seismic.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'
import { freePort } from './server-support.js'

const missing = missingForJob ?? missingMariadb()

/** `npm run chaos` sets these: how long faults are dealt to each system, and which. */
const seconds = Number(process.env['CHAOS_SECONDS'] ?? 45)
const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 1e9))

const timeout = seconds * 1_000 + 300_000

describe.skipIf(missing !== undefined)(`chaos with seed ${seed}${because(missing)}`, { timeout }, () => {
  const servers = jobServers({ brokers: 3 })
  let mariadb: MariadbServer

  beforeAll(async () => {
    tellSeed('chaos', seconds, seed)
    mariadb = await MariadbServer.start()
  })
  afterAll(() => mariadb?.close())

  test('three replicas of the activity job count each event once, whatever goes away', async () => {
    const { kafka, postgres } = servers
    const job = await Job.create(servers, { ALLOWED_LATENESS_SEC: '3' })
    // With lasting names a replica that is back in time gets its old work; without, every end is a rebalance.
    const named = (index: number) => (seed % 2 === 0 ? { WEIR_INSTANCE_ID: `replica-${index}` } : {})
    const replicas = await Promise.all([0, 1, 2].map((index) => job.started(named(index))))
    tellOnFailure(replicas)
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
    const { messages, deadLetters, expected } = await settle(job, accounts, 120_000)
    console.log(`the activity job: ${messages.length} events, ${deadLetters.length} late, ${expected.length} windows`)
    console.log(chaos.report(await commitTimes(job)))
    expect(expected.length).toBeGreaterThan(seconds / 3)
    expect(messages.length - deadLetters.length).toBeGreaterThan(messages.length / 2)
    expect(await left?.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })

  test('three replicas of the seismic system keep the exact list of each sensor, whatever goes away', async () => {
    const { kafka } = servers
    const [rate, keep] = [100, 50]
    const started = async (...flows: string[]) => {
      const environment = {
        KAFKA_BROKERS: kafka.bootstrap,
        MYSQL_URL: mariadb.url,
        SEISMIC_RATE: String(rate),
        SEISMIC_KEEP: String(keep),
        SERVER_PORT: String(await freePort()),
      }
      const worker = new Worker(environment, flows)
      onTestFinished(() => worker.kill())
      worker.start()
      await worker.ready()
      return worker
    }
    const producer = await started('seismic-producer')
    const replicas = await Promise.all([0, 1, 2].map(() => started('seismic-aggregate', 'seismic-persist')))
    tellOnFailure([producer, ...replicas])

    const chaos = new Chaos(seed, seconds * 1_000)
    const growth = watchGrowth(async () => (await progressOf(mariadb)).gathered)
    await Promise.all([
      chaos.deal(3, replicaFaults(replicas)),
      chaos.deal(4, [brokerFault(kafka, 3), databaseFault('MariaDB', mariadb), processFault('the producer', producer)]),
    ])

    // At last two fall asleep, and the one that is left has all of the work.
    const [, ...sleepers] = replicas
    await sleep(1_000)
    chaos.tell('freeze replicas 1 and 2')
    for (const sleeper of sleepers) sleeper.signal('SIGSTOP')
    expect(await producer.stop()).toBe(0)
    const messages = await readTopic(kafka.bootstrap, 'seismic-events')
    const produced = messages.map(({ value }) => (JSON.parse(String(value)) as SeismicEvent).eventid)
    const expected = shocks(messages.length, rate)
    expect(produced.sort()).toEqual(expected.map(({ eventid }) => eventid).sort())
    expect(messages.length).toBeGreaterThan(seconds * 10)
    const isReached = async () => {
      const { stored, gathered } = await progressOf(mariadb)
      return stored >= expected.length && gathered >= expected.length
    }
    await until(isReached, 'MySQL holds every shock and list', 120_000).catch(() => undefined)
    console.log(`the seismic system: ${messages.length} events`)
    console.log(chaos.report(await growth()))
    const tables = expectedTables(expected, keep)
    expect(await storedTables(mariadb)).toEqual(tables)

    // What the sleepers had begun is somebody else's: no older list may come after the newest.
    for (const sleeper of sleepers) sleeper.signal('SIGCONT')
    await Promise.all(sleepers.map((sleeper) => sleeper.ready()))
    await sleep(2_000)
    expect(await Promise.all(replicas.map((replica) => replica.stop()))).toEqual([0, 0, 0])
    expect(await storedTables(mariadb)).toEqual(tables)
  })
})

function tellOnFailure(replicas: readonly Worker[]): void {
  const lines = ({ log }: Worker) => log.map((line) => JSON.stringify(line)).join('\n')
  onTestFailed(() => replicas.forEach((replica, index) => console.log(`process ${index}\n${lines(replica)}`)))
}

/** When rows were committed, ms, the oldest first. */
async function commitTimes(job: Job): Promise<number[]> {
  const found = await job.query<{ at: string }>(
    `SELECT DISTINCT extract(epoch from created_at AT TIME ZONE current_setting('timezone')) * 1000 AS at
     FROM user_activity_metrics ORDER BY at`,
  )
  return found.map(({ at }) => Number(at))
}
