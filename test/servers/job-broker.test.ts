import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Job, until } from '../support/job.js'
import { describeJob } from '../support/job-servers.js'
import { Account, madeEvent, random, Traffic } from '../support/job-traffic.js'
import { settle } from '../support/job-truth.js'
import { connect, fresh } from './kafka-support.js'

describeJob('the activity job and its broker', (servers) => {
  test('topics that are asked for at the same time are made', async () => {
    const connection = connect(servers.kafka.bootstrap)
    const ensure = (topic: string) =>
      connection.topics.ensure({
        topic,
        partitions: 2,
        create: true,
        doing: 'testing',
        unreachable: 'WEIR_SINK_UNREACHABLE',
        place: {},
      })
    for (let times = 0; times < 3; times++) {
      const [one, other] = [fresh('one'), fresh('other')]
      expect(await Promise.all([one, one, other, other].map(ensure))).toEqual([2, 2, 2, 2])
    }
    await connection.close()
  })

  test('a broker that is killed under load and comes back', async () => {
    const { kafka } = servers
    const job = await Job.create(servers)
    const worker = await job.started()
    const traffic = new Traffic(worker.url, { seed: 81 })
    const taken = () => traffic.account.count('acknowledged')
    await until(() => taken() > 200, 'events are taken')
    await kafka.kill(0)
    for (let second = 0; second < 4; second++) {
      await sleep(1_000)
      expect((await worker.get('/health')).status).toBe(200)
    }
    const told = async (flow: string) => {
      const { flows } = JSON.parse((await worker.get('/health')).text) as { flows: Record<string, unknown>[] }
      return flows.find((one) => one['flow'] === flow) ?? {}
    }
    const text = (fault: unknown) => (fault as { text?: string } | undefined)?.text
    await until(async () => {
      const [writes, reads] = [await told('activity-ingest'), await told('activity-metrics')]
      const isToldOfWriting =
        writes['failingSince'] !== undefined && /does not answer/.test(text(writes['error']) ?? '')
      return isToldOfWriting && /, since 2.*does not answer/.test(text(reads['trouble']) ?? '')
    }, 'each flow says since when it fails, and why')
    await kafka.restart(0)
    const acknowledged = taken()
    await until(() => taken() > acknowledged + 300, 'events are taken again')
    await kafka.kill(0)
    await kafka.restart(0)
    await until(async () => {
      const [writes, reads] = [await told('activity-ingest'), await told('activity-metrics')]
      return writes['state'] === 'running' && reads['trouble'] === undefined
    }, 'both flows are well again')
    await worker.ready()
    const account = await traffic.stop()
    const { expected } = await settle(job, account)
    expect(account.count('acknowledged')).toBeGreaterThan(500)
    expect(expected.length).toBeGreaterThan(6)
    expect((await worker.get('/health')).status).toBe(200)
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })

  test('a broker that is away at the start: requests get 500 after three tries, and all is well when it comes', async () => {
    const { kafka } = servers
    const job = await Job.create(servers)
    await kafka.stop(0)
    const worker = await job.worker()
    worker.start()
    await until(async () => (await worker.get('/health')).status === 200, 'it listens')
    const next = random(91)
    const account = new Account(worker.url)
    const began = Date.now()
    expect(await account.post([madeEvent(next, Date.now())])).toBe(500)
    expect(Date.now() - began).toBeLessThan(100_000)
    expect((await worker.get('/ready')).status).toBe(503)
    expect((await worker.get('/health')).status).toBe(200)
    await kafka.restart(0)
    await worker.ready()
    expect(await account.post([madeEvent(next, Date.now())])).toBe(202)
    const { messages, expected } = await settle(job, account)
    expect(messages).toHaveLength(1)
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })
})
