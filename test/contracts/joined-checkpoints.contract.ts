import { randomUUID } from 'node:crypto'
import { lastValueFrom, toArray } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AcquiredPartition, CheckpointStore } from '../../src/model/index.js'
import { type CheckpointsUnderTest, commitOf, done, one } from './checkpoints.contract.js'

/** What a checkpoint store promises besides when sinks can join its transaction and its connections can be lost. */
export function joinedCheckpointsContract(name: string, start: () => Promise<Required<CheckpointsUnderTest>>): void {
  describe(`checkpoint store that sinks join: ${name}`, () => {
    let kind: Required<CheckpointsUnderTest>
    let store: CheckpointStore

    beforeAll(async () => {
      kind = await start()
      store = await kind.connect()
      await done(store.open())
    })
    afterAll(() => kind.close())

    /** A task that has committed position 1 with chunk 'first'. */
    const started = async () => {
      const task = `test.${randomUUID()}`
      const taken = (await lastValueFrom(store.acquire(task, [one])))[0] as AcquiredPartition
      await done(
        store.begin().commit({ task, partitions: [commitOf(taken, { position: 1, sequence: 1, chunks: ['first'] })] }),
      )
      const next = { task, partitions: [commitOf(taken, { position: 2, sequence: 2, chunks: ['second'] })] }
      return { task, taken, next, rows: [`${task}/a`, `${task}/b`] as const }
    }
    /** What is there of the second epoch: all or nothing. */
    const effectOf = async (task: string) => {
      const rows = (await kind.joined()).filter((row) => row.startsWith(task))
      const chunks = (await lastValueFrom(store.load(task, one).pipe(toArray()))).map(({ bytes }) =>
        Buffer.from(bytes).toString(),
      )
      const position = (await lastValueFrom(store.acquire(task, [one])))[0]?.progress?.position
      return { rows: rows.length, chunks, position }
    }
    const nothing = { rows: 0, chunks: ['first'], position: 1 }
    const everything = { rows: 2, chunks: ['first', 'second'], position: 2 }

    test('rows, positions and chunks become visible together', async () => {
      const { task, next, rows } = await started()
      const transaction = store.begin()
      for (const row of rows) await done(kind.join(transaction, row))
      await done(transaction.commit(next))
      expect(await effectOf(task)).toEqual(everything)
    })

    test('a rollback takes the rows with it', async () => {
      const { task, rows } = await started()
      const transaction = store.begin()
      for (const row of rows) await done(kind.join(transaction, row))
      await done(transaction.rollback())
      expect(await effectOf(task)).toEqual(nothing)
    })

    test('work that fails leaves nothing behind, and the transaction goes on', async () => {
      const { task, next, rows } = await started()
      const transaction = store.begin()
      await done(kind.join(transaction, rows[0]))
      await expect(done(kind.join(transaction, rows[0]))).rejects.toThrow(/^duplicate/i)
      await done(kind.join(transaction, rows[1]))
      await done(transaction.commit(next))
      expect(await effectOf(task)).toEqual(everything)
    })

    test('work that joins at once runs one after the other', async () => {
      const { task, next, rows } = await started()
      const transaction = store.begin()
      await Promise.all(rows.map((row) => done(kind.join(transaction, row))))
      await done(transaction.commit(next))
      expect(await effectOf(task)).toEqual(everything)
    })

    test('a zombie that began before the takeover writes nothing', async () => {
      const { task, next, rows } = await started()
      const transaction = store.begin()
      for (const row of rows) await done(kind.join(transaction, row))
      // On a server with one session the takeover waits until the zombie's transaction is over.
      const takeover = lastValueFrom(store.acquire(task, [one]))
      const isOver = await Promise.race([
        takeover.then(() => true),
        new Promise((resolve) => setTimeout(() => resolve(false), 300)),
      ])
      if (isOver === true) {
        await expect(done(transaction.commit(next))).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_FENCED' })
      } else {
        await done(transaction.rollback())
        await takeover
        const late = store.begin()
        for (const row of rows) await done(kind.join(late, row))
        await expect(done(late.commit(next))).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_FENCED' })
      }
      expect(await effectOf(task)).toEqual(nothing)
    })

    test('after a refused commit its connection is free for others', async () => {
      for (let time = 0; time < 12; time++) {
        const { task, next, rows } = await started()
        await lastValueFrom(store.acquire(task, [one]))
        const transaction = store.begin()
        await done(kind.join(transaction, rows[0]))
        await expect(done(transaction.commit(next))).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_FENCED' })
      }
    })

    test('a connection lost before the transaction harms nobody', async () => {
      const { task, next, rows } = await started()
      await kind.sever()
      const transaction = store.begin()
      for (const row of rows) await done(kind.join(transaction, row))
      await done(transaction.commit(next))
      expect(await effectOf(task)).toEqual(everything)
    })

    test('a connection lost between two writes ends the transaction', async () => {
      const { task, next, rows } = await started()
      const transaction = store.begin()
      await done(kind.join(transaction, rows[0]))
      await kind.sever(transaction)
      await expect(done(kind.join(transaction, rows[1]))).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_UNREACHABLE',
        remedy: 'retry',
      })
      await expect(done(transaction.commit(next))).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_UNREACHABLE' })
      await done(transaction.rollback())
      expect(await effectOf(task)).toEqual(nothing)
    })

    test('a connection lost before the commit ends the transaction', async () => {
      const { task, next, rows } = await started()
      const transaction = store.begin()
      for (const row of rows) await done(kind.join(transaction, row))
      await kind.sever(transaction)
      await expect(done(transaction.commit(next))).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_UNREACHABLE',
        remedy: 'retry',
      })
      await done(transaction.rollback())
      expect(await effectOf(task)).toEqual(nothing)
    })

    test('a connection lost after the commit takes nothing back', async () => {
      const { task, next, rows } = await started()
      const transaction = store.begin()
      for (const row of rows) await done(kind.join(transaction, row))
      await done(transaction.commit(next))
      await kind.sever()
      await done(transaction.rollback())
      expect(await effectOf(task)).toEqual(everything)
    })
  })
}
