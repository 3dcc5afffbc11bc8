import fc from 'fast-check'
import { EMPTY, firstValueFrom, lastValueFrom, Observable, Subject, type Subscription } from 'rxjs'
import { describe, expect, test } from 'vitest'
import type { TableChannel, TableMessage, TableMessages, ViewClaim, ViewRow } from '../../src/model/index.js'
import { MemoryViews, ReplicatedViews } from '../../src/state/index.js'

/** A topic in memory, which readers may find compacted. */
class Topic {
  log: TableMessage[] = []
  /** After how many messages the next flush fails; what it wrote before is there. */
  failsAfter = Number.POSITIVE_INFINITY
  private readonly came$ = new Subject<TableMessages>()

  channel(): TableChannel {
    let queue: TableMessage[] = []
    return {
      open: () => EMPTY,
      write: (message) => void queue.push(message),
      flush: () =>
        new Observable((subscriber) => {
          const messages = queue.slice(0, this.failsAfter)
          const isTorn = messages.length < queue.length
          queue = []
          this.failsAfter = Number.POSITIVE_INFINITY
          this.log.push(...messages)
          this.came$.next({ messages, atEnd: true })
          if (isTorn) subscriber.error(new Error('torn'))
          else subscriber.complete()
        }),
      messages$: new Observable((subscriber) => {
        const { log } = this
        // What there is comes in pieces, and its end is known with the last.
        for (let from = 0; from < log.length; from += 3)
          subscriber.next({ messages: log.slice(from, from + 3), atEnd: from + 3 >= log.length })
        if (log.length === 0) subscriber.next({ messages: [], atEnd: true })
        subscriber.add(this.came$.subscribe(subscriber))
      }),
      close: () => EMPTY,
    }
  }

  /** Keeps the last message of each key, as the broker does some day. */
  compact(): void {
    const last = new Map(this.log.map(({ key }, index) => [key, index]))
    this.log = this.log.filter(({ key, value }, index) => last.get(key) === index && value !== null)
  }
}

const view = 'test/stats'

class Replica {
  readonly views: ReplicatedViews
  private readonly following: Subscription

  constructor(topic: Topic) {
    this.views = new ReplicatedViews(new MemoryViews(), () => topic.channel())
    this.views.expect(view, 'task')
    this.following = this.views.follow(view).subscribe()
  }

  async content() {
    const { tables, isWhole } = await firstValueFrom(this.views.read(view))
    const rows = [...tables].flatMap(([table, row]) => [...row].map(([key, value]) => [`${table}/${key}`, value]))
    return { isWhole, rows: Object.fromEntries(rows) as Record<string, unknown> }
  }

  /** As the stage does it: claims its part, and writes all of it where something is missing. */
  async write(claim: ViewClaim, owner: Owner, rows: readonly ViewRow[], removed: readonly ViewRow[]): Promise<void> {
    const write = (of: object) =>
      lastValueFrom(this.views.write({ ...claim, at: 1, ...of } as never), { defaultValue: 0 })
    for (const { key, value } of rows) owner.rows.set(key, value)
    for (const { key } of removed) owner.rows.delete(key)
    owner.sequence++
    const found = await firstValueFrom(this.views.claim(claim))
    const { sequence } = owner
    const isBehind = found === sequence - 1
    const all = [...owner.rows].map(([key, value]) => ({ table: 't', key, value }))
    try {
      await write(
        isBehind ? { sequence, replaces: false, rows, removed } : { sequence, replaces: true, rows: all, removed: [] },
      )
    } catch {
      // It is tried again with the next epoch.
    }
  }

  leave(): void {
    this.following.unsubscribe()
  }
}

/** What is committed of a part, wherever it is owned. */
interface Owner {
  generation: number
  sequence: number
  replica: number
  readonly rows: Map<string, unknown>
}

const claimOf = (part: number, generation: number): ViewClaim => ({
  view,
  part: `task t-${part}`,
  generation,
  task: 'task',
  total: 2,
})

