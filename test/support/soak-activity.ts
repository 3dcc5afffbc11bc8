import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from '@confluentinc/kafka-javascript'
import pg from 'pg'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { databaseFault, type Fault, replicaFaults } from './chaos.js'
import { Job, type Row, type Servers, type Worker } from './job.js'
import { Account, madeEvent, type PostedEvent, random, Traffic } from './job-traffic.js'
import {
  eventOf,
  expectedFrom,
  header,
  letterPlace,
  placeOf,
  type RawRecord,
  readTopic,
  writeTopic,
} from './job-truth.js'
import type { Balance, Soaked } from './soak.js'

const replicas = 3
const far = '2999-01-01T00:00:00.000Z'
const nested = '['.repeat(5_000) + ']'.repeat(5_000)
/** Between what the client takes by itself and what the route does. */
const large = 'x'.repeat(1_000_100)

/** The activity job in three replicas, with callers, bad callers, and somebody who writes to its topic past it. */
export class SoakedActivity implements Soaked {
  readonly name = 'activity'
  readonly hands: readonly (readonly Fault[])[]
  private isOver = false
  private readonly traffic: readonly Traffic[]
  private readonly accounts: Account[]
  private readonly mischief: Promise<unknown>

  private constructor(
    private readonly job: Job,
    readonly workers: readonly Worker[],
    private readonly connection: KafkaConnection,
    seed: number,
  ) {
    const { postgres } = job.servers
    this.traffic = workers.map(({ url }, index) => new Traffic(url, { seed: seed + index, callers: 1 }))
    this.accounts = workers.map(({ url }) => new Account(url))
    const next = random(seed)
    this.mischief = Promise.all([this.callBadly(next), this.writePast(next)])
    this.hands = [
      replicaFaults(workers),
      [databaseFault('PostgreSQL', postgres), this.slowTable(), this.morePartitions()],
    ]
  }

  static async start(servers: Servers, connection: KafkaConnection, seed: number): Promise<SoakedActivity> {
    const job = await Job.create(servers, { ALLOWED_LATENESS_SEC: '3' })
    const named = (index: number) => (seed % 2 === 0 ? { WEIR_INSTANCE_ID: `replica-${index}` } : {})
    const indices = Array.from({ length: replicas }, (_, index) => index)
    const workers = await Promise.all(indices.map((index) => job.started(named(index))))
    return new SoakedActivity(job, workers, connection, seed)
  }

  async settle(): Promise<Balance> {
    this.isOver = true
    const accounts = await Promise.all(this.traffic.map((each) => each.stop()))
    await this.mischief
    const all = [...accounts, ...this.accounts]
    let balance = await this.balance(all)
    for (const until = Date.now() + 180_000; Date.now() < until && !isEven(balance); await sleep(2_000))
      balance = await this.balance(all)
    const codes = await Promise.all(this.workers.map((worker) => worker.stop()))
    const odd = codes.flatMap((code, index) => (code === 0 ? [] : [`replica ${index} stopped with ${code}`]))
    return { ...balance, odd: [...balance.odd, ...odd] }
  }

  private async balance(accounts: readonly Account[]): Promise<Balance> {
    const messages = await readTopic(this.job.servers.kafka.bootstrap, this.job.topic)
    const ids = messages.flatMap((message) => eventOf(message)?.metadata?.event ?? [])
    const contradictions = accounts.flatMap((account) => account.contradictions(ids))
    const letters = await readTopic(this.job.servers.kafka.bootstrap, this.job.deadLetterTopic)
    const codes = new Map(letters.map((letter) => [letterPlace(letter), header(letter, 'weir.error.code')]))
    const isLettered = (message: Message) => codes.has(placeOf(message))
    const expected = expectedFrom(this.job, messages, isLettered)
    const rows = await this.job.rows()
    const places = new Set(messages.map(placeOf))
    const strangers = [...codes].filter(([place]) => !places.has(place)).map(([place, code]) => `${code} of ${place}`)
    const unread = messages.filter((message) => eventOf(message) === undefined && !isLettered(message))
    const late = [...codes.values()].filter((code) => code === 'WEIR_RECORD_LATE').length
    return {
      summary: `${messages.length} records, ${expected.length} windows, ${codes.size} dead letters (${tally(codes.values())})`,
      lost: [...unread.map((message) => `${placeOf(message)}, which is no event`), ...lessThan(rows, expected)],
      doubled: moreThan(rows, expected),
      odd: [...contradictions, ...strangers.map((what) => `a dead letter of a record that is not there: ${what}`)],
      late,
    }
  }

