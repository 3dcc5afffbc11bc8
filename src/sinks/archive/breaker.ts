import { defer, Observable, type Subscriber, type Subscription, startWith } from 'rxjs'
import { type Clock, type Logger, timeText } from '../../model/index.js'
import type { BlobFault } from './blob-fault.js'
import { Signal } from './signal.js'

/**
 *   closed ──── so many failures in a row, or a refusal ───► open ──── its pause is over ───► half-open
 *     ▲                                                       ▲                                  │
 *     │                                                       └────────── the one failed ────────┤
 *     └────────────────────────────── the one came through ──────────────────────────────────────┘
 */
export type BreakerState =
  | { readonly state: 'closed' }
  | {
      /** `open`: nothing is tried. `half-open`: one request is let through, when there is one. */
      readonly state: 'open' | 'half-open'
      /** When the first of the failures was, ms of the wall clock. */
      readonly since: number
      readonly error: BlobFault
    }

export interface BreakerOptions {
  /** After how many failures in a row nothing is tried any more. */
  readonly failures: number
  /** How long nothing is tried then; twice as long with each time that the next one fails, ms. */
  readonly pauseMs: number
  readonly longestPauseMs: number
  /** Between 0 and 1, by chance. */
  readonly random: () => number
  readonly clock: Clock
  readonly log: Logger
  /** What the store is called in the log. */
  readonly address: string
}

/** How a request was let through. */
export interface Admitted {
  /** Whether it is the one by which the breaker finds out how the store is. */
  readonly isProbe: boolean
}

/**
 * Stops asking a store that does not answer. All its requests wait while it is open, and one goes ahead when it is half-open.
 */
export class Breaker {
  private current: BreakerState = { state: 'closed' }
  private failures = 0
  private failingSince = 0
  private pauses = 0
  private timer: Subscription | undefined
  private isProbing = false
  private readonly changed = new Signal<BreakerState>()
  private readonly waiting = new Set<Subscriber<Admitted>>()

  constructor(private readonly options: BreakerOptions) {}

  get state(): BreakerState {
    return this.current
  }

  /** What it is, and each change. */
  readonly state$ = defer(() => this.changed.happens$.pipe(startWith(this.current)))

  /** Emits once, when a request may go ahead. It has to say what became of it: `succeeded`, `failed` or `left`. */
  readonly admission$ = new Observable<Admitted>((output) => {
    this.waiting.add(output)
    if (this.current.state === 'closed') this.admit(output, { isProbe: false })
    else this.letOne()
    return () => this.waiting.delete(output)
  })

  /** The store has answered. */
  succeeded(): void {
    this.failures = 0
    if (this.current.state === 'closed') return
    this.isProbing = false
    this.pauses = 0
    this.timer?.unsubscribe()
    this.options.log.info(`${this.options.address} answers again; it failed since ${timeText(this.failingSince)}`)
    this.change({ state: 'closed' })
    for (const output of [...this.waiting]) this.admit(output, { isProbe: false })
  }

  /** A refusal will not pass by itself, so that a single one is enough, and the longest pause. */
  failed(error: BlobFault, { isProbe }: Admitted): void {
    const { clock, failures } = this.options
    // Of those that were under way when it opened nothing new is learnt.
    if (this.current.state !== 'closed' && !isProbe) return
    if (isProbe) this.isProbing = false
    if (this.failures++ === 0) this.failingSince = clock.now()
    if (isProbe || error.kind === 'WEIR_BLOB_REFUSED' || this.failures >= failures) this.open(error)
  }

  /** Nobody wants to know any more what becomes of a request. */
  left({ isProbe }: Admitted): void {
    if (!isProbe || this.current.state !== 'half-open') return
    this.isProbing = false
    this.letOne()
  }

  close(): void {
    this.timer?.unsubscribe()
  }

  private open(error: BlobFault): void {
    const { clock, log, pauseMs, longestPauseMs, random } = this.options
    const isRefusal = error.kind === 'WEIR_BLOB_REFUSED'
    const pause = isRefusal ? longestPauseMs : Math.min(longestPauseMs, pauseMs * 2 ** this.pauses++)
    // Many processes are not to come back at once.
    const waitMs = Math.max(error.retryAfterMs, Math.round(pause * (1 - random() / 2)))
    const told = `${error.told} Nothing is tried for ${Math.ceil(waitMs / 1_000)} s.`
    if (this.current.state === 'closed') log.error(told)
    else log.warn(told)
    this.timer = clock.scheduler.schedule(() => this.halfOpen(error), waitMs)
    this.change({ state: 'open', since: this.failingSince, error })
  }

  private halfOpen(error: BlobFault): void {
    this.change({ state: 'half-open', since: this.failingSince, error })
    this.letOne()
  }

  private letOne(): void {
    const [next] = this.waiting
    if (next === undefined || this.current.state !== 'half-open' || this.isProbing) return
    this.isProbing = true
    this.admit(next, { isProbe: true })
  }

  /** What it does may let others through, at once: it must not be among them. */
  private admit(output: Subscriber<Admitted>, how: Admitted): void {
    this.waiting.delete(output)
    output.next(how)
    output.complete()
  }

  private change(state: BreakerState): void {
    this.current = state
    this.changed.tell(state)
  }
}