describe('views in the memory of several replicas', () => {
  test('each shows the whole, and is whole once it knows all parts', async () => {
    const topic = new Topic()
    const [one, two] = [new Replica(topic), new Replica(topic)]
    const owners = [0, 1].map((): Owner => ({ generation: 1, sequence: 0, replica: 0, rows: new Map() }))
    await one.write(claimOf(0, 1), owners[0] as Owner, [{ table: 't', key: 'a', value: 1 }], [])
    expect(await two.content()).toEqual({ isWhole: false, rows: { 't/a': 1 } })
    await two.write(claimOf(1, 1), owners[1] as Owner, [], [])
    for (const replica of [one, two, new Replica(topic)])
      expect(await replica.content()).toEqual({ isWhole: true, rows: { 't/a': 1 } })
  })

  test('a late write of a lower generation changes nothing', async () => {
    const topic = new Topic()
    const [zombie, owner, third] = [new Replica(topic), new Replica(topic), new Replica(topic)]
    const before: Owner = { generation: 1, sequence: 0, replica: 0, rows: new Map() }
    await zombie.write(claimOf(0, 1), before, [{ table: 't', key: 'a', value: 1 }], [])
    zombie.leave()
    const after: Owner = { ...before, rows: new Map(before.rows) }
    await owner.write(claimOf(0, 2), after, [{ table: 't', key: 'a', value: 2 }], [])
    await zombie.write(claimOf(0, 1), before, [{ table: 't', key: 'a', value: 9 }, { table: 't', key: 'z', value: 9 }], []) // biome-ignore format: rows
    for (const replica of [owner, third]) expect((await replica.content()).rows).toEqual({ 't/a': 2 })
    // In the topic it lies over the owner's row, which is written again.
    await owner.write(claimOf(0, 2), after, [], [])
    for (const replica of [owner, third, new Replica(topic)])
      expect((await replica.content()).rows).toEqual({ 't/a': 2 })
  })

  test('whatever moves, breaks off and is compacted, all show what is committed', async () => {
    const step = fc.record({
      part: fc.nat(1),
      moves: fc.option(fc.nat(2), { nil: undefined, freq: 3 }),
      puts: fc.array(fc.tuple(fc.nat(5), fc.nat(99)), { maxLength: 4 }),
      removes: fc.array(fc.nat(5), { maxLength: 2 }),
      failsAfter: fc.option(fc.nat(4), { nil: undefined, freq: 4 }),
      then: fc.constantFrom('nothing', 'nothing', 'compact', 'join'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const topic = new Topic()
        const replicas = [0, 1, 2].map(() => new Replica(topic))
        const owners = [0, 1].map((part): Owner => ({ generation: 1, sequence: 0, replica: part, rows: new Map() }))
        const put = async (part: number, rows: ViewRow[], removed: ViewRow[]) => {
          const owner = owners[part] as Owner
          await replicas[owner.replica]?.write(claimOf(part, owner.generation), owner, rows, removed)
        }
        for (const { part, moves, puts, removes, failsAfter = Number.POSITIVE_INFINITY, then } of steps) {
          const owner = owners[part] as Owner
          if (moves !== undefined) Object.assign(owner, { replica: moves, generation: owner.generation + 1 })
          // Keys of different parts differ.
          const rows = puts.map(([key, value]) => ({ table: 't', key: `${part}.${key}`, value }))
          const named = new Set(rows.map(({ key }) => key))
          const removed = removes.map((key) => ({ table: 't', key: `${part}.${key}`, value: 0 }))
          topic.failsAfter = failsAfter
          await put(part, [...new Map(rows.map((row) => [row.key, row])).values()], removed.filter(({ key }) => !named.has(key))) // biome-ignore format: a step
          topic.failsAfter = Number.POSITIVE_INFINITY
          if (then === 'compact') topic.compact()
          if (then === 'join') replicas.push(new Replica(topic))
        }
        // What had broken off is mended with the next epoch.
        for (const part of [0, 1]) for (let again = 0; again < 2; again++) await put(part, [], [])
        const committed = owners.flatMap(({ rows }) => [...rows].map(([key, value]) => [`t/${key}`, value]))
        for (const replica of [...replicas, new Replica(topic)])
          expect(await replica.content()).toEqual({ isWhole: true, rows: Object.fromEntries(committed) })
        topic.compact()
        expect((await new Replica(topic).content()).rows).toEqual(Object.fromEntries(committed))
        for (const replica of replicas) replica.leave()
      }),
      { numRuns: 150 },
    )
  })
})
