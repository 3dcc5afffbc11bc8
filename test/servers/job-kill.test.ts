import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Job, until } from '../support/job.js'
import { describeJob } from '../support/job-servers.js'
import { random, Traffic } from '../support/job-traffic.js'
import { settle } from '../support/job-truth.js'

describeJob('the activity job, ended', (servers) => {
  test('killed again and again under load, it counts each event once', async () => {
    // With a lasting name its partitions wait for no session to end, so that every life gets to work.
    const job = await Job.create(servers, { WEIR_INSTANCE_ID: 'the-one' })
    const worker = await job.started()
    const traffic = new Traffic(worker.url, { seed: 11 })
    const next = random(12)
    for (let kills = 0; kills < 7; kills++) {
      await sleep(next() * 2_500)
      await worker.kill()
      worker.start()
      // Now and then it is killed before it has come up.
      if (next() < 0.7) await worker.ready()
    }
    await worker.ready()
    await sleep(2_000)
    const account = await traffic.stop()
    const { expected } = await settle(job, account)
    expect(account.count('acknowledged')).toBeGreaterThan(1_000)
    expect(expected.length).toBeGreaterThan(8)
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })

  test('killed without a lasting name, it goes on when its old session has ended', async () => {
    const job = await Job.create(servers)
    const worker = await job.started()
    const traffic = new Traffic(worker.url, { seed: 21, callers: 2 })
    await sleep(3_000)
    await worker.kill()
    worker.start()
    await worker.ready(30_000)
    const { expected } = await settle(job, await traffic.stop())
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })

  test('told to stop under load, it answers every request, commits and exits with 0', async () => {
    const job = await Job.create(servers)
    const worker = await job.started()
    const traffic = new Traffic(worker.url, { seed: 31, callers: 16, most: 200, pauseMs: 0 })
    for (let stops = 0; stops < 2; stops++) {
      await sleep(2_500)
      const stoppedAt = Date.now()
      expect(await worker.stop()).toBe(0)
      const inFlight = traffic.account.exchanges.filter(
        ({ began, ended }) => began < stoppedAt - 30 && ended >= stoppedAt,
      )
      expect(inFlight.length).toBeGreaterThan(0)
      expect(inFlight.filter(({ status }) => ![202, 500, 503].includes(status))).toEqual([])
      worker.start()
      await worker.ready()
    }
    await sleep(1_000)
    const { expected } = await settle(job, await traffic.stop())
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })

  test('told to stop twice, it ends at once, and what was under way is done by the next', async () => {
    const job = await Job.create(servers, { WEIR_INSTANCE_ID: 'the-one' })
    const worker = await job.started()
    const traffic = new Traffic(worker.url, { seed: 41 })
    await until(async () => (await job.rows()).length > 1, 'there are rows')
    const unlock = await job.lockTable()
    await sleep(3_000)
    worker.signal('SIGTERM')
    await sleep(1_500)
    expect(worker.isRunning).toBe(true)
    worker.signal('SIGTERM')
    expect(await worker.exit(2_000)).toBe('SIGTERM')
    await unlock()
    worker.start()
    await worker.ready()
    const { expected } = await settle(job, await traffic.stop())
    expect(await worker.stop()).toBe(0)
    expect(await job.rows()).toEqual(expected)
  })
})
