import { concat, defer, EMPTY, lastValueFrom, merge, NEVER, type Observable, throwError, timer } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { expect, test } from 'vitest'
import { systemClock, WeirError } from '../../src/model/index.js'
import { Asking } from '../../src/sinks/archive/asking.js'
import { BlobFault, type BlobFaultCode } from '../../src/sinks/archive/blob-fault.js'
import { Blobs } from '../../src/sinks/archive/blobs.js'
import { Resilient } from '../../src/sinks/archive/resilient.js'
import { VirtualClock } from '../../src/testing/virtual-clock.js'
import { listLog } from '../support/list-log.js'
import { MemoryBlobs } from '../support/memory-blobs.js'

const fault = (kind: BlobFaultCode, retryAfterMs = 0) => new BlobFault(kind, 'no', { retryAfterMs, hint: 'Mend it.' })

interface World {
  readonly memory: MemoryBlobs
  readonly store: Blobs
  readonly clock: VirtualClock
  readonly log: ReturnType<typeof listLog>
  /** When each request was asked, ms. */
  readonly times: number[]
  /** Each state of the breaker, and when it began. */
  readonly states: [number, string][]
  /** Subscribes; tells when it ended, and how. */
  run(work$: Observable<unknown>): Outcome
  at(ms: number, work: () => void): void
}

interface Outcome {
  end?: [ms: number, how: unknown]
  leave(): void
}

/** Runs a story in virtual time, for as long as something waits. Chance is always in the middle. */
function inTime(patienceMs: number | undefined, story: (world: World) => void): void {
  const scheduler = new TestScheduler(() => undefined)
  scheduler.maxFrames = Number.POSITIVE_INFINITY
  const clock = new VirtualClock(scheduler)
  const memory = new MemoryBlobs()
  const log = listLog()
  const patience = patienceMs === undefined ? {} : { patienceMs }
  const store = new Blobs(new Resilient(memory, { clock, log, random: () => 0, ...patience }))
  const times: number[] = []
  const states: [number, string][] = []
  scheduler.run(() => {
    story({
      memory,
      store,
      clock,
      log,
      times,
      states,
      run(work$) {
        const outcome: Outcome = { leave: () => running.unsubscribe() }
        const running = work$.subscribe({
          complete: () => (outcome.end = [scheduler.now(), 'complete']),
          error: (error: unknown) => (outcome.end = [scheduler.now(), error]),
        })
        return outcome
      },
      at: (ms, work) => void timer(ms).subscribe(work),
    })
    store.state$.subscribe(({ state }) => states.push([scheduler.now(), state]))
  })
}

const file = (store: Blobs, name: string, text = 'file') =>
  defer(() => {
    const writer = store.create(name)
    return concat(writer.write(Buffer.from(text)), writer.complete())
  })

/** Fails until that time. */
const until =
  ({ clock, times }: World, ms: number, error: BlobFault): MemoryBlobs['meeting'] =>
  (_, work$) => {
    times.push(clock.scheduler.now())
    return clock.scheduler.now() < ms ? throwError(() => error) : work$
  }

test('a request is tried again after pauses that double, then after those of the breaker, for as long as it takes', () => {
  let outcome: Outcome | undefined
  let seen: World | undefined
  inTime(undefined, (world) => {
    seen = world
    world.memory.meeting = until(world, 200_000, fault('WEIR_BLOB_UNREACHABLE'))
    outcome = world.run(file(world.store, 'a'))
  })
  expect(seen?.times).toEqual([
    // Pauses of 200, 400, 800 and 1,600 ms; with the fifth failure in a row it opens.
    0, 200, 600, 1_400, 3_000,
    // For 1, 2, 4, 8, 16 s, and then 30 s at most.
    4_000, 6_000, 10_000, 18_000, 34_000, 64_000, 94_000, 124_000, 154_000, 184_000, 214_000,
  ])
  expect(outcome?.end).toEqual([214_000, 'complete'])
  expect(seen?.states.slice(0, 4)).toEqual([
    [0, 'closed'],
    [3_000, 'open'],
    [4_000, 'half-open'],
    [4_000, 'open'],
  ])
  expect(seen?.states.at(-1)).toEqual([214_000, 'closed'])
})

test('chance takes away half of a pause at most', () => {
  const scheduler = new TestScheduler(() => undefined)
  const memory = new MemoryBlobs()
  const clock = new VirtualClock(scheduler)
  const times: number[] = []
  scheduler.run(() => {
    memory.meeting = (_, work$) => {
      times.push(scheduler.now())
      return times.length < 3 ? throwError(() => fault('WEIR_BLOB_UNREACHABLE')) : work$
    }
    new Blobs(new Resilient(memory, { clock, log: listLog(), random: () => 1 })).remove('a').subscribe()
  })
  expect(times).toEqual([0, 100, 300])
})

