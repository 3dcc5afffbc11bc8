import { concat, firstValueFrom, lastValueFrom, of, Subject, Subscription, take, timer, toArray } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { AssignmentChange, Epoch, Position, SourceTask, StreamRecord, WeirError } from '../../src/model/index.js'
import { epochOf } from '../support/source-bench.js'

/** A kind of source with the system behind it, as the contract sees it. Items are numbered from 0 on. */
export interface SourceUnderTest {
  /** Empties the system, and forgets what was committed. */
  reset(): Promise<void> | void
  /** Puts the items of these numbers in, before the source is opened. */
  give(from: number, count: number): Promise<void> | void
  /** The source, as a process has it that begins now. */
  open(): SourceTask
  /** Commits what the source has emitted, with its stores. */
  commit(task: SourceTask): Promise<void>
  /** Has the stores and the source go back to what was committed. */
  rewind(task: SourceTask): Promise<void>
  /** What was committed, as the engine hands it to a source that starts. */
  positions(): readonly Position[]
  number(record: StreamRecord): number
  close(): Promise<void> | void
}

/** A source that holds something while it is read: a connection, a route. */
export interface HoldingSource extends SourceUnderTest {
  held(): Promise<number> | number
}

/** A source whose system can be held back. */
export interface HeldBackSource extends SourceUnderTest {
  /** How many items the system has given away. */
  given(): number
}

/** A source whose system can refuse it for good. */
export interface RefusedSource extends SourceUnderTest {
  refuse(): void
}

/** More tests of a kind of source, for `sourceContract`. */
type More<S> = (source: () => S) => void

/** A source at work, as the engine has it. */
class Running {
  readonly errors: unknown[] = []
  private readonly subscription = new Subscription()

  private constructor(
    private readonly source: SourceUnderTest,
    readonly task: SourceTask,
  ) {}

  static async start(source: SourceUnderTest): Promise<Running> {
    const running = new Running(source, source.open())
    onTestFinished(() => running.leave())
    await running.begin()
    return running
  }

  /** Reads an epoch of so many records, which is cut after a while without them. */
  async read(count: number, epoch: Epoch = epochOf(count, timer(60_000))): Promise<number[]> {
    const records = await firstValueFrom(this.task.read(epoch).pipe(toArray()))
    return records.map((record) => this.source.number(record)).sort((one, other) => one - other)
  }

  async readAndCommit(count: number): Promise<number[]> {
    const numbers = await this.read(count)
    await this.source.commit(this.task)
    return numbers
  }

  /** How many records were emitted before, by the positions. */
  get emitted(): number {
    return this.task.positions().reduce((sum, { offset }) => sum + offset, 0)
  }

  leave(): void {
    this.subscription.unsubscribe()
  }

  private begin(): Promise<void> {
    const { task, source, subscription } = this
    if (task.lifetime$ !== undefined) subscription.add(task.lifetime$.subscribe())
    return new Promise((resolve, reject) => {
      const take = async (change: AssignmentChange) => {
        if (change.kind === 'assigned') await done(change.start(source.positions()))
      }
      subscription.add(
        task.assignments$.subscribe({
          next: (change) => void take(change).then(resolve, reject),
          error: (error: unknown) => {
            this.errors.push(error)
            reject(error)
          },
        }),
      )
    })
  }
}

export function done(work: Parameters<typeof lastValueFrom>[0]): Promise<void> {
  return lastValueFrom(concat(work, of(undefined))).then(() => undefined)
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index)

