import { concatMap, defer, EMPTY, ignoreElements, NEVER, type Observable, tap, VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { compile, Engine, type EngineParts, type Flow } from '../../src/engine/index.js'
import { flow, generate, map, rx } from '../../src/index.js'
import { defineSink, type EpochTransaction, type StreamRecord, silentLogger } from '../../src/model/index.js'
import { MemoryCheckpoints } from '../../src/state/index.js'

/** What happens, each with its virtual ms. */
type Events = (readonly [atMs: number, what: string])[]

class Told extends MemoryCheckpoints {
  constructor(private readonly tell: (what: string) => void) {
    super()
  }

  override begin(): EpochTransaction {
    const transaction = super.begin()
    const rollback = () =>
      defer(() => {
        this.tell('rolled back')
        return transaction.rollback()
      })
    return { ...transaction, rollback }
  }
}

/** An engine in virtual time whose flow is replaced, after 700 ms unless another time is given. */
class Reloaded {
  readonly events: Events = []
  private readonly scheduler = new VirtualTimeScheduler()
  private readonly engine: Engine

  constructor(declared: (reloaded: Reloaded) => Flow, parts: Partial<EngineParts> = {}) {
    this.engine = new Engine(this.topology(declared(this)), {
      clock: { now: () => this.scheduler.now(), scheduler: this.scheduler },
      log: silentLogger,
      http: { serve: () => NEVER },
      production: false,
      dataDirectory: '.',
      checkpoints: new Told((what) => this.tell(what)),
      ...parts,
    })
    this.engine.run().subscribe({ complete: () => this.tell('over') })
  }

  /** Tells what it writes, and when it is closed. */
  sink(name: string) {
    return defineSink({
      name,
      summary: 'A sink of the test.',
      options: z.strictObject({}),
      guarantee: () => 'at-least-once',
      build: () => ({
        write: (records$: Observable<StreamRecord>) =>
          records$.pipe(
            tap(({ value }) => this.tell(`${name} ${String(value)}`)),
            ignoreElements(),
          ),
        close: () =>
          defer(() => {
            this.tell(`${name} is closed`)
            return EMPTY
          }),
      }),
    }).declare({})
  }

  replace(next: (reloaded: Reloaded) => Flow, atMs = 700): this {
    const goingOn = { flows: new Set<string>(), connections: new Set<string>(), drainMs: 1_000 }
    this.scheduler.schedule(() => {
      this.engine
        .replace(this.topology(next(this)), goingOn)
        .subscribe({ next: () => this.tell('begun'), complete: () => this.tell('replaced') })
    }, atMs)
    return this
  }

  stop(atMs: number): Events {
    this.scheduler.schedule(() => this.engine.stop(), atMs)
    this.scheduler.flush()
    return this.events
  }

  private topology(declared: Flow) {
    return compile({ flows: { flow: declared } }, { environment: {} })
  }

  private tell(what: string): void {
    this.events.push([this.scheduler.now(), what])
  }
}

/** Three numbers at once, then none. */
const numbers = () => generate({ rate: 1_000, count: 3, value: (_random, index) => index })
const stuck = (reloaded: Reloaded) => flow(numbers(), rx(concatMap(() => NEVER)), reloaded.sink('stuck'))
const failing = (reloaded: Reloaded) =>
  flow(
    numbers(),
    map((): number => {
      throw new Error('a bug')
    }),
    reloaded.sink('failing'),
  )
/** Fails for good with the first record. */
const failed = (reloaded: Reloaded) => failing(reloaded).with({ attempts: 1 })
const sound = (reloaded: Reloaded) => flow(numbers(), reloaded.sink('sound'))
const texts = (events: Events) => events.map(([, what]) => what)
const all = ['sound 0', 'sound 1', 'sound 2']

describe('a reload', () => {
  test('drops a flow that does not drain, and frees what it held before another begins', () => {
    const events = new Reloaded(stuck).replace(sound).stop(5_000)
    expect(texts(events).slice(0, 3)).toEqual(['rolled back', 'stuck is closed', 'sound 0'])
    expect(events[0]).toEqual([1_700, 'rolled back'])
    expect(texts(events).filter((what) => what.startsWith('sound '))).toEqual([...all, 'sound is closed'])
    expect(texts(events).at(-1)).toBe('over')
  })

  test('begins nothing, and says so, when all are told to stop meanwhile', () => {
    const events = new Reloaded(stuck).replace(sound).stop(1_000)
    expect(texts(events)).not.toContain('begun')
    expect(texts(events).slice(-2)).toEqual(['replaced', 'over'])
  })

  test('does not wait for the next try of a flow that fails, and what that read is read again', () => {
    const events = new Reloaded(failing).replace(sound).stop(5_000)
    expect(events.find(([, what]) => what === 'begun')).toEqual([700, 'begun'])
    expect(texts(events).filter((what) => /^\w+ \d/.test(what))).toEqual(all)
  })

  test('mends flows that have all failed, where they are waited for', () => {
    const events = new Reloaded(failed, { waitsForMends: true }).replace(sound, 60_000).stop(70_000)
    expect(events.find(([, what]) => what === 'begun')).toEqual([60_000, 'begun'])
    expect(texts(events).filter((what) => /^\w+ \d/.test(what))).toEqual(all)
  })

  test('comes too late where flows that have failed are not waited for', () => {
    const events = new Reloaded(failed).replace(sound, 60_000).stop(70_000)
    expect(events.find(([, what]) => what === 'over')?.[0]).toBeLessThan(60_000)
    expect(texts(events)).not.toContain('sound 0')
  })
})