  /** Posts what nobody can take, with what anybody can. */
  private async callBadly(next: () => number): Promise<void> {
    while (!this.isOver) {
      const account = this.accounts[Math.floor(next() * replicas)] as Account
      const event = madeEvent(next, Date.now())
      const bad = [
        { ...event, metadata: { ...event.metadata, page_url: large } },
        { ...event, extra: 'NESTED' },
        { ...event, timestamp: far },
        { ...event, user_id: 'x'.repeat(300_000) },
        { ...event, user_id: '\ud800' },
      ]
      const posted = bad[Math.floor(next() * bad.length)] as PostedEvent
      await account.post([posted], (text) => text.replace('"NESTED"', nested))
      await this.pause(200 + next() * 1_500)
    }
  }

  /** Writes to the topic what the route would never write. */
  private async writePast(next: () => number): Promise<void> {
    const { kafka } = this.job.servers
    while (!this.isOver) {
      const event = JSON.stringify(madeEvent(next, Date.now()))
      const records: RawRecord[] = [
        { key: Buffer.from([0xff, 0xfe, Math.floor(next() * 256)]), value: event },
        { key: null, value: event.replace(/"event":"e\d+"/, `"event":"keyless-${Math.floor(next() * 1e9)}"`) },
        { key: 'k', value: 'no JSON' },
        { key: 'k', value: null },
        { key: 'k', value: '[]' },
        { key: 'k', value: `{"user_id":"u","extra":${nested}` },
        { key: 'k', value: event.replace(/"timestamp":"[^"]+"/, `"timestamp":"${far}"`).replace('"e', '"far-e') },
        { key: 'k', value: `no JSON${'x'.repeat(999_000)}` },
        { key: 'k', value: event.slice(0, 40), headers: [{ 'x-odd': Buffer.from([0xff]) }] },
      ]
      const some = records.filter(() => next() < 0.4)
      // Who writes past the job is away as well when a broker is.
      await writeTopic(kafka.bootstrap, this.job.topic, some).catch(() => undefined)
      await this.pause(300 + next() * 2_000)
    }
  }

  /** Nobody can write rows for a while. */
  private slowTable(): Fault {
    return async (next, tell) => {
      tell('the table is locked')
      const client = new pg.Client({ connectionString: this.job.settings.DATABASE_URL })
      // The server may be ended meanwhile.
      client.on('error', () => undefined)
      try {
        await client.connect()
        await client.query('BEGIN; LOCK TABLE user_activity_metrics IN ACCESS EXCLUSIVE MODE')
        await sleep(next() * 8_000)
        await client.query('COMMIT')
      } catch {
        tell('the table could not be locked')
      } finally {
        await client.end().catch(() => undefined)
      }
      tell('the table is free')
    }
  }

  /** Adds a partition, twice at the most. */
  private morePartitions(): Fault {
    let partitions = 3
    return async (_, tell) => {
      if (partitions === 5) return
      partitions++
      tell(`${partitions} partitions of the activity topic`)
      const { topic } = this.job
      const request = { topic, partitions, create: false, doing: 'adding partitions', place: {} } as const
      const added = this.connection.topics.ensureAtLeast({ ...request, unreachable: 'WEIR_SINK_UNREACHABLE' })
      await added.catch(() => tell('no partition could be added'))
    }
  }

  private async pause(ms: number): Promise<void> {
    for (const until = Date.now() + ms; Date.now() < until && !this.isOver; ) await sleep(50)
  }
}

const isEven = ({ lost, doubled, odd }: Balance) => lost.length + doubled.length + odd.length === 0

/** What rows count less than they should. */
function lessThan(rows: readonly Row[], expected: readonly Row[]): string[] {
  const found = new Map(rows.map((row) => [row.start, row]))
  return expected.flatMap(({ start, users, views }) => {
    const row = found.get(start)
    const window = new Date(start).toISOString()
    if (row === undefined) return [`window ${window} of ${users} users and ${views} views`]
    if (row.users >= users && row.views >= views) return []
    return [`window ${window} has ${row.users} of ${users} users, ${row.views} of ${views} views`]
  })
}

function moreThan(rows: readonly Row[], expected: readonly Row[]): string[] {
  const due = new Map(expected.map((row) => [row.start, row]))
  const seen = new Set<number>()
  return rows.flatMap(({ start, users, views }) => {
    const row = due.get(start)
    const window = new Date(start).toISOString()
    const isAgain = seen.has(start)
    seen.add(start)
    if (isAgain) return [`window ${window} is there again`]
    if (row === undefined) return [`window ${window} of ${users} users and ${views} views should not be there`]
    if (users <= row.users && views <= row.views) return []
    return [`window ${window} has ${users} users where ${row.users} are due, ${views} views where ${row.views} are`]
  })
}

function tally(codes: Iterable<string | undefined>): string {
  const counts = new Map<string, number>()
  for (const code of codes) counts.set(code ?? '', (counts.get(code ?? '') ?? 0) + 1)
  return [...counts].map(([code, count]) => `${count} ${code}`).join(', ')
}
