import { randomUUID } from 'node:crypto'
import { firstValueFrom, lastValueFrom } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CheckpointStore, ViewClaim, ViewContent, ViewStorage, ViewWrite } from '../../src/model/index.js'
import { commitOf, done, one } from './checkpoints.contract.js'

/** A kind of view storage with a server behind it, as the contract sees it. */
export interface ViewStorageUnderTest {
  /** A storage over the same data, as another replica has it; opened by the contract. */
  connect(): ViewStorage
  close(): Promise<void>
}

/** A storage whose writes can join the transactions of a checkpoint store on the same connection. */
export interface JoiningViewStorage extends ViewStorageUnderTest {
  /** A storage, and the checkpoint store on its connection; both are opened by the contract. */
  connectBoth(): { readonly storage: ViewStorage; readonly checkpoints: CheckpointStore }
}

const plain = (content: ViewContent) =>
  Object.fromEntries(
    [...content.tables]
      .filter(([, rows]) => rows.size > 0)
      .map(([table, rows]) => [table, [...rows].sort(([a], [b]) => (a < b ? -1 : 1))]),
  )

async function contentOf(storage: ViewStorage, view: string) {
  return plain(await firstValueFrom(storage.read(view)))
}

const claim = (storage: ViewStorage, claimed: ViewClaim) => firstValueFrom(storage.claim(claimed))

function writeOf(claimed: ViewClaim, sequence: number, more: Partial<ViewWrite> = {}): ViewWrite {
  return { ...claimed, sequence, replaces: false, rows: [], removed: [], at: 1_700_000_000_000 + sequence, ...more }
}

/** Rows of a table, from `{ key: value }`. */
const rows = (table: string, of: Readonly<Record<string, unknown>>) =>
  Object.entries(of).map(([key, value]) => ({ table, key, value }))

