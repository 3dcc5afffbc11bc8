import { NEVER, type Observable, of, Subject, VirtualTimeScheduler } from 'rxjs'
import { beforeEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/model/index.js'
import { Crew, type Link, type Statement, type Topic, type ToSupervisor, type ToWorker } from '../../src/worker/crew.js'
import { type Exit, type SupervisorEnd, supervise } from '../../src/worker/supervisor.js'

let scheduler: VirtualTimeScheduler
let diary: string[]
let lives: Life[]
beforeEach(() => {
  scheduler = new VirtualTimeScheduler()
  diary = []
  lives = []
})

const note = (text: string) => diary.push(`${scheduler.now()} ${text}`)
const taken = () => diary.splice(0)

/** A worker's process in virtual time. */
class Life {
  readonly pid = undefined
  readonly toWorker = new Subject<ToWorker>()
  readonly messages$ = new Subject<ToSupervisor>()
  readonly exit$ = new Subject<Exit>()

  constructor(readonly worker: number) {
    note(`start ${worker}`)
  }

  readonly send = (message: ToWorker) => {
    if (message.kind === 'stop' || message.kind === 'reload') note(`${message.kind} ${this.worker}`)
    else this.toWorker.next(message)
  }

  readonly kill = () => note(`kill ${this.worker}`)

  ends(code: number | null, signal: string | null = null): void {
    this.exit$.next({ code, signal })
    this.exit$.complete()
    this.messages$.complete()
  }

  /** The worker's own end of the line; it answers with its number, or as it is told. */
  joins(says: (topic: Topic) => unknown = (topic) => `${topic} of ${this.worker}`): Crew {
    const link: Link<ToSupervisor, ToWorker> = {
      send: (message) => this.messages$.next(message),
      messages$: this.toWorker,
    }
    const crew = new Crew(link)
    crew.answer((topic) => of(says(topic))).subscribe()
    return crew
  }
}

function start(count: number, reload$: Observable<void> = NEVER) {
  const stop$ = new Subject<void>()
  supervise({
    count,
    start: (worker) => {
      const life = new Life(worker)
      lives.push(life)
      return life
    },
    hopeless: [2, 78],
    clock: { now: () => scheduler.now(), scheduler },
    log: silentLogger,
    stop$,
    reload$,
  }).subscribe((end: SupervisorEnd) => note(JSON.stringify(end)))
  return stop$
}

/** Lets the virtual time pass. */
function until(ms: number): void {
  scheduler.schedule(() => undefined, ms - scheduler.now())
  scheduler.maxFrames = ms
  scheduler.flush()
}

const newest = (worker: number) => lives.filter((life) => life.worker === worker).at(-1) as Life

describe('a supervisor', () => {
  test('has all workers that run load the configuration again; one that starts later has it anyway', () => {
    const reload$ = new Subject<void>()
    void start(2, reload$)
    newest(2).ends(null, 'SIGKILL')
    taken()
    reload$.next()
    expect(taken()).toEqual(['0 reload 1'])
    until(1_000)
    reload$.next()
    expect(taken()).toEqual(['500 start 2', '1000 reload 1', '1000 reload 2'])
  })

  test('starts a worker again that has died, later each time, and at once after a long life', () => {
    void start(2)
    expect(taken()).toEqual(['0 start 1', '0 start 2'])
    for (const at of [1_000, 3_000, 6_000]) {
      until(at)
      newest(2).ends(null, 'SIGKILL')
    }
    until(20_000)
    expect(taken()).toEqual(['1500 start 2', '4000 start 2', '8000 start 2'])
    until(68_000)
    newest(2).ends(1)
    until(70_000)
    expect(taken()).toEqual(['68500 start 2'])
  })

  test('never waits longer than half a minute', () => {
    void start(1)
    for (let deaths = 0; deaths < 12; deaths++) {
      until(scheduler.now() + 30_000)
      newest(1).ends(1)
    }
    const diedAt = scheduler.now()
    taken()
    until(diedAt + 29_999)
    expect(taken()).toEqual([])
    until(diedAt + 30_000)
    expect(taken()).toEqual([`${diedAt + 30_000} start 1`])
  })

  test.each([2, 78])('stops the others when one ends with %i, and ends with that', (code) => {
    void start(3)
    taken()
    newest(2).ends(code)
    expect(taken()).toEqual(['0 stop 1', '0 stop 3'])
    newest(1).ends(0)
    newest(3).ends(0)
    expect(taken()).toEqual([`0 {"code":${code}}`])
  })

  test('ends when all workers have ended by themselves', () => {
    void start(2)
    newest(1).ends(0)
    until(100_000)
    expect(taken()).toEqual(['0 start 1', '0 start 2'])
    newest(2).ends(0)
    expect(taken()).toEqual(['100000 {"outcome":"stopped"}'])
  })

  test('has all drain when it is told to stop, and starts nothing any more', () => {
    const stop$ = start(3)
    newest(1).ends(1)
    until(100)
    stop$.next()
    expect(taken().slice(3)).toEqual(['100 stop 2', '100 stop 3'])
    newest(2).ends(0)
    newest(3).ends(0)
    expect(taken()).toEqual(['100 {"outcome":"stopped"}'])
    until(60_000)
    expect(taken()).toEqual([])
  })

  test('has failed when a worker did not drain', () => {
    const stop$ = start(2)
    stop$.next()
    newest(1).ends(1)
    newest(2).ends(0)
    expect(taken().at(-1)).toBe('0 {"outcome":"failed"}')
  })

  test('kills all that runs when it is told twice, or when they take too long', () => {
    start(2).next()
    taken()
    newest(1).ends(0)
    until(40_000)
    expect(taken()).toEqual(['40000 {"outcome":"overdue"}', '40000 kill 2'])
    const stop$ = start(1)
    taken()
    stop$.next()
    stop$.next()
    expect(taken()).toEqual(['40000 stop 1', '40000 {"outcome":"interrupted"}', '40000 kill 1'])
  })
})

describe('a worker that is asked', () => {
  function asked(crew: Crew): (readonly Statement[])[] {
    const heard: (readonly Statement[])[] = []
    crew.ask('ready').subscribe((statements) => heard.push(statements))
    return heard
  }

  test('tells what each of them says', () => {
    void start(2)
    const crew = newest(1).joins()
    newest(2).joins()
    expect(asked(crew)).toEqual([
      [
        { worker: 1, says: 'ready of 1' },
        { worker: 2, says: 'ready of 2' },
      ],
    ])
  })

  test('tells which of them is absent, and why', () => {
    void start(4)
    const crew = newest(1).joins()
    newest(2).joins()
    newest(3).joins()
    newest(2).ends(null, 'SIGKILL')
    newest(3).ends(0)
    expect(asked(crew)).toEqual([
      [
        { worker: 1, says: 'ready of 1' },
        { worker: 2, absent: { state: 'down', reason: 'it ended by SIGKILL, and starts again in 500 ms' } },
        { worker: 3, absent: { state: 'ended', reason: 'its flows have ended' } },
        { worker: 4, absent: { state: 'starting', reason: 'it is still starting' } },
      ],
    ])
  })

  test('waits 2 s for one that is silent, and not at all for one that dies meanwhile', () => {
    void start(2)
    const crew = newest(1).joins()
    newest(2).messages$.next({ kind: 'joined' })
    const heard = asked(crew)
    until(1_999)
    expect(heard).toEqual([])
    until(2_000)
    expect(heard[0]?.[1]).toMatchObject({ worker: 2, absent: { state: 'silent' } })
    const again = asked(crew)
    newest(2).ends(9)
    expect(again[0]?.[1]).toMatchObject({ worker: 2, absent: { state: 'down' } })
  })

  test('tells of one that was started again what that one says', () => {
    void start(2)
    const crew = newest(1).joins()
    newest(2).joins()
    newest(2).ends(1)
    until(500)
    expect(asked(crew)[0]?.[1]).toMatchObject({ absent: { state: 'starting' } })
    newest(2).joins(() => 'anew')
    expect(asked(crew)[0]?.[1]).toEqual({ worker: 2, says: 'anew' })
  })
})
