import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Job, until } from '../support/job.js'
import { describeJob } from '../support/job-servers.js'
import { random, Traffic } from '../support/job-traffic.js'
import { settle } from '../support/job-truth.js'

describeJob(
  'the activity job, ended',
  (servers) => {
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
      await until(() => traffic.account.count('acknowledged') > 1_000, 'events are acknowledged')
      await until(async () => (await job.rows()).length > 8, 'there are rows')
      const { expected } = await settle(job, await traffic.stop())
      expect(await worker.stop()).toBe(0)
      expect(await job.rows()).toEqual(expected)
    })

    test('killed without a lasting name, it goes on when its old session has ended', async () => {
      const job = await Job.create(servers)
      const worker = await job.started()
      const traffic = new Traffic(worker.url, { seed: 21, callers: 2 })
      await until(async () => (await job.rows()).length > 1, 'there are rows')
      await worker.kill()
      worker.start()
      await worker.ready()
      const { expected } = await settle(job, await traffic.stop())
      expect(await worker.stop()).toBe(0)
      expect(await job.rows()).toEqual(expected)
    })

    test('told to stop under load, it answers every request, commits and exits with 0', async () => {
      const job = await Job.create(servers)
      const worker = await job.started()
      const callers = 16
      const traffic = new Traffic(worker.url, { seed: 31, callers, most: 200, pauseMs: 0 })
      const { account } = traffic
      for (let stops = 0; stops < 2; stops++) {
        const enough = account.count('acknowledged') + 2_000
        await until(() => account.count('acknowledged') > enough, 'events are acknowledged')
        for (const way of servers.kafka.ways) way.hold()
        const isFull = async () =>
          account.open.requests === callers && (await worker.metric('weir_http_body_bytes')) === account.open.bytes
        await until(isFull, 'the worker has a request of each caller')
        const stoppedAt = Date.now()
        worker.signal('SIGTERM')
        await until(() => worker.log.filter(({ msg }) => msg?.startsWith('stopping: ')).length > stops, 'it drains')
        for (const way of servers.kafka.ways) way.release()
        expect(await worker.exit()).toBe(0)
        const inFlight = account.exchanges.filter(({ began, ended }) => began <= stoppedAt && ended >= stoppedAt)
        expect(inFlight).toHaveLength(callers)
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
      const waiting = 'SELECT FROM pg_locks WHERE NOT granted'
      await until(async () => (await job.query(waiting)).length > 0, 'the rows wait for the table')
      worker.signal('SIGTERM')
      await until(() => worker.log.some(({ msg }) => msg?.startsWith('stopping: ')), 'it drains')
      await sleep(1_500)
      expect(worker.isRunning).toBe(true)
      worker.signal('SIGTERM')
      expect(await worker.exit()).toBe('SIGTERM')
      await unlock()
      worker.start()
      await worker.ready()
      const { expected } = await settle(job, await traffic.stop())
      expect(await worker.stop()).toBe(0)
      expect(await job.rows()).toEqual(expected)
    })
  },
  { proxied: true },
)