test('what somebody has to mend is told once, at once, and tried again with the longest pause', () => {
  inTime(undefined, (world) => {
    world.memory.meeting = until(world, 50_000, fault('WEIR_BLOB_REFUSED'))
    const outcome = world.run(file(world.store, 'a'))
    world.at(0, () => {
      expect(world.store.state).toMatchObject({ state: 'open', error: { code: 'WEIR_BLOB_REFUSED' } })
      expect(world.log.lines).toEqual(['error: no. Mend it. Nothing is tried for 30 s.'])
    })
    world.at(100_000, () => {
      expect(world.times).toEqual([0, 30_000, 60_000])
      expect(outcome.end).toEqual([60_000, 'complete'])
      expect(world.log.lines.slice(1)).toEqual([
        'warn: no. Mend it. Nothing is tried for 30 s.',
        expect.stringMatching(/^info: memory:\/\/blobs answers again/),
      ])
    })
  })
  expect.assertions(5)
})

test('a store that asks for time gets it, from a request and from the breaker', () => {
  inTime(undefined, (world) => {
    world.memory.meeting = until(world, 100_000, fault('WEIR_BLOB_UNREACHABLE', 40_000))
    const outcome = world.run(file(world.store, 'a'))
    world.at(500_000, () => {
      expect(world.times).toEqual([0, 40_000, 80_000, 120_000])
      expect(outcome.end).toEqual([120_000, 'complete'])
    })
  })
  expect.assertions(2)
})

test('while it is open nobody asks, and half-open lets one of them through', () => {
  inTime(undefined, (world) => {
    const { store, memory, times } = world
    memory.meeting = until(world, 20_000, fault('WEIR_BLOB_UNREACHABLE'))
    const outcomes = Array.from({ length: 10 }, (_, index) => world.run(file(store, `file-${index}`)))
    world.at(19_000, () => {
      // All ten at first; after that the probes alone: with 1, 2, 4 and 8 s between them.
      expect(times.filter((ms) => ms > 0)).toEqual([1_000, 3_000, 7_000, 15_000])
    })
    world.at(40_000, () => {
      expect(outcomes.map(({ end }) => end?.[1])).toEqual(Array(10).fill('complete'))
      expect(times.filter((ms) => ms > 15_000)).toEqual(Array(10).fill(31_000))
    })
  })
  expect.assertions(3)
})

test('a probe that is left makes room for the next, and one that comes later is let through, too', () => {
  inTime(undefined, (world) => {
    const { store, memory } = world
    memory.meeting = () => throwError(() => fault('WEIR_BLOB_REFUSED'))
    const second = world.run(file(store, 'a'))
    // It waits already when the other one begins to.
    const first = world.run(file(store, 'b'))
    world.at(29_000, () => {
      memory.asked.length = 0
      memory.meeting = (request, work$) => (memory.asked.length === 1 ? NEVER : work$)
    })
    world.at(35_000, () => {
      expect([store.state.state, memory.asked.length, second.end]).toEqual(['half-open', 1, undefined])
      first.leave()
      expect([store.state.state, second.end]).toEqual(['closed', [35_000, 'complete']])
    })
  })
  expect.assertions(2)
})

test('where nobody waits it is half-open by itself, and whoever comes then goes ahead', () => {
  inTime(undefined, (world) => {
    const { store, memory } = world
    memory.meeting = () => throwError(() => fault('WEIR_BLOB_REFUSED'))
    const left = world.run(file(store, 'a'))
    world.at(10_000, () => left.leave())
    world.at(31_000, () => {
      expect(store.state.state).toBe('half-open')
      memory.meeting = (_, work$) => work$
      expect(world.run(file(store, 'b')).end).toEqual([31_000, 'complete'])
    })
  })
  expect.assertions(2)
})

test('a wall clock that is set back holds nothing up, and says when it began all the same', () => {
  inTime(undefined, (world) => {
    const { store, clock } = world
    clock.jump(1_000_000)
    world.memory.meeting = until(world, 50_000, fault('WEIR_BLOB_REFUSED'))
    const outcome = world.run(file(store, 'a'))
    expect(store.state).toMatchObject({ since: 1_000_000 })
    world.at(5_000, () => clock.jump(-900_000_000))
    world.at(70_000, () => expect(outcome.end).toEqual([60_000, 'complete']))
  })
  expect.assertions(2)
})

