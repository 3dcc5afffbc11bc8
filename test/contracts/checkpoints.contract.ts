import { randomUUID } from 'node:crypto'
import { concat, defer, lastValueFrom, type Observable, toArray } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type AcquiredPartition,
  asWeirError,
  type CheckpointStore,
  type EpochTransaction,
  type HeldPartition,
  type PartitionCommit,
  type TopicPartition,
} from '../../src/model/index.js'

/** A kind of checkpoint store with a server behind it, as the contract sees it. */
export interface CheckpointsUnderTest {
  /** A store over the same data, as another process would open it. */
  connect(): Promise<CheckpointStore>
  /** For kinds that sinks can join: writes a row in the transaction. */
  join?(transaction: EpochTransaction, row: string): Observable<unknown>
  /** The joined rows that became visible. */
  joined?(): Promise<string[]>
  /** For kinds with connections: cuts the one of the transaction if it has one, else all that lie idle. */
  sever?(transaction?: EpochTransaction): Promise<void>
  /** For kinds with tables: makes them what an earlier version made. */
  age?(): Promise<unknown>
  close(): Promise<void>
}

export const done = (observable$: Observable<unknown>): Promise<unknown> =>
  lastValueFrom(observable$, { defaultValue: undefined })

/** The code of the error that a commit ends with, if it does. */
const outcome = (commit$: Observable<never>): Promise<string> =>
  done(commit$).then(
    () => 'committed',
    (error: unknown) => asWeirError(error).code,
  )

