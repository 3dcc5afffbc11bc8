import { lastValueFrom, tap } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaCheckpoints } from '../../src/kafka/checkpoints.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import type { TopicPartition } from '../../src/model/index.js'
import { checkpointsContract, commitOf, done, one } from '../contracts/checkpoints.contract.js'
import { storedStateContract } from '../contracts/stored-state.contract.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, makeTopic, recordOf } from './kafka-support.js'

const missing = requireKafka()

describe.skipIf(missing !== undefined)(`real Kafka${missing === undefined ? '' : ` (${missing})`}`, () => {
  const start = async (proxied: boolean) => {
    const cluster = await KafkaCluster.start({ proxied })
    const connections: KafkaConnection[] = []
    return {
      cut: () => Promise.resolve(cluster.cut()),
      connect: () => {
        const connection = connect(cluster.bootstrap)
        connections.push(connection)
        return Promise.resolve(new KafkaCheckpoints(connection))
      },
      close: async () => {
        await Promise.all(connections.map((connection) => connection.close()))
        await cluster.close()
      },
    }
  }
  checkpointsContract('Kafka', () => start(false))
  storedStateContract('Kafka', () => start(true))

  describe('between members', () => {
    const two: TopicPartition = { ...one, partition: 1 }
    const connections: KafkaConnection[] = []
    let cluster: KafkaCluster

    beforeAll(async () => {
      cluster = await KafkaCluster.start({ brokers: 1 })
    })
    afterAll(async () => {
      await Promise.all(connections.map((connection) => connection.close()))
      await cluster.close()
    })

    const member = () => {
      const connection = connect(cluster.bootstrap)
      connections.push(connection)
      return new KafkaCheckpoints(connection)
    }
    const acquire = (store: KafkaCheckpoints, task: string, ...partitions: TopicPartition[]) =>
      lastValueFrom(store.acquire(task, partitions))
    const outgoing = (topic: string, value: string) => ({
      topic,
      partition: 0,
      key: null,
      value: Buffer.from(value),
      timestamp: Date.now(),
      headers: [],
    })
    const write = async (transaction: ReturnType<KafkaCheckpoints['begin']>, topic: string, value: string) => {
      await done(transaction.join$)
      transaction.write(outgoing(topic, value), recordOf(value), (error) => {
        throw error as unknown as Error
      })
      await done(transaction.flush$)
    }
    const committedIn = async (topic: string) => {
      const reader = new LogReader({ 'metadata.broker.list': cluster.bootstrap })
      await reader.connect()
      const values: string[] = []
      reader.assign([{ topic, partition: 0, offset: 0 }])
      await reader.read(
        ({ value }) => values.push(String(value)),
        () => reader.hasEnded({ topic, partition: 0 }),
      )
      await reader.close()
      return values
    }
    const newTopic = async () => {
      const topic = fresh('out')
      member()
      return makeTopic(connections[0] as KafkaConnection, topic)
    }

    test('what a zombie has written, and what it writes, is never seen', async () => {
      const [task, topic] = [fresh('zombie'), await newTopic()]
      const [zombie, heir] = [member(), member()]
      const [taken] = await acquire(zombie, task, one)
      const transaction = zombie.begin(task)
      await write(transaction, topic, 'before')
      const [inherited] = await acquire(heir, task, one)
      const next = { position: 7, sequence: 1, chunks: ['chunk'] }
      await expect(done(transaction.commit({ task, partitions: [commitOf(taken!, next)] }))).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_FENCED',
        remedy: 'restart',
      })
      await expect(write(zombie.begin(task), topic, 'after')).rejects.toMatchObject({ remedy: 'restart' })
      const own = heir.begin(task)
      await write(own, topic, 'heir')
      await done(own.commit({ task, partitions: [commitOf(inherited!, { ...next, position: 3 })] }))
      expect(await committedIn(topic)).toEqual(['heir'])
      expect((await acquire(member(), task, one))[0]).toMatchObject({ generation: 3, progress: { position: 3 } })
    })

    test('who gives a partition up goes on with the others', async () => {
      const task = fresh('release')
      const [giver, taker] = [member(), member()]
      const [kept] = await acquire(giver, task, one, two)
      await done(giver.release(task, [two]))
      const [taken] = await acquire(taker, task, two)
      await done(giver.begin().commit({ task, partitions: [commitOf(kept!, { position: 4, sequence: 1 })] }))
      await done(taker.begin().commit({ task, partitions: [commitOf(taken!, { position: 5, sequence: 1 })] }))
      const late = { task, partitions: [commitOf({ ...taken!, generation: 1 }, { position: 9, sequence: 2 })] }
      await expect(done(giver.begin().commit(late))).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_FENCED' })
      const positions = (await acquire(member(), task, one, two)).map(({ progress }) => progress?.position)
      expect(positions).toEqual([4, 5])
    })

    test('members that acquire at once get generations of their own, and the last one has it', async () => {
      const task = fresh('race')
      const members = [member(), member(), member()]
      const taken = await Promise.all(members.map((store) => acquire(store, task, one)))
      expect(taken.map(([{ generation } = { generation: 0 }]) => generation).sort()).toEqual([1, 2, 3])
      const committed = await Promise.allSettled(
        members.map((store, index) =>
          done(store.begin().commit({ task, partitions: [commitOf(taken[index]![0]!, { position: 1, sequence: 1 })] })),
        ),
      )
      const winners = committed.flatMap(({ status }, index) =>
        status === 'fulfilled' ? [taken[index]![0]!.generation] : [],
      )
      expect(winners).toEqual([3])
    })

    test('what is obsolete is deleted from the log, and the rest is still there', async () => {
      const [task, store] = [fresh('truncate'), member()]
      const [taken] = await acquire(store, task, one)
      const log = [{ topic: `${task}.events.checkpoints`, partition: 0 }]
      const startOf = async () => (await connections[0]!.topics.offsets(log, 'earliest'))[0]!.offset
      // How many commits that takes depends on how fast they are: it is once a second.
      const until = performance.now() + 60_000
      for (let sequence = 1; performance.now() < until && (await startOf()) === 0; sequence++) {
        const truncateBefore = Math.max(1, sequence - 3)
        const next = { position: sequence, sequence, chunks: [`chunk ${sequence}`], truncateBefore }
        await done(store.begin().commit({ task, partitions: [commitOf(taken!, next)] }))
      }
      expect(await startOf()).toBeGreaterThan(0)
      const [again] = await acquire(member(), task, one)
      const loaded: number[] = []
      await done(
        member()
          .load(task, one)
          .pipe(tap(({ sequence }) => loaded.push(sequence))),
      )
      const last = again!.sequence
      expect(loaded).toEqual([last - 3, last - 2, last - 1, last])
      expect(again!.progress?.position).toBe(last)
    })
  })
})
