import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ExactlyOnce } from './exactly-once-support.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'

const missing = requireKafka()

describe.skipIf(missing !== undefined)(
  `exactly once to real Kafka${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let cluster: KafkaCluster
    beforeAll(async () => {
      cluster = await KafkaCluster.start()
    })
    afterAll(() => cluster.close())

    test('each result once, whatever moment of the commit the process dies at', async () => {
      const once = await ExactlyOnce.create(cluster.bootstrap, 'number')
      for (const moment of ['before', '3', '15', 'after']) {
        const worker = once.start(moment)
        const stop = once.flood()
        await worker.exited
        await stop()
      }
      once.start()
      expect(await once.results()).toEqual(once.expected)
    })

    test('each result once, while members come, die, sleep and wake', async () => {
      const once = await ExactlyOnce.create(cluster.bootstrap, 'number')
      const stop = once.flood()
      const sleeper = once.start()
      await sleeper.working(3)
      const victim = once.start()
      await victim.working(3)
      await sleep(Math.random() * 300)
      await victim.kill()
      await sleeper.working(3)
      await sleep(Math.random() * 300)
      sleeper.signal('SIGSTOP')
      const heir = once.start()
      await heir.working(3)
      sleeper.signal('SIGCONT')
      await heir.working(5)
      await stop()
      expect(await once.results()).toEqual(once.expected)
    })

    test('each result once, while its producer is fenced and its broker dies', async () => {
      const once = await ExactlyOnce.create(cluster.bootstrap, 'pass')
      const worker = once.start()
      for (let sent = 0; sent < 3; sent++) {
        await once.send(200)
        await worker.working()
      }
      expect(await once.fence()).toBe(1)
      const stop = once.flood()
      await worker.working(3)
      await stop()
      await once.send(2_000)
      await sleep(Math.random() * 100)
      await cluster.kill(0)
      await cluster.restart(0)
      await once.send(2_000)
      expect(await once.results()).toEqual(once.expected)
      expect(worker.child.exitCode).toBe(null)
    })

    test.each([
      ['each result once, though many come late and processes die meanwhile', 'retried'],
      ['each window once, counted under another key by a task of its own', 'windows'],
    ] as const)('%s', async (_, job) => {
      const once = await ExactlyOnce.create(cluster.bootstrap, job)
      const stop = once.flood()
      await once.start('5').exited
      const victim = once.start()
      await victim.working(8)
      await sleep(Math.random() * 300)
      await victim.kill()
      await once.start().working(8)
      await stop()
      expect(await once.results()).toEqual(once.expected)
    })
  },
)