/** What every checkpoint store promises. `name` says which one it is. */
export function checkpointsContract(name: string, start: () => Promise<CheckpointsUnderTest>): void {
  describe(`checkpoint store: ${name}`, () => {
    let kind: CheckpointsUnderTest
    let store: CheckpointStore

    beforeAll(async () => {
      kind = await start()
      store = await kind.connect()
      await done(store.open())
    })
    afterAll(() => kind.close())

    const newTask = () => `test.${randomUUID()}`
    const chunksOf = async (task: string, partition: TopicPartition, from = store) => {
      const chunks = await lastValueFrom(from.load(task, partition).pipe(toArray()))
      return chunks.map(({ sequence, bytes }) => `${sequence}:${Buffer.from(bytes).toString()}`)
    }
    const acquire = async (task: string, partitions: readonly TopicPartition[], from = store) =>
      lastValueFrom(from.acquire(task, partitions))
    const acquireOne = async (task: string, from = store) => (await acquire(task, [one], from))[0] as AcquiredPartition

    test('a partition that was never committed has a generation and nothing else', async () => {
      expect(await acquire(newTask(), [one, two])).toEqual([
        { ...one, generation: 1, sequence: 0, progress: undefined },
        { ...two, generation: 1, sequence: 0, progress: undefined },
      ])
    })

    test('every acquisition is a generation of its own', async () => {
      const task = newTask()
      const taken = await Promise.all(Array.from({ length: 5 }, () => acquireOne(task)))
      expect(taken.map(({ generation }) => generation).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5])
    })

    test('answers in the order of the question', async () => {
      const partitions = [7, 0, 11, 3].map((partition) => ({ topic: 'events', partition }))
      const answer = await acquire(newTask(), partitions)
      expect(answer.map(({ partition }) => partition)).toEqual([7, 0, 11, 3])
    })

    test('what was committed is there when the store is opened again', async () => {
      const task = newTask()
      const [first, second] = (await acquire(task, [one, two])) as [AcquiredPartition, AcquiredPartition]
      const partitions = [
        commitOf(first, {
          position: 42,
          sequence: 3,
          chunks: ['a', 'b'],
          streamTime: 1_700_000_000_123,
          watermark: 1_700_000_000_000,
        }),
        commitOf(second, { position: 0, sequence: 1 }),
      ]
      await done(store.begin().commit({ task, partitions }))

      const other = await kind.connect()
      await done(other.open())
      const progress = { position: 42, streamTime: 1_700_000_000_123, watermark: 1_700_000_000_000 }
      expect(await acquire(task, [one, two], other)).toEqual([
        { ...one, generation: 2, sequence: 3, progress },
        { ...two, generation: 2, sequence: 1, progress: { position: 0, streamTime: undefined, watermark: undefined } },
      ])
      expect(await chunksOf(task, one, other)).toEqual(['3:a', '3:b'])
      expect(await chunksOf(task, two, other)).toEqual([])
    })

    test('whatever else is known of a partition comes back, and goes when it is not said again', async () => {
      const task = newTask()
      const [first, second] = (await acquire(task, [one, two])) as [AcquiredPartition, AcquiredPartition]
      const further = { source: { id: 'Ünïcode "☃"', ends: [0, 2 ** 53 - 1], none: null }, sinceMs: 1.5 }
      const committing = (extra: object) => {
        const known = commitOf(first, { position: 1, sequence: 1, streamTime: 5 })
        const partitions = [
          { ...known, progress: { ...known.progress, ...extra } },
          commitOf(second, { position: 2, sequence: 1 }),
        ]
        return done(store.begin(task).commit({ task, partitions }))
      }
      await committing(further)
      const [found, other] = (await lastValueFrom(store.list(task.slice(0, task.indexOf('.'))))).filter(
        (held) => held.task === task,
      )
      const known = [found, other]
        .sort((a, b) => Number(a?.partition) - Number(b?.partition))
        .map((held) => held?.progress)
      expect(known).toEqual([{ position: 1, streamTime: 5, ...further }, { position: 2 }])
      await committing({})
      expect((await acquireOne(task)).progress).toEqual({ position: 1, streamTime: 5 })
    })

    test('what an earlier version has committed is kept, and gets what it lacks', async ({ skip }) => {
      if (kind.age === undefined) return skip()
      const task = newTask()
      const taken = await acquireOne(task)
      await done(store.begin().commit({ task, partitions: [commitOf(taken, { position: 3, sequence: 1 })] }))
      await kind.age()
      const stores = await Promise.all([kind.connect(), kind.connect()])
      await Promise.all(stores.map((opened) => done(opened.open())))
      const [opened] = stores
      const again = await acquireOne(task, opened)
      expect(again.progress).toEqual({ position: 3 })
      const committed = commitOf(again, { position: 4, sequence: 2 })
      const partitions = [{ ...committed, progress: { ...committed.progress, more: 1 } }]
      await done(opened.begin().commit({ task, partitions }))
      expect((await acquireOne(task)).progress).toEqual({ position: 4, more: 1 })
    })

    test('chunks come in the order of their sequence, and in one of the commit', async () => {
      const task = newTask()
      const taken = await acquireOne(task)
      for (const sequence of [1, 2, 9, 10, 11, 100]) {
        const chunks = ['x', 'y', 'z'].map((letter) => `${letter}${sequence}`)
        await done(
          store.begin().commit({ task, partitions: [commitOf(taken, { position: sequence, sequence, chunks })] }),
        )
      }
      const expected = [1, 2, 9, 10, 11, 100].flatMap((sequence) =>
        ['x', 'y', 'z'].map((letter) => `${sequence}:${letter}${sequence}`),
      )
      expect(await chunksOf(task, one)).toEqual(expected)
    })

    test('obsolete chunks go, and only those of their partition and task', async () => {
      const task = newTask()
      const otherTask = newTask()
      for (const name of [task, otherTask]) {
        const taken = await acquire(name, [one, two])
        for (const sequence of [1, 2, 3]) {
          const partitions = taken.map((partition) =>
            commitOf(partition, { position: sequence, sequence, chunks: [`c${sequence}`] }),
          )
          await done(store.begin().commit({ task: name, partitions }))
        }
      }
      const [first, second] = (await acquire(task, [one, two])) as [AcquiredPartition, AcquiredPartition]
      const partitions = [
        commitOf(first, { position: 4, sequence: 4, chunks: ['c4'], truncateBefore: 3 }),
        commitOf(second, { position: 4, sequence: 4 }),
      ]
      await done(store.begin().commit({ task, partitions }))
      expect(await chunksOf(task, one)).toEqual(['3:c3', '4:c4'])
      expect(await chunksOf(task, two)).toEqual(['1:c1', '2:c2', '3:c3'])
      expect(await chunksOf(otherTask, one)).toEqual(['1:c1', '2:c2', '3:c3'])
    })

    test('chunks of some megabytes come back byte for byte', async () => {
      const task = newTask()
      const taken = await acquireOne(task)
      const chunks = [0, 1, 2].map((seed) =>
        Uint8Array.from({ length: 1_500_000 }, (_, index) => (index * 31 + seed) % 256),
      )
      const partition = { ...commitOf(taken, { position: 1, sequence: 1 }), chunks }
      await done(store.begin().commit({ task, partitions: [partition] }))
      const loaded = await lastValueFrom(store.load(task, one).pipe(toArray()))
      expect(loaded.map(({ bytes }, index) => Buffer.compare(bytes, chunks[index] as Uint8Array))).toEqual([0, 0, 0])
    })

    test('what a chunk is made of may be used again after the commit', async () => {
      const task = newTask()
      const buffer = Buffer.from('before')
      const partition = { ...commitOf(await acquireOne(task), { position: 1, sequence: 1 }), chunks: [buffer] }
      await done(store.begin().commit({ task, partitions: [partition] }))
      buffer.write('after!')
      expect(await chunksOf(task, one)).toEqual(['1:before'])
    })

    test('an older generation is refused, and nothing of its epoch is written', async () => {
      const task = newTask()
      const zombie = await acquire(task, [one, two])
      await done(
        store.begin().commit({
          task,
          partitions: zombie.map((taken) => commitOf(taken, { position: 5, sequence: 1, chunks: ['old'] })),
        }),
      )
      const heir = await acquireOne(task)

      // The one that it still has comes first: what stands before a refusal must not be written either.
      const partitions = [...zombie]
        .reverse()
        .map((taken) => commitOf(taken, { position: 9, sequence: 2, chunks: ['zombie'], truncateBefore: 2 }))
      await expect(done(store.begin().commit({ task, partitions }))).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_FENCED',
        remedy: 'restart',
        place: { partition: one },
      })
      // Partition two had not moved: a commit holds as a whole or not at all.
      expect(await chunksOf(task, one)).toEqual(['1:old'])
      expect(await chunksOf(task, two)).toEqual(['1:old'])
      await done(
        store.begin().commit({ task, partitions: [commitOf(heir, { position: 6, sequence: 2, chunks: ['heir'] })] }),
      )
      expect((await acquireOne(task)).progress?.position).toBe(6)
      expect((await acquire(task, [two]))[0]?.progress?.position).toBe(5)
    })

    test('who acquires a partition while its owner commits knows all that was committed', async () => {
      const task = newTask()
      let taken = await acquireOne(task)
      let position = 0
      for (let round = 0; round < 6; round++) {
        const committing = () => {
          const next = { position: position + 1, sequence: position + 1, chunks: [`c${position + 1}`] }
          return outcome(store.begin(task).commit({ task, partitions: [commitOf(taken, next)] }))
        }
        let ended = committing()
        const acquiring = acquireOne(task)
        for (; (await ended) === 'committed'; ended = committing()) position++
        expect(await ended).toBe('WEIR_CHECKPOINT_FENCED')
        taken = await acquiring
        expect(taken.progress?.position).toBe(position === 0 ? undefined : position)
      }
    })

    test('a partition that was never acquired is refused', async () => {
      const task = newTask()
      const partitions = [commitOf({ ...one, generation: 1, sequence: 0 }, { position: 1, sequence: 1 })]
      await expect(done(store.begin().commit({ task, partitions }))).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_FENCED',
      })
    })

    test('nothing is written by a transaction that is rolled back, and a rollback after the commit changes nothing', async () => {
      const task = newTask()
      const taken = await acquireOne(task)
      const abandoned = store.begin()
      await done(concat(abandoned.rollback(), abandoned.rollback()))
      await expect(
        done(abandoned.commit({ task, partitions: [commitOf(taken, { position: 1, sequence: 1 })] })),
      ).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_UNREACHABLE',
        remedy: 'retry',
      })
      const transaction = store.begin()
      const commit$ = transaction.commit({
        task,
        partitions: [commitOf(taken, { position: 2, sequence: 2, chunks: ['b'] })],
      })
      await done(concat(commit$, transaction.rollback()))
      expect((await acquireOne(task)).progress?.position).toBe(2)
      expect(await chunksOf(task, one)).toEqual(['2:b'])
    })

    test('tells what the tasks of an app have, and takes nothing over', async () => {
      const app = `app-${randomUUID()}`
      const tasks = [`${app}.flow`, `${app}.other-flow`]
      const [first] = await acquire(tasks[0] as string, [one, two])
      await acquire(tasks[1] as string, [one])
      await acquire(`${app}x.flow`, [one])
      const partitions = [
        commitOf(first as AcquiredPartition, { position: 7, sequence: 3, chunks: ['c'], streamTime: 9 }),
      ]
      await done(store.begin().commit({ task: tasks[0] as string, partitions }))

      const listed = [...(await lastValueFrom(store.list(app)))]
      const name = ({ task, topic, partition }: HeldPartition) => `${task} ${topic} ${partition}`
      expect(listed.sort((a, b) => (name(a) < name(b) ? -1 : 1))).toEqual([
        { task: tasks[0], ...one, generation: 1, sequence: 3, progress: { position: 7, streamTime: 9 } },
        { task: tasks[0], ...two, generation: 1, sequence: 0, progress: undefined },
        { task: tasks[1], ...one, generation: 1, sequence: 0, progress: undefined },
      ])
      expect(await lastValueFrom(store.list(app.toUpperCase()))).toEqual([])
      const next = [commitOf(first as AcquiredPartition, { position: 8, sequence: 4 })]
      await done(store.begin().commit({ task: tasks[0] as string, partitions: next }))
    })

    test('tasks commit side by side', async () => {
      const tasks = Array.from({ length: 6 }, newTask)
      await Promise.all(
        tasks.map(async (task) => {
          const taken = await acquireOne(task)
          for (const sequence of [1, 2, 3, 4, 5]) {
            const partitions = [commitOf(taken, { position: sequence * 10, sequence, chunks: [task] })]
            await done(defer(() => store.begin().commit({ task, partitions })))
          }
        }),
      )
      for (const task of tasks) {
        expect(await chunksOf(task, one)).toEqual([1, 2, 3, 4, 5].map((sequence) => `${sequence}:${task}`))
        expect((await acquireOne(task)).progress?.position).toBe(50)
      }
    })

    test('several stores open at once', async () => {
      const stores = await Promise.all(Array.from({ length: 4 }, () => kind.connect()))
      await Promise.all(stores.map((opened) => done(opened.open())))
      const taken = await Promise.all(stores.map((opened) => acquireOne(newTask(), opened)))
      expect(taken.map(({ generation }) => generation)).toEqual([1, 1, 1, 1])
    })
  })
}

export const one: TopicPartition = { topic: 'events', partition: 0 }
const two: TopicPartition = { topic: 'events', partition: 1 }

interface Committed {
  readonly position: number
  readonly sequence: number
  readonly chunks?: readonly string[]
  readonly streamTime?: number
  readonly watermark?: number
  readonly truncateBefore?: number
}

export function commitOf(
  { topic, partition, generation }: Pick<AcquiredPartition, 'topic' | 'partition' | 'generation' | 'sequence'>,
  { position, sequence, chunks = [], streamTime, watermark, truncateBefore }: Committed,
): PartitionCommit {
  const progress = { position, streamTime, watermark }
  return {
    topic,
    partition,
    generation,
    progress,
    sequence,
    chunks: chunks.map((text) => Buffer.from(text)),
    truncateBefore,
  }
}
