import { setTimeout as sleep } from 'node:timers/promises'
import { concat, ignoreElements, NEVER, timer } from 'rxjs'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { done } from './checkpoints.contract.js'
import type { SinkHarness } from './sink-harness.js'
import { items, recordsOf } from './sinks.contract.js'

type Row = Readonly<Record<string, unknown>>

/** A sink that writes rows of a table, and the server that has it. There is no table `items` when a test begins. */
export interface TableSinkUnderTest {
  /** A sink of `items`, whose rows are the values, opened. */
  open(options: Row, joins?: boolean): Promise<SinkHarness>
  /** The same over a connection of its own, whose server waits three seconds for it at most. */
  openImpatient(options: Row): Promise<SinkHarness>
  query(sql: string): Promise<unknown>
  /** The rows of `items`, in the order of their first column. */
  rows(): Promise<readonly Row[]>
  readonly server: {
    kill(): Promise<unknown>
    stop(): Promise<unknown>
    start(): Promise<unknown>
    terminateSessions(): Promise<unknown>
  }
}

const write = (sink: SinkHarness, values: readonly unknown[]) => done(sink.epoch(recordsOf(values)))

/** What every sink of tables promises, whatever the dialect of its database. */
export function tableSinkContract(kind: TableSinkUnderTest): void {
  test('undefined leaves a column to its default, row by row', async () => {
    await kind.query("CREATE TABLE items (id INT, a TEXT DEFAULT 'none', b TEXT DEFAULT 'nil')")
    const sink = await kind.open({})
    await write(sink, [{ id: 1, a: 'x' }, { id: 2 }, { id: 3, a: undefined, b: 'y' }, { id: 4, a: null }])
    expect(await kind.rows()).toEqual([
      { id: 1, a: 'x', b: 'nil' },
      { id: 2, a: 'none', b: 'nil' },
      { id: 3, a: 'none', b: 'y' },
      { id: 4, a: null, b: 'nil' },
    ])
  })

  test('many flows share a small pool', async () => {
    await kind.query('CREATE TABLE items (id INT PRIMARY KEY, text TEXT)')
    const sinks = await Promise.all(Array.from({ length: 14 }, () => kind.open({})))
    await Promise.all(sinks.map((sink, index) => done(sink.epoch(recordsOf(items(200, index * 1_000))))))
    expect((await kind.rows()).length).toBe(14 * 200)
  })

  upserts(kind)
  setUp(kind)
  changes(kind)
  crashes(kind)
}

function upserts(kind: TableSinkUnderTest): void {
  describe('upserts', () => {
    const upsert = { mode: 'upsert', key: ['id'] }
    beforeEach(() => kind.query("CREATE TABLE items (id INT PRIMARY KEY, a TEXT, b TEXT DEFAULT 'nil')"))

    test('the last of a key wins, in one epoch and over several', async () => {
      const sink = await kind.open(upsert)
      await write(sink, [
        { id: 1, a: 'x' },
        { id: 2, a: 'y' },
        { id: 1, a: 'z' },
      ])
      await write(sink, [{ id: 2, a: 'w' }])
      expect(await kind.rows()).toEqual([
        { id: 1, a: 'z', b: 'nil' },
        { id: 2, a: 'w', b: 'nil' },
      ])
    })

    test.each([{}, { batchSize: 1 }])(
      'rows with different columns add up, as if each had been written alone: %o',
      async (batches) => {
        await write(await kind.open({ ...upsert, ...batches }), [
          { id: 1, a: 'x' },
          { id: 1, b: 'y' },
          { id: 1, a: undefined, b: 'z' },
          { id: 2, b: null },
        ])
        expect(await kind.rows()).toEqual([
          { id: 1, a: 'x', b: 'z' },
          { id: 2, a: null, b: null },
        ])
      },
    )

    test('keys that differ here and are equal there', async () => {
      const sink = await kind.open(upsert)
      await write(sink, [
        { id: 1, a: 'x' },
        { id: '1', a: 'y' },
      ])
      expect(await kind.rows()).toEqual([{ id: 1, a: 'y', b: 'nil' }])
      expect(sink.rejected).toEqual([])
    })

    test('a row that is all key is inserted once', async () => {
      const sink = await kind.open(upsert)
      await write(sink, [{ id: 1 }, { id: 1 }])
      await write(sink, [{ id: 1 }])
      expect(await kind.rows()).toEqual([{ id: 1, a: null, b: 'nil' }])
    })

    test('ten thousand changes of a few keys, in order', async () => {
      const sink = await kind.open({ ...upsert, writers: 4 }, false)
      await write(
        sink,
        Array.from({ length: 10_000 }, (_, index) => ({ id: index % 7, a: String(index) })),
      )
      const lastOf = (id: number) => 9_999 - ((9_999 - id) % 7)
      expect(await kind.rows()).toEqual([0, 1, 2, 3, 4, 5, 6].map((id) => ({ id, a: String(lastOf(id)), b: 'nil' })))
    })
  })
}