/** What every source promises, and `more` of what it can do. `name` says which one it is. */
export function sourceContract<S extends SourceUnderTest>(
  name: string,
  start: () => Promise<S> | S,
  ...more: More<S>[]
): void {
  describe(`source: ${name}`, () => {
    let source: S

    beforeAll(async () => {
      source = await start()
    })
    beforeEach(() => source.reset())
    afterAll(() => source.close())

    test('an epoch completes when it is full, and the next goes on', async () => {
      await source.give(0, 10)
      const running = await Running.start(source)
      expect(await running.readAndCommit(4)).toEqual(numbers(0, 4))
      expect(await running.readAndCommit(1)).toEqual([4])
      expect(await running.readAndCommit(5)).toEqual(numbers(5, 5))
    })

    test('an epoch completes when it is cut, with what has come', async () => {
      await source.give(0, 3)
      const running = await Running.start(source)
      expect(await running.readAndCommit(3)).toEqual(numbers(0, 3))
      expect(await running.read(0, epochOf(9, timer(150)))).toEqual([])
    })

    test('an epoch that is cut before it begins emits nothing', async () => {
      await source.give(0, 3)
      const running = await Running.start(source)
      expect(await running.read(0, epochOf(9, of('cut')))).toEqual([])
      expect(await running.readAndCommit(3)).toEqual(numbers(0, 3))
    })

    test('positions count what was emitted, no more and no less', async () => {
      await source.give(0, 7)
      const running = await Running.start(source)
      const before = running.emitted
      await running.readAndCommit(3)
      expect(running.emitted - before).toBe(3)
      await running.readAndCommit(4)
      expect(running.emitted - before).toBe(7)
    })

    test('its end is where it has come to, when all was read', async () => {
      await source.give(0, 5)
      const running = await Running.start(source)
      await running.readAndCommit(5)
      const ends = await firstValueFrom(running.task.ends())
      expect(ends.map(({ end }) => end)).toEqual(ends.map(({ offset }) => offset))
      expect(ends.reduce((sum, { end }) => sum + end, 0)).toBe(running.emitted)
    })

    test('an epoch that is left emits nothing more', async () => {
      await source.give(0, 5)
      const running = await Running.start(source)
      const [record] = await firstValueFrom(running.task.read(epochOf(5)).pipe(take(1), toArray()))
      expect(source.number(record as StreamRecord)).toBeGreaterThanOrEqual(0)
      expect(running.errors).toEqual([])
    })

    for (const describeMore of more) describeMore(() => source)
  })
}

/** For systems that get items at any time. */
export const comesLater: More<SourceUnderTest> = (source) => {
  test('what comes during an epoch is emitted in it', async () => {
    const running = await Running.start(source())
    const read = running.read(2)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await source().give(0, 2)
    expect(await read).toEqual([0, 1])
  })
}

/** For sources that hold something. */
export const frees: More<HoldingSource> = (source) => {
  test('who leaves it leaves nothing behind, in the midst of an epoch too', async () => {
    const running = await Running.start(source())
    const reading = running.task.read(epochOf(9)).subscribe()
    await expect.poll(() => source().held()).toBeGreaterThan(0)
    reading.unsubscribe()
    running.leave()
    await expect.poll(() => source().held()).toBe(0)
  })
}

/** For sources that go back after a failure. */
export const rewinds: More<SourceUnderTest> = (source) => {
  test('an epoch that failed is read again', async () => {
    await source().give(0, 9)
    const running = await Running.start(source())
    expect(await running.readAndCommit(3)).toEqual(numbers(0, 3))
    expect(await running.read(4)).toEqual(numbers(3, 4))
    await source().rewind(running.task)
    expect(await running.readAndCommit(6)).toEqual(numbers(3, 6))
  })
}

/** For sources that can be read again. */
export const replays: More<SourceUnderTest> = (source) => {
  rewinds(source)

  test('a process that starts again goes on after the last commit', async () => {
    await source().give(0, 9)
    const first = await Running.start(source())
    expect(await first.readAndCommit(3)).toEqual(numbers(0, 3))
    expect(await first.read(2)).toEqual(numbers(3, 2))
    first.leave()
    const second = await Running.start(source())
    expect(await second.readAndCommit(6)).toEqual(numbers(3, 6))
  })
}

/** For systems that wait with what nobody reads; their items have 10 kB each. */
export const holdsBack: More<HeldBackSource> = (source) => {
  test('what an epoch has no room for stays where it is', async () => {
    await source().give(0, 2_500)
    const running = await Running.start(source())
    expect(await running.readAndCommit(10)).toEqual(numbers(0, 10))
    // The buffers on the way are full when no more is given.
    let given = -1
    for (; given !== source().given(); await new Promise((resolve) => setTimeout(resolve, 300)))
      given = source().given()
    expect(given).toBeLessThan(1_800)
    const rest = epochOf(2_500 - 10, timer(60_000))
    expect(await running.read(2_500 - 10, rest)).toEqual(numbers(10, 2_500 - 10))
  })
}

/** For systems that refuse for good. */
export const isRefused: More<RefusedSource> = (source) => {
  test('a system that refuses ends it with an error that says so', async () => {
    await source().give(0, 2)
    const running = await Running.start(source())
    await running.readAndCommit(2)
    source().refuse()
    const over$ = new Subject<void>()
    const reading = running.read(1, epochOf(1, over$))
    await expect.poll(() => running.errors.map((error) => (error as WeirError).remedy)).toEqual(['stop'])
    over$.next()
    await reading
  })
}