/** What every view storage promises. `name` says which one it is. */
export function viewStorageContract(name: string, start: () => Promise<ViewStorageUnderTest>): void {
  describe(`view storage: ${name}`, () => {
    let kind: ViewStorageUnderTest
    let storage: ViewStorage
    let other: ViewStorage

    beforeAll(async () => {
      kind = await start()
      storage = kind.connect()
      other = kind.connect()
      await Promise.all([storage, other].map((each) => done(each.open())))
    })
    afterAll(() => kind?.close())

    const newPart = (view = `test/${randomUUID()}`, part = 'flow.view t-0'): ViewClaim => ({
      view,
      part,
      generation: 1,
      task: 'flow.view',
      total: 1,
    })
    /** A part that holds a=1 and b=2 in its table, as sequence 1. */
    const started = async (part = newPart()) => {
      await claim(storage, part)
      await done(storage.write(writeOf(part, 1, { rows: rows('t', { a: 1, b: 2 }) })))
      return part
    }

    test('of a view that nobody claimed there is nothing, and it is not whole', async () => {
      const content = await firstValueFrom(storage.read(newPart().view))
      expect({ ...content, tables: plain(content) }).toMatchObject({ at: 0, isWhole: false, tables: {} })
    })

    test('a view is whole once something was written, if only that it is empty', async () => {
      const part = newPart()
      expect(await claim(storage, part)).toBeUndefined()
      expect((await firstValueFrom(storage.read(part.view))).isWhole).toBe(false)
      await done(storage.write(writeOf(part, 0, { replaces: true })))
      const content = await firstValueFrom(other.read(part.view))
      expect({ isWhole: content.isWhole, tables: plain(content) }).toEqual({ isWhole: true, tables: {} })
      expect(await claim(other, { ...part, generation: 2 })).toBe(0)
    })

    test('what is written is read, by every replica, with the time of the latest write', async () => {
      const part = await started()
      const content = await firstValueFrom(other.read(part.view))
      expect(plain(content)).toEqual({ t: [['a', 1], ['b', 2]] }) // biome-ignore format: pairs
      expect(content).toMatchObject({ at: 1_700_000_000_001, isWhole: true })
    })

    test('a write replaces values and removes keys; what it does not name stays', async () => {
      const part = await started()
      const more = { rows: [...rows('t', { b: 3 }), ...rows('u', { c: 4 })], removed: [{ table: 't', key: 'a' }] }
      await done(storage.write(writeOf(part, 2, more)))
      expect(await contentOf(other, part.view)).toEqual({ t: [['b', 3]], u: [['c', 4]] })
    })

    test('a write that comes again changes nothing', async () => {
      const part = await started()
      const again = writeOf(part, 2, { rows: rows('t', { a: 5 }), removed: [{ table: 't', key: 'b' }] })
      await done(storage.write(again))
      await done(storage.write(again))
      expect(await contentOf(storage, part.view)).toEqual({ t: [['a', 5]] })
    })

    test('removed keys can come back', async () => {
      const part = await started()
      await done(storage.write(writeOf(part, 2, { removed: [{ table: 't', key: 'a' }] })))
      await done(storage.write(writeOf(part, 3, { rows: rows('t', { a: 6 }) })))
      expect(await contentOf(storage, part.view)).toEqual({ t: [['a', 6], ['b', 2]] }) // biome-ignore format: pairs
    })

    test('a write that replaces drops all else of its part, and nothing of another', async () => {
      const part = await started()
      const neighbour = newPart(part.view, 'flow.view t-1')
      await claim(other, neighbour)
      await done(other.write(writeOf(neighbour, 1, { rows: rows('t', { z: 26 }) })))
      await done(storage.write(writeOf(part, 2, { replaces: true, rows: rows('t', { a: 7, n: 8 }) })))
      expect(await contentOf(storage, part.view)).toEqual({ t: [['a', 7], ['n', 8], ['z', 26]] }) // biome-ignore format: pairs
    })

    test('views do not mix', async () => {
      const [one, two] = [await started(), await started()]
      await done(storage.write(writeOf(one, 2, { replaces: true })))
      expect(await contentOf(storage, one.view)).toEqual({})
      expect(await contentOf(storage, two.view)).toEqual({ t: [['a', 1], ['b', 2]] }) // biome-ignore format: pairs
    })

    test('who claims a part learns the sequence of its last write', async () => {
      const part = await started()
      await done(storage.write(writeOf(part, 41)))
      expect(await claim(other, { ...part, generation: 2 })).toBe(41)
      expect(await contentOf(other, part.view)).toEqual({ t: [['a', 1], ['b', 2]] }) // biome-ignore format: pairs
    })

    test('after a claim the owner before is refused, and writes nothing', async () => {
      const part = await started()
      const next = { ...part, generation: 2 }
      await claim(other, next)
      await done(other.write(writeOf(next, 2, { rows: rows('t', { a: 10 }) })))
      const late = writeOf(part, 2, { rows: rows('t', { a: 2, c: 3 }), removed: [{ table: 't', key: 'b' }] })
      await expect(done(storage.write(late))).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_FENCED' })
      await expect(done(storage.write({ ...late, replaces: true }))).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_FENCED',
      })
      expect(await contentOf(storage, part.view)).toEqual({ t: [['a', 10], ['b', 2]] }) // biome-ignore format: pairs
    })

    test('the last claim counts, though its generation be lower: checkpoints may have begun anew', async () => {
      const part = { ...newPart(), generation: 57 }
      await started(part)
      const anew = { ...part, generation: 1 }
      expect(await claim(other, anew)).toBe(1)
      await done(other.write(writeOf(anew, 1, { replaces: true, rows: rows('t', { b: 1 }) })))
      await done(other.write(writeOf(anew, 2, { rows: rows('t', { a: 1 }) })))
      expect(await contentOf(other, part.view)).toEqual({ t: [['a', 1], ['b', 1]] }) // biome-ignore format: pairs
    })

    test('what nobody has claimed can not be written', async () => {
      const part = newPart()
      await expect(done(storage.write(writeOf(part, 1)))).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_FENCED' })
    })

    test('reading again emits nothing until something has changed', async () => {
      const part = await started()
      const { tag } = await firstValueFrom(other.read(part.view))
      expect(await lastValueFrom(other.read(part.view, tag), { defaultValue: undefined })).toBeUndefined()
      await done(storage.write(writeOf(part, 2, { rows: rows('t', { a: 2 }) })))
      const content = await firstValueFrom(other.read(part.view, tag))
      expect(plain(content)).toEqual({ t: [['a', 2], ['b', 2]] }) // biome-ignore format: pairs
      expect(await lastValueFrom(other.read(part.view, content.tag), { defaultValue: undefined })).toBeUndefined()
    })

    test('a claim alone changes nothing that is read', async () => {
      const part = await started()
      const { tag } = await firstValueFrom(other.read(part.view))
      await claim(storage, part)
      expect(await lastValueFrom(other.read(part.view, tag), { defaultValue: undefined })).toBeUndefined()
      await done(storage.write(writeOf(part, 2, { rows: rows('t', { a: 3 }) })))
      expect(plain(await firstValueFrom(other.read(part.view, tag)))).toEqual({ t: [['a', 3], ['b', 2]] }) // biome-ignore format: pairs
    })

    test('a neighbour that is replaced and one that is added are changes, too', async () => {
      const part = await started()
      const { tag } = await firstValueFrom(other.read(part.view))
      const neighbour = newPart(part.view, 'flow.view t-1')
      await claim(storage, neighbour)
      await done(storage.write(writeOf(neighbour, 1, { rows: rows('t', { z: 1 }) })))
      const added = await firstValueFrom(other.read(part.view, tag))
      expect(added.tables.get('t')?.get('z')).toBe(1)
      await claim(storage, { ...part, generation: 2 })
      await done(storage.write(writeOf({ ...part, generation: 2 }, 1, { replaces: true })))
      expect(plain(await firstValueFrom(other.read(part.view, added.tag)))).toEqual({ t: [['z', 1]] })
    })

    test('keys and values survive as they are', async () => {
      const part = newPart()
      const keys = ['', ' ', 'a', 'A', '__proto__', '12', '\\', "'", '"', '%', ':', '\t\n', '{}', '\u0000', 'x\u0000y']
      const odd = [...keys, '\\0', 'Ж', '日本', '\u{1F9A6}', 'é', 'e\u0301', '\u2028', 'x'.repeat(300)]
      const values = [
        0,
        -1.5,
        1e21,
        '',
        'text\u0000\u{1F9A6}',
        true,
        null,
        [],
        [1, [2]],
        {},
        { all: 3, 'a b': { c: 4 } },
      ]
      const written = [
        ...odd.map((key, index) => ({ table: 'keys', key, value: index })),
        ...values.map((value, index) => ({ table: 'values', key: String(index), value })),
      ]
      await claim(storage, part)
      await done(storage.write(writeOf(part, 1, { rows: written })))
      const { tables } = await firstValueFrom(other.read(part.view))
      expect([...(tables.get('keys') ?? [])].sort(([, a], [, b]) => Number(a) - Number(b))).toEqual(
        odd.map((key, index) => [key, index]),
      )
      expect(values.map((_, index) => tables.get('values')?.get(String(index)))).toEqual(values)
    })

    test('as much at once as a view takes survives', async () => {
      const part = newPart()
      const nested: unknown = JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`)
      const proto: unknown = JSON.parse('{"__proto__":{"a":1},"constructor":2}')
      const odd = ['\uD800', { half: '\uDC00' }, nested, proto, 5e-324, -1.797e308, 2 ** 53]
      const long = 'Ж'.repeat(200_000)
      const written = [
        ...odd.map((value, index) => ({ table: 't'.repeat(200), key: String(index), value })),
        ...Array.from({ length: 40 }, (_, at) => ({ table: 'large', key: `${at}${'k'.repeat(9_990)}`, value: long })),
      ]
      await claim(storage, part)
      await done(storage.write(writeOf(part, 1, { rows: written })))
      const { tables } = await firstValueFrom(other.read(part.view))
      const values = [...(tables.get('t'.repeat(200)) ?? [])].sort().map(([, value]) => JSON.stringify(value))
      expect(values).toEqual(odd.map((value) => JSON.stringify(value)))
      const large = [...(tables.get('large') ?? [])]
      expect(large.length).toBe(40)
      expect(large.every(([key, value]) => key.length > 9_990 && value === long)).toBe(true)
    })

    test('twenty thousand rows, replaced and removed', async () => {
      const part = newPart()
      const many = Array.from({ length: 20_000 }, (_, index) => ({ table: 't', key: `key ${index}`, value: index }))
      await claim(storage, part)
      await done(storage.write(writeOf(part, 1, { rows: many })))
      const sum = async () => {
        const { tables } = await firstValueFrom(other.read(part.view))
        const values = [...(tables.get('t')?.values() ?? [])] as number[]
        return [values.length, values.reduce((a, b) => a + b, 0)]
      }
      expect(await sum()).toEqual([20_000, 199_990_000])
      await done(storage.write(writeOf(part, 2, { removed: many.slice(0, 5_000) })))
      expect(await sum()).toEqual([15_000, 187_492_500])
      await done(storage.write(writeOf(part, 3, { replaces: true, rows: many.slice(0, 10) })))
      expect(await sum()).toEqual([10, 45])
    })
  })
}

/** What a view storage promises besides where its writes join the transactions of a checkpoint store. */
export function joiningViewStorageContract(name: string, start: () => Promise<JoiningViewStorage>): void {
  describe(`view storage in the transaction of the epoch: ${name}`, () => {
    let kind: JoiningViewStorage
    let storage: ViewStorage
    let checkpoints: CheckpointStore

    beforeAll(async () => {
      kind = await start()
      ;({ storage, checkpoints } = kind.connectBoth())
      await done(checkpoints.open())
      await done(storage.open())
    })
    afterAll(() => kind?.close())

    const begun = async () => {
      const task = `test.${randomUUID()}`
      const [taken] = await firstValueFrom(checkpoints.acquire(task, [one]))
      if (taken === undefined) throw new Error('nothing was acquired')
      const part = { view: `test/${randomUUID()}`, part: 'p', generation: taken.generation, task, total: 1 }
      await claim(storage, part)
      const commit = { task, partitions: [commitOf(taken, { position: 1, sequence: 1, chunks: ['c'] })] }
      return { task, part, commit, transaction: checkpoints.begin(task) }
    }
    const written = (part: ViewClaim) => writeOf(part, 1, { rows: rows('t', { a: 1 }) })

    test('rows become visible with the commit', async () => {
      const { part, commit, transaction } = await begun()
      await done(storage.write(written(part), transaction))
      await done(transaction.commit(commit))
      expect(await contentOf(storage, part.view)).toEqual({ t: [['a', 1]] })
      expect(await claim(storage, part)).toBe(1)
    })

    test('a rollback takes them with it', async () => {
      const { part, transaction } = await begun()
      await done(storage.write(written(part), transaction))
      await done(transaction.rollback())
      expect(await contentOf(storage, part.view)).toEqual({})
      expect(await claim(storage, part)).toBeUndefined()
    })

    test('a commit that is fenced off takes them with it', async () => {
      const { task, part, commit, transaction } = await begun()
      await firstValueFrom(checkpoints.acquire(task, [one]))
      await done(storage.write(written(part), transaction))
      await expect(done(transaction.commit(commit))).rejects.toMatchObject({ code: 'WEIR_CHECKPOINT_FENCED' })
      expect(await contentOf(storage, part.view)).toEqual({})
    })
  })
}