function setUp(kind: TableSinkUnderTest): void {
  describe('the set-up', () => {
    test('`create` makes a missing table, whoever comes first', async () => {
      const create = 'CREATE TABLE items (id INT)'
      const sinks = await Promise.all(Array.from({ length: 8 }, () => kind.open({ create })))
      for (const [id, sink] of sinks.entries()) await write(sink, [{ id }])
      expect(await kind.rows()).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((id) => ({ id })))
    })

    test('a missing table stops the flow', async () => {
      await expect(kind.open({})).rejects.toMatchObject({
        code: 'WEIR_CONFIG_INVALID',
        remedy: 'stop',
        message: expect.stringMatching(/^opening table items: .*items(" does not|' doesn't) exist$/) as string,
        hint: 'Create the table, or give the sink `create`.',
      })
    })

    test('a broken `create` stops the flow', async () => {
      await expect(kind.open({ create: 'CREATE TABEL items (id INT)' })).rejects.toMatchObject({
        code: 'WEIR_CONFIG_INVALID',
        remedy: 'stop',
      })
    })

    test('a row with a key that the table has no column for is rejected, and the others are written', async () => {
      await kind.query('CREATE TABLE items (id INT PRIMARY KEY, name TEXT)')
      const sink = await kind.open({})
      const odd = Array.from({ length: 10 }, (_, index) => ({ id: 10 + index, nmae: 'x' }))
      await write(sink, [{ id: 1, name: 'a' }, ...odd, { id: 2, name: 'b' }])
      expect(sink.rejected.map(({ record }) => record.value)).toEqual(odd)
      expect(sink.rejected[0]?.error).toMatchObject({
        code: 'WEIR_RECORD_REFUSED',
        message: "writing to table items: table items has no column 'nmae'; its columns are id, name",
      })
      expect((await kind.rows()).map((row) => (row as { id: number }).id).sort()).toEqual([1, 2])
    })

    test('what `row` makes no row of, and what it throws at, is rejected alone', async () => {
      await kind.query('CREATE TABLE items (id INT PRIMARY KEY, name TEXT)')
      const circular: Record<string, unknown> = { id: 5 }
      circular['name'] = circular
      const none = [null, 'text', [1], Promise.resolve({ id: 8 }), new Map([['id', 9]]), new Date()]
      const made: unknown[] = [{ id: 1 }, ...none, circular, { id: 6, name: Symbol('name') }, { id: 2 }]
      const row = ({ at }: { at: number }) => {
        if (at === made.length) throw new Error('no row')
        return made[at]
      }
      const sink = await kind.open({ row })
      await write(
        sink,
        Array.from({ length: made.length + 1 }, (_, at) => ({ at })),
      )
      expect(sink.rejected.map(({ record }) => record.value)).toEqual(
        [1, 2, 3, 4, 5, 6, 10, 7, 8].map((at) => ({ at })),
      )
      expect((await kind.rows()).map((written) => (written as { id: number }).id).sort()).toEqual([1, 2])
    })
  })
}

/** A row whose field throws, or is another, each time that it is read. */
function reading(id: number, times: number): Row {
  let reads = 0
  return {
    id,
    get name() {
      if (++reads > times) throw new Error(`read ${reads} times`)
      return 'read'
    },
  }
}

function changes(kind: TableSinkUnderTest): void {
  const inserts = { mode: 'insert' } as const
  const upserts = { mode: 'upsert', key: ['id'] }
  const ids = async () => (await kind.rows()).map(({ id }) => Number(id)).sort((a, b) => a - b)

  describe.each([
    ['in the transaction', inserts, true],
    ['on its own', inserts, false],
    ['upserts', upserts, true],
  ] as const)('a table that changes, %s', (_, options, joins) => {
    beforeEach(() => kind.query('CREATE TABLE items (id INT PRIMARY KEY, name TEXT, note TEXT)'))

    test('a column that was added is written to', async () => {
      const sink = await kind.open(options, joins)
      await write(sink, [{ id: 1, name: 'a' }])
      await kind.query('ALTER TABLE items ADD COLUMN more INT')
      await write(sink, [
        { id: 2, name: 'b' },
        { id: 3, more: 7 },
      ])
      expect(sink.rejected).toEqual([])
      expect((await kind.rows()).at(-1)).toMatchObject({ id: 3, more: 7 })
    })

    test('rows with a column that was dropped are rejected, and the others are written', async () => {
      const sink = await kind.open(options, joins)
      await write(sink, [{ id: 1, name: 'a', note: 'x' }])
      await kind.query('ALTER TABLE items DROP COLUMN note')
      await write(sink, [
        { id: 2, name: 'b' },
        { id: 3, name: 'c', note: 'x' },
        { id: 4, name: 'd' },
      ])
      expect(sink.rejected.map(({ record }) => (record.value as { id: number }).id)).toEqual([3])
      expect(await ids()).toEqual([1, 2, 4])
    })

    test('a table that is gone has the sink opened anew, which makes it where `create` says how', async () => {
      const create = 'CREATE TABLE items (id INT PRIMARY KEY, name TEXT)'
      const sink = await kind.open({ ...options, create }, joins)
      await write(sink, [{ id: 1, name: 'a' }])
      await kind.query('DROP TABLE items')
      await expect(write(sink, [{ id: 2, name: 'b' }])).rejects.toMatchObject({ remedy: 'restart' })
      await sink.open()
      await write(sink, [{ id: 2, name: 'b' }])
      expect(await ids()).toEqual([2])
      expect(sink.rejected).toEqual([])
    })

    test('rows with a field that throws when it is read are rejected, and the others are written', async () => {
      const proxy = new Proxy(
        { id: 90 },
        {
          ownKeys: () => ['id', 'name'],
          getOwnPropertyDescriptor: () => {
            throw new Error('no')
          },
        },
      )
      const odd = [0, 1, 2, 3].flatMap((times) => [reading(80 + times, times), reading(180 + times, times)])
      const sink = await kind.open({ ...options, row: (value: Row) => value }, joins)
      await write(sink, [{ id: 1, name: 'a' }, ...odd, proxy, { id: 2, name: 'b' }])
      const written = await ids()
      expect(written).toEqual(expect.arrayContaining([1, 2]))
      expect(written.length + sink.rejected.length).toBe(2 + odd.length + 1)
      expect(sink.rejected.length).toBeGreaterThan(2)
      for (const { error } of sink.rejected) expect(error.culprit).toBe('record')
    })
  })
}

function crashes(kind: TableSinkUnderTest): void {
  describe('crashes', () => {
    beforeEach(() => kind.query('CREATE TABLE items (id INT PRIMARY KEY, text TEXT)'))

    test('a server killed in the middle of an epoch ends it with an error to retry, leaves nothing of it, and works again', async () => {
      const sink = await kind.open({})
      await write(sink, items(10))
      // The second part comes when the server is gone.
      const second$ = concat(timer(300).pipe(ignoreElements()), recordsOf(items(600, 5_000)))
      const failed = expect(done(sink.epoch(concat(recordsOf(items(1_000, 100)), second$)))).rejects.toMatchObject({
        code: 'WEIR_CHECKPOINT_UNREACHABLE',
        remedy: 'retry',
      })
      await sleep(150)
      await kind.server.kill()
      await failed
      await kind.server.start()
      expect((await kind.rows()).length).toBe(10)
      expect(await sink.committed()).toBe(1)
      await sink.open()
      await write(sink, items(1_600, 100))
      expect((await kind.rows()).length).toBe(1_610)
    })

    test('outside of a transaction a statement outlives the loss of its connection', async () => {
      const sink = await kind.open({ mode: 'upsert', key: ['id'], retries: 3 }, false)
      await write(sink, items(5))
      await kind.server.stop()
      await kind.server.start()
      await write(sink, items(5, 5))
      expect((await kind.rows()).length).toBe(10)
    })

    test('outside of a transaction a short outage is bridged by retries', async () => {
      const sink = await kind.open({ mode: 'upsert', key: ['id'], retries: 10 }, false)
      await write(sink, items(5))
      await kind.server.stop()
      const epoch = write(sink, items(5, 5))
      await sleep(400)
      await kind.server.start()
      await epoch
      expect((await kind.rows()).length).toBe(10)
    })

    test('an epoch that lies idle for long is kept alive', async () => {
      const sink = await kind.openImpatient({})
      const pause$ = timer(7_000).pipe(ignoreElements())
      await done(sink.epoch(concat(recordsOf(items(5)), pause$, recordsOf(items(5, 5)))))
      expect((await kind.rows()).length).toBe(10)
    })

    test('a process that falls asleep in an epoch does not keep others from its rows', async () => {
      const upsert = { mode: 'upsert', key: ['id'] }
      // Without its clock it is as silent as one that is stopped, or gone with its machine.
      vi.useFakeTimers({ toFake: ['setInterval'] })
      onTestFinished(() => void vi.useRealTimers())
      const sleeper = await kind.openImpatient({ ...upsert, batchSize: 3 })
      const asleep = done(sleeper.epoch(concat(recordsOf(items(3)), NEVER)))
      asleep.catch(() => undefined)
      // Its rows are locked then, and are for two seconds more.
      await sleep(1_000)
      vi.useRealTimers()
      const began = performance.now()
      await write(await kind.open(upsert), items(3))
      expect(performance.now() - began).toBeGreaterThan(300)
      expect(performance.now() - began).toBeLessThan(60_000)
    })

    test('a commit whose connection is lost in the middle holds as a whole or not at all', async () => {
      const outcomes = new Set<string>()
      const large = [900, 901, 902, 903].map((id) => ({ id, text: 'c'.repeat(50_000) }))
      const values = [...items(800), ...large]
      const began = performance.now()
      await write(await kind.open({ batchSize: 40 }), values)
      const epochMs = performance.now() - began
      for (let delay = 0; delay < 24; delay++) {
        await kind.query('DELETE FROM items')
        const sink = await kind.open({ batchSize: 40 })
        const ended = write(sink, values).then(
          () => 'committed',
          () => 'failed',
        )
        // However fast the epochs have become since the first: the last of them is over.
        if (delay === 23) await ended
        else await sleep((delay * epochMs) / 16)
        await kind.server.terminateSessions()
        const outcome = await ended
        const rows = (await kind.rows()).length
        const position = await sink.committed()
        expect([0, values.length]).toContain(rows)
        expect(position).toBe(rows === 0 ? 0 : 1)
        if (outcome === 'committed') expect(position).toBe(1)
        outcomes.add(`${outcome} ${position}`)
      }
      expect([...outcomes]).toEqual(expect.arrayContaining(['committed 1', 'failed 0']))
    })
  })
}
