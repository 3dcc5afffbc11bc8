import { deepStrictEqual } from 'node:assert/strict'
import { filter, map } from 'rxjs'
import { type RunHelpers, TestScheduler } from 'rxjs/testing'
import type { Flow, FlowStatus } from '../engine/index.js'
import { type Placed, VirtualFlow, type VirtualFlowOptions } from './virtual-flow.js'

type Values = Readonly<Record<string, unknown>>

/** A record of a diagram that is not put where the others are: another partition, key or time. */
export class At {
  constructor(
    readonly value: unknown,
    readonly placed: Placed,
  ) {}
}

/** Puts one record of a diagram into another partition, or gives it a key or a timestamp. */
export function at(value: unknown, placed: Placed): At {
  return new At(value, placed)
}

/** A whole flow in a marble test; its diagrams may be drawn in any order, and are all compared at the end. */
export interface FlowRun {
  /** What is written to the source's topic, and when. Objects become JSON where the source reads bytes. */
  source(marbles: string, values?: Values, placed?: Placed & { readonly source?: number }): void
  /** What reaches the sink, and when: the value, an array of them behind a `batch`. */
  sink(marbles: string, values?: Values, sink?: string): void
  /** What is written to the dead letters: its error's code. None, if it is not drawn. */
  deadLetters(marbles: string, codes?: Readonly<Record<string, string>>): void
  /** The process ends at each letter, and starts again at once. */
  crash(marbles: string): void
  /** Looks at the flow when the diagrams have ended, their trailing time included, before it is stopped. */
  finally(look: (status: FlowStatus) => void): void
  readonly virtual: VirtualFlow
}

export class MarbleFlow implements FlowRun {
  readonly virtual: VirtualFlow
  private frames = 0
  private wasCompared = false
  private expectedDeadLetters: { readonly at: number; readonly code: unknown }[] = []
  private readonly deadLettersSeen: { readonly at: number; readonly code: unknown }[] = []
  private crashes: number[] = []
  private look: ((status: FlowStatus) => void) | undefined
  private lastStatus: FlowStatus | undefined

  constructor(
    declared: Flow,
    private readonly scheduler: TestScheduler,
    private readonly run: RunHelpers,
    options: VirtualFlowOptions = {},
  ) {
    this.virtual = new VirtualFlow(declared, scheduler, options)
    this.virtual.deadLetters$.subscribe(({ error }) => {
      this.deadLettersSeen.push({ at: scheduler.now(), code: error.code })
    })
  }

  source(
    marbles: string,
    values?: Values,
    { source = 0, ...placed }: Placed & { readonly source?: number } = {},
  ): void {
    for (const { frame, value } of this.parse(marbles, values)) {
      if (value instanceof At) this.virtual.append(frame, value.value, { ...placed, ...value.placed }, source)
      else this.virtual.append(frame, value, placed, source)
    }
  }

  sink(marbles: string, values?: Values, sink?: string): void {
    this.wasCompared = true
    this.parse(marbles, values)
    const written$ = this.virtual.written$.pipe(
      filter((written) => sink === undefined || written.sink === sink),
      map(({ value }) => value),
    )
    this.run.expectObservable(written$).toBe(spaced(marbles), values)
  }

  deadLetters(marbles: string, codes?: Readonly<Record<string, string>>): void {
    this.expectedDeadLetters = this.parse(marbles, codes).map(({ frame, value }) => ({ at: frame, code: value }))
  }

  crash(marbles: string): void {
    this.crashes = this.parse(marbles).map(({ frame }) => frame)
  }

  finally(look: (status: FlowStatus) => void): void {
    this.look = look
  }

  /** Schedules the run, from frame 0 to the end of the longest diagram. */
  launch(): void {
    const { scheduler, virtual } = this
    scheduler.schedule(() => virtual.start(), 0)
    for (const frame of this.crashes) {
      scheduler.schedule(() => {
        virtual.crash()
        virtual.start()
      }, frame)
    }
    scheduler.schedule(() => {
      this.lastStatus = virtual.status()
      virtual.stop()
    }, this.frames + 1)
    // A flow that waits to be tried again would keep virtual time going for ever.
    scheduler.schedule(() => virtual.crash(), this.frames + 2)
  }

  verify(): void {
    deepStrictEqual(this.wasCompared, true, 'what the flow wrote was not compared: draw it with sink()')
    if (this.lastStatus !== undefined) this.look?.(this.lastStatus)
    deepStrictEqual(this.deadLettersSeen, this.expectedDeadLetters)
  }

  private parse(marbles: string, values?: Values): { frame: number; value: unknown }[] {
    const messages = TestScheduler.parseMarbles(spaced(marbles), values, undefined, false, true)
    this.frames = Math.max(this.frames, endOf(marbles))
    return messages.map(({ frame, notification }) => ({ frame, value: (notification as { value?: unknown }).value }))
  }
}

/** A time at the very end of a diagram, `a 9s`, is one only when a space follows. */
function spaced(marbles: string): string {
  return `${marbles} `
}

/** When a diagram ends: the time after its last letter has passed as well. */
function endOf(marbles: string): number {
  return TestScheduler.parseMarbles(`${spaced(marbles)}|`, undefined, undefined, false, true).at(-1)?.frame ?? 0
}
