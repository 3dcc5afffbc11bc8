import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Job, until } from '../support/job.js'
import { describeJob } from '../support/job-servers.js'
import { Account, madeEvent, random, Traffic } from '../support/job-traffic.js'
import { settle, writeTopic } from '../support/job-truth.js'

describeJob('the activity job and its database', (servers) => {
  test('a database that goes away under load and comes back', async () => {
    const { postgres } = servers
    const job = await Job.create(servers)
    const worker = await job.started()
    const traffic = new Traffic(worker.url, { seed: 51 })
    const windows = async (more: number) => {
      const before = (await job.rows()).length
      await until(async () => (await job.rows()).length >= before + more, `${more} more windows are told`)
    }
    await windows(2)
    await postgres.restart('fast')
    await windows(2)
    await postgres.kill()
    await until(async () => (await worker.get('/ready')).status === 503, 'it notices that the database is away')
    expect((await worker.get('/health')).status).toBe(200)
    await postgres.start()
    await worker.ready()
    await windows(2)
    await postgres.restart('immediate')
    await worker.ready()
    await windows(2)
    const account = await traffic.stop()
    const { expected } = await settle(job, account)
    expect(account.count('unknown') + account.count('refused')).toBe(0)
    expect(expected.length).toBeGreaterThanOrEqual(8)
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })

  test('a database that is down at the start', async () => {
    const job = await Job.create(servers)
    await servers.postgres.stop()
    const worker = await job.worker()
    worker.start()
    const tries = () => worker.log.filter(({ code }) => code === 'WEIR_CHECKPOINT_UNREACHABLE').length
    await until(() => tries() >= 4, 'it has tried four times')
    expect((await worker.get('/ready')).status).toBe(503)
    // Events are taken all the same: they need only Kafka.
    const account = new Account(worker.url)
    const next = random(61)
    expect(await account.post(Array.from({ length: 50 }, () => madeEvent(next, Date.now())))).toBe(202)
    await servers.postgres.start()
    await worker.ready()
    const { expected } = await settle(job, account)
    expect(expected.length).toBeGreaterThan(0)
    expect(await worker.stop()).toBe(0)
  })

  test('a slow database is waited for: no more is read meanwhile, nothing is lost', async () => {
    const job = await Job.create(servers)
    const worker = await job.started()
    const unlock = await job.lockTable()
    const next = random(71)
    const start = Date.now()
    const backlog = 150_000
    await writeTopic(
      servers.kafka.bootstrap,
      job.topic,
      (function* () {
        for (let index = 0; index < backlog; index++) {
          const event = madeEvent(next, start + index)
          yield { key: event.user_id, value: JSON.stringify({ ...event, padding: 'x'.repeat(200) }) }
        }
      })(),
    )
    // The part of the flow that writes waits; the one before the internal topic goes on, as its state is bounded.
    const read = () => worker.metric('weir_records_in_total', { flow: 'activity-metrics', stage: 'per-window.receive' })
    // Who reads on comes to the end within that time, however slow the machine is; then nothing is left.
    await until(async () => {
      const before = await read()
      await sleep(6_000)
      return (await read()) === before
    }, 'it reads no more')
    expect(
      await worker.metric('weir_lag_records', { topic: `${job.name}.activity-metrics.per-window.repartition` }),
    ).toBeGreaterThan(0)
    expect((await worker.get('/health')).status).toBe(200)
    await unlock()
    const { messages, deadLetters, expected } = await settle(job)
    expect(messages).toHaveLength(backlog)
    expect(deadLetters).toEqual([])
    expect(expected.length).toBeGreaterThan(140)
    // Neither a failure nor a rebalance in all that time: the group saw a living member.
    const isNews = (msg = '') => !msg.startsWith('Kafka: reading')
    const told = worker.log.flatMap(({ flow, msg }) => (flow === 'activity-metrics' && isNews(msg) ? [msg] : []))
    expect(new Set(told)).toEqual(new Set(['starting', 'assigning', 'running']))
    expect(worker.memory().most).toBeLessThan(500)
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })
})
