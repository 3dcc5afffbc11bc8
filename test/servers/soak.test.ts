import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { brokerFault, Chaos, type Fault, tellSeed } from '../support/chaos.js'
import { jobServers, missing as missingForJob } from '../support/job-servers.js'
import { type Balance, reportOf, type Soaked } from '../support/soak.js'
import { SoakedActivity } from '../support/soak-activity.js'
import { SoakedSeismic } from '../support/soak-seismic.js'
import { SoakedWikimedia } from '../support/soak-wikimedia.js'
import { connect } from './kafka-support.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'

/** `npm run soak` sets these. Without it nothing runs: it takes many minutes. */
const seconds = Number(process.env['SOAK_SECONDS'] ?? 0)
const seed = Number(process.env['SOAK_SEED'] ?? Math.floor(Math.random() * 1e9))

const missing = seconds === 0 ? 'run it by npm run soak' : (missingForJob ?? missingMariadb())

describe.skipIf(missing !== undefined)(`soak with seed ${seed} (${missing ?? `${seconds} s`})`, () => {
  const servers = jobServers({ brokers: 3 })
  let mariadb: MariadbServer

  beforeAll(async () => {
    tellSeed('soak', seconds, seed)
    mariadb = await MariadbServer.start()
  })
  afterAll(() => mariadb?.close())

  test('every record of every system is accounted for', { timeout: seconds * 1_000 + 900_000 }, async () => {
    const { kafka } = servers
    const connection = connect(kafka.bootstrap)
    const systems: readonly Soaked[] = [
      await SoakedActivity.start(servers, connection, seed),
      await SoakedSeismic.start(kafka, mariadb, seed),
      await SoakedWikimedia.start(kafka, seconds, seed),
    ]
    const chaos = new Chaos(seed, seconds * 1_000)
    onTestFailed(() => {
      console.log(chaos.report([]))
      keepLogs(systems)
    })
    const hands = [...systems.flatMap((system) => system.hands), [brokerFault(kafka, 3)]]
    await Promise.all(hands.map((faults, hand) => chaos.deal(hand, faults.map(survived))))
    const balances = new Map<string, Balance>()
    for (const system of systems) balances.set(system.name, await system.settle().catch(unsettled))
    await connection.close()
    const { text, isExact } = reportOf(balances)
    console.log(`soak, seed ${seed}, ${seconds} s\n${text}`)
    expect(isExact).toBe(true)
  })
})

/** What the processes logged is too much to print. */
function keepLogs(systems: readonly Soaked[]): void {
  const directory = mkdtempSync(join(tmpdir(), 'weir-soak-'))
  for (const { name, workers } of systems) {
    for (const [index, { log }] of workers.entries())
      writeFileSync(join(directory, `${name}-${index}.log`), log.map((line) => `${JSON.stringify(line)}\n`).join(''))
  }
  console.log(`what the processes logged is in ${directory}`)
}

/** What takes long to come back is told, and no reason to stop: the balance says whether anything was lost. */
function survived(fault: Fault): Fault {
  return (next, tell) => fault(next, tell).catch((error: unknown) => tell(`not repaired: ${firstLine(error)}`))
}

function unsettled(error: unknown): Balance {
  return { summary: 'it could not be settled', lost: [], doubled: [], odd: [firstLine(error)], late: 0 }
}

function firstLine(error: unknown): string {
  return String(error).split('\n')[0] ?? ''
}
