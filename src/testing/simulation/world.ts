import { type Subscription, VirtualTimeScheduler } from 'rxjs'
import type { Clock } from '../../model/index.js'
import type { Random } from './random.js'

/** Where the simulated wall clocks begin, so that a jump back stays in sensible times. */
const beginning = Date.UTC(2024, 0, 1)

/**
 * Whoever does something in virtual time: a process, or the servers. Each has a scheduler of its own, so that one can
 * stand still while the others go on, and its actions are what it can crash between.
 */
export class Actor {
  readonly scheduler = new VirtualTimeScheduler()
  readonly clock: Clock = { now: () => beginning + this.world.now + this.skewMs, scheduler: this.scheduler }
  /** By how much its wall clock is wrong. Timers do not follow it. */
  skewMs = 0
  state: 'awake' | 'asleep' | 'dead' = 'awake'
  /** Whether Kafka and it do not hear each other. */
  isIsolated = false
  /** Called after each of its actions. */
  acted: () => void = () => undefined

  constructor(
    readonly world: World,
    readonly name: string,
  ) {
    this.scheduler.frame = world.now
  }

  /** Does something later, as an action of its own; never, if it is dead by then. */
  after(ms: number, action: () => void): Subscription {
    return this.scheduler.schedule(action, ms)
  }

  note(what: string): void {
    this.world.note(this.name, what)
  }

  die(): void {
    this.state = 'dead'
    for (const action of [...this.scheduler.actions]) action.unsubscribe()
  }
}

/** Virtual time, one action after another, whoever's it is, and the trace of all that happens. */
export class World {
  now = 0
  readonly trace: string[] = []
  /** Whether nothing goes wrong any more. */
  isCalm = false
  /** The first promise that did not hold. */
  broken: string | undefined
  readonly servers: Actor
  private actors: Actor[] = []

  constructor(readonly random: Random) {
    this.servers = this.actor('servers')
  }

  actor(name: string): Actor {
    const actor = new Actor(this, name)
    this.actors.push(actor)
    return actor
  }

  note(who: string, what: string): void {
    this.trace.push(`${this.now} ${who}: ${what}`)
  }

  /** Tells that a promise does not hold: what it is, and what is there instead. */
  breaks(promise: string): void {
    this.note('BROKEN', promise)
    this.broken ??= promise
  }

  /** Does the next action that is due up to this time. Returns false, at that time, when there is none. */
  step(until: number): boolean {
    const next = this.next()
    this.advance(Math.min(until, next?.due ?? until))
    if (next === undefined || next.due > until) return false
    const { actor } = next
    const action = actor.scheduler.actions.shift()
    const error = action?.execute(action.state, action.delay) as Error | undefined
    if (error !== undefined) throw error
    if (actor.state !== 'dead') actor.acted()
    return true
  }

  private next(): { actor: Actor; due: number } | undefined {
    let best: { actor: Actor; due: number } | undefined
    for (const actor of this.actors) {
      const action = actor.state === 'awake' ? actor.scheduler.actions[0] : undefined
      if (action === undefined) continue
      // What fell due while it was asleep is done when it wakes up.
      const due = Math.max(this.now, action.delay)
      if (best === undefined || due < best.due) best = { actor, due }
    }
    return best
  }

  private advance(to: number): void {
    this.now = to
    this.actors = this.actors.filter(({ state }) => state !== 'dead')
    for (const { scheduler } of this.actors) scheduler.frame = to
  }
}