test('an answer that is a no is an answer: it does not count, and is told', () => {
  inTime(undefined, (world) => {
    const { store, memory } = world
    for (let index = 0; index < 10; index++) world.run(store.read(`nowhere-${index}`))
    memory.files.set('a', Buffer.from('other'))
    const outcome = world.run(file(store, 'a'))
    world.at(0, () => {
      expect(outcome.end?.[1]).toMatchObject({ code: 'WEIR_BLOB_CONFLICT' })
      expect(store.state.state).toBe('closed')
    })
  })
  expect.assertions(2)
})

test('failures that others come between do not open it', () => {
  inTime(undefined, (world) => {
    const { store, memory } = world
    let requests = 0
    memory.meeting = (_, work$) => (++requests % 3 === 0 ? work$ : throwError(() => fault('WEIR_BLOB_UNREACHABLE')))
    const outcome = world.run(concat(...'abcdefgh'.split('').map((name) => file(store, name))))
    world.at(60_000, () =>
      expect([outcome.end?.[1], world.states.map(([, state]) => state)]).toEqual(['complete', ['closed']]),
    )
  })
  expect.assertions(1)
})

test.each([
  ['UNREACHABLE', 0, 0],
  ['UNREACHABLE', 2_500, 1_400],
  ['REFUSED', 0, 0],
  ['REFUSED', 45_000, 45_000],
] as const)('with patience for %s of %d ms its error is told after %d ms', (kind, patienceMs, ms) => {
  inTime(patienceMs, (world) => {
    world.memory.meeting = () => throwError(() => fault(`WEIR_BLOB_${kind}`))
    const outcome = world.run(file(world.store, 'a'))
    world.at(100_000, () => expect(outcome.end).toEqual([ms, expect.objectContaining({ code: `WEIR_BLOB_${kind}` })]))
  })
  expect.assertions(1)
})

test('answers that are lost to each request once leave one whole file', () => {
  inTime(undefined, (world) => {
    const { store, memory } = world
    const lost = new Set<string>()
    memory.meeting = (request, work$) =>
      lost.size === lost.add(request).size
        ? work$
        : concat(
            work$,
            throwError(() => fault('WEIR_BLOB_UNREACHABLE')),
          )
    const outcome = world.run(merge(file(store, 'small', 'abc'), file(store, 'large', 'abcdefghij')))
    world.at(10_000, () => {
      expect(outcome.end?.[1]).toBe('complete')
      expect([...memory.files].map(([name, bytes]) => [name, bytes.toString()]).sort()).toEqual([
        ['large', 'abcdefghij'],
        ['small', 'abc'],
      ])
      expect([...memory.uploads]).toEqual([])
    })
  })
  expect.assertions(3)
})

test('a store that is closed leaves nothing waiting', () => {
  inTime(undefined, (world) => {
    world.memory.meeting = () => throwError(() => fault('WEIR_BLOB_REFUSED'))
    world.run(file(world.store, 'a')).leave()
    world.run(world.store.close())
    world.at(100_000, () => expect(world.states).toEqual([[0, 'open']]))
  })
  expect.assertions(1)
})

test('a piece is taken up to the bytes of a part, and more of it goes out at once', () => {
  inTime(undefined, ({ store, memory, run }) => {
    const writer = store.create('a')
    run(writer.write(Buffer.from('abcd')))
    expect([memory.asked, writer.heldBytes]).toEqual([[], 4])
    run(writer.write(Buffer.from('efghijklm')))
    expect([memory.asked, writer.heldBytes]).toEqual([['begin', 'part', 'part', 'part'], 1])
    run(concat(writer.complete(), EMPTY))
    expect(memory.files.get('a')?.toString()).toBe('abcdefghijklm')
  })
  expect.assertions(3)
})

test('a client that is not installed is no fault of the store: it is told as it is, and not tried again', async () => {
  const missing = new WeirError('WEIR_CONFIG_INVALID', 'loading a-client: it is not installed')
  const fault = (doing: string) => new BlobFault('WEIR_BLOB_UNREACHABLE', doing)
  const ask = new Asking({ address: 'memory:', timeoutMs: 1_000, clock: systemClock, fault })
  const memory = new MemoryBlobs()
  memory.meeting = () => ask.done('writing', 'a', () => Promise.reject(missing))
  const store = new Blobs(new Resilient(memory, { clock: systemClock, log: listLog() }))
  await expect(lastValueFrom(file(store, 'a'))).rejects.toBe(missing)
  expect([memory.asked, store.state.state]).toEqual([['put'], 'closed'])
})

test('what is logged are whole sentences, with a hint or without', () => {
  inTime(undefined, (world) => {
    world.memory.meeting = until(world, 100, new BlobFault('WEIR_BLOB_UNREACHABLE', 'writing a: 500'))
    world.run(file(world.store, 'a'))
    world.at(1_000, () => expect(world.log.lines).toEqual(['warn: writing a: 500. Trying again in 200 ms.']))
  })
  expect.assertions(1)
})
