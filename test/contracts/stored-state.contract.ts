import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastValueFrom, tap, toArray } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AcquiredPartition, CheckpointStore, StoreCodec, TopicPartition } from '../../src/model/index.js'
import { TaskStores } from '../../src/state/index.js'
import { type CheckpointsUnderTest, commitOf, done, one } from './checkpoints.contract.js'

export interface StoredStateUnderTest extends CheckpointsUnderTest {
  /** Cuts every connection, or ends the server and starts it again. */
  cut(): Promise<void>
}

const two: TopicPartition = { topic: 'events', partition: 1 }
const texts: StoreCodec<string> = { version: 1, save: (value) => value, load: (saved) => saved as string }

/** What a checkpoint store on a real server promises of state over a long time, and of what breaks meanwhile. */
export function storedStateContract(name: string, start: () => Promise<StoredStateUnderTest>): void {
  describe(`stored state: ${name}`, () => {
    let kind: StoredStateUnderTest
    let store: CheckpointStore

    beforeAll(async () => {
      kind = await start()
      store = await kind.connect()
      await done(store.open())
    })
    afterAll(() => kind.close())

    const acquire = async (task: string, partitions: readonly TopicPartition[] = [one], by = store) => {
      for (;;) {
        try {
          return await lastValueFrom(by.acquire(task, partitions))
        } catch (error) {
          expect(error).toMatchObject({ code: 'WEIR_CHECKPOINT_UNREACHABLE', remedy: 'retry' })
          await sleep(20)
        }
      }
    }
    const assigned = async (task: string, codec = texts) => {
      const stores = new TaskStores()
      const values = stores.declare('values', codec)
      const [taken] = await acquire(task)
      stores.assign(taken as AcquiredPartition)
      return { stores, part: () => values.of(one.topic, one.partition) }
    }
    const restored = async (task: string, codec = texts) => {
      const state = await assigned(task, codec)
      await done(store.load(task, one).pipe(tap((chunk) => state.stores.restore(one, chunk))))
      state.stores.restored(one)
      return state
    }
    const commit = (task: string, stores: TaskStores, offset: number) =>
      done(store.begin().commit({ task, partitions: [stores.commit({ ...one, offset }, {})] }))

    test('a commit whose connection is lost at any moment holds as a whole or not at all', async () => {
      const task = `test.${randomUUID()}`
      const seen = { whole: 0, nothing: 0 }
      const heir = await kind.connect()
      await done(heir.open())
      const commitOfRound = (taken: readonly AcquiredPartition[], round: number) => {
        const chunk = `${round}:${'x'.repeat(200_000)}`
        const partitions = taken.map((each) => commitOf(each, { position: round, sequence: round, chunks: [chunk] }))
        return done(store.begin().commit({ task, partitions }))
      }
      const first = await acquire(task, [one, two])
      const began = performance.now()
      await commitOfRound(first, 1)
      const commitMs = performance.now() - began
      for (let round = 2; round <= 25; round++) {
        const taken = await acquire(task, [one, two])
        const before = taken[0]?.progress?.position ?? 0
        const outcome = commitOfRound(taken, round).then(
          () => 'committed',
          (error: unknown) => error,
        )
        // However fast the commits have become since the first: of some the answer is there.
        if (round % 8 === 0) await outcome
        else await sleep(((round % 8) * commitMs) / 6)
        await kind.cut()
        // As another process takes over, which does not know what became of the commit.
        const after = await acquire(task, [one, two], heir)
        const positions = after.map(({ progress }) => progress?.position ?? 0)
        const logs = await Promise.all([one, two].map((each) => lastValueFrom(heir.load(task, each).pipe(toArray()))))
        const isWhole = positions[0] === round
        expect(positions).toEqual(isWhole ? [round, round] : [before, before])
        for (const log of logs) expect(log.some(({ sequence }) => sequence === round)).toBe(isWhole)
        const told = await outcome
        if (told === 'committed') expect(isWhole).toBe(true)
        else expect(told).toMatchObject({ remedy: expect.stringMatching(/^re(try|start)$/) })
        seen[isWhole ? 'whole' : 'nothing']++
      }
      expect(seen.whole).toBeGreaterThan(0)
    })

    test('a million keys are back within seconds', async () => {
      const task = `test.${randomUUID()}`
      const { stores, part } = await assigned(task)
      const keys = 1_000_000
      for (let key = 0; key < keys; key++) {
        part().add(key % 10, `key-${key}`, `value-${key}`)
        if (key % 100_000 === 99_999) await commit(task, stores, key)
      }
      const began = performance.now()
      const again = await restored(task)
      expect(performance.now() - began).toBeLessThan(60_000)
      expect([...again.part().segments()].map((segment) => again.part().segment(segment)?.size)).toEqual(
        Array.from({ length: 10 }, () => keys / 10),
      )
      expect(again.part().get(7, 'key-123457')?.value).toBe('value-123457')
    })

    test('values of a mebibyte are back', async () => {
      const task = `test.${randomUUID()}`
      const { stores, part } = await assigned(task)
      const value = (key: number) => String(key).repeat(1 << 20)
      for (const key of [1, 2, 3]) part().add(0, key, value(key))
      await commit(task, stores, 1)
      const again = await restored(task)
      expect([1, 2, 3].filter((key) => again.part().get(0, key)?.value === value(key))).toEqual([1, 2, 3])
    })

    test('what is stored stays within three times what is alive', async () => {
      const task = `test.${randomUUID()}`
      const { stores, part } = await assigned(task)
      const text = (epoch: number) => `${epoch} `.padEnd(100, 'x')
      for (let epoch = 0; epoch < 200; epoch++) {
        if (epoch === 0) for (let key = 0; key < 400; key++) part().add(0, key, text(epoch))
        for (let hot = 0; hot < 20; hot++) {
          const entry = part().get(1, hot)
          if (entry === undefined) part().add(1, hot, text(epoch))
          else {
            entry.value = text(epoch)
            part().touch(entry)
          }
        }
        await commit(task, stores, epoch)
      }
      const log = await lastValueFrom(store.load(task, one).pipe(toArray()))
      const bytes = log.reduce((sum, chunk) => sum + chunk.bytes.length, 0)
      expect(bytes).toBeLessThan(3 * 420 * 108)
      expect((await restored(task)).part().segment(0)?.size).toBe(400)
    })

    test('a codec of a later version loads what an earlier one saved', async () => {
      const task = `test.${randomUUID()}`
      const { stores, part } = await assigned(task)
      part().add(0, 'a', 'old')
      await commit(task, stores, 1)
      const later: StoreCodec<string> = {
        version: 2,
        save: (value) => ({ value }),
        load: (saved, version) =>
          version === 1 ? `${saved as string}, converted` : (saved as { value: string }).value,
      }
      const converted = await restored(task, later)
      expect(converted.part().get(0, 'a')?.value).toBe('old, converted')
      converted.part().add(0, 'b', 'new')
      await commit(task, converted.stores, 2)
      const both = (await restored(task, later)).part()
      expect([both.get(0, 'a')?.value, both.get(0, 'b')?.value]).toEqual(['old, converted', 'new'])
    })
  })
}
