import { z } from 'zod'
import { type Configurable, type Duration, duration } from '../model/index.js'

/** A span of event time, its end excluded. Results of one window share it: its dates are not to be changed. */
export interface Window {
  readonly start: Date
  readonly end: Date
}

/** The result of one key, over all time. */
export interface Aggregated<R, K = null> {
  readonly key: K
  readonly value: R
}

/** The result of one key in one window. */
export interface Windowed<R, K = null> extends Aggregated<R, K> {
  readonly window: Window
}

/** A slice is told from its neighbours by parts of an advance: what a number can carry beside today's time in ms. */
const finestMs = 2 ** -10

const span = duration.refine((ms) => ms > 0, { error: 'expected more than 0 ms', abort: true })

export const windowOptions = z
  .strictObject({
    kind: z
      .enum(['tumbling', 'hopping'])
      .describe('windows that follow each other without a gap, or that overlap: one begins with each `advance`'),
    size: span.describe('how long a window is'),
    advance: span
      .optional()
      .describe('how long after a window the next one begins; of tumbling windows that is their size'),
    grace: duration
      .default(0)
      .describe('how long after its end, beyond the allowed out-of-orderness, it takes records'),
  })
  .refine(({ kind, advance }) => (kind === 'hopping') === (advance !== undefined), {
    path: ['advance'],
    error: 'expected of hopping windows, and of no others',
  })
  .refine(({ size, advance = size }) => advance <= size, {
    path: ['advance'],
    error: 'expected not more than the size: records between two windows would be lost',
  })
  .refine(({ size, advance = size }) => advance / Math.ceil(size / advance) >= finestMs, {
    path: ['advance'],
    error: 'expected more: no record can lie in so many windows at once',
  })

export type WindowSpec = z.input<typeof windowOptions>
export type WindowOptions = z.output<typeof windowOptions>

/** For graphs. */
export function windowText({ kind, size, advance }: WindowOptions): string {
  return advance === undefined ? `${kind} ${size} ms` : `${kind} ${size} ms by ${advance} ms`
}

/**
 * Windows of one size that follow each other without a gap, aligned to the Unix epoch. A window closes when the
 * watermark passes its end plus `grace`.
 */
export function tumbling(
  size: Configurable<Duration>,
  { grace = 0 }: { readonly grace?: Configurable<Duration> } = {},
): Configurable<WindowSpec> {
  return { kind: 'tumbling', size, grace }
}

/**
 * Windows of one size that overlap: one begins with each `advance`, aligned to the Unix epoch (what Kafka Streams calls
 * hopping windows, with `advanceBy`, and Flink sliding ones, with a slide). `hopping('1h', { advance: '1m' })` has a
 * result of the last hour every minute.
 *
 * A record counts in each window that its time lies in, save those that have closed: it is late only when all of them
 * have. It is stored once all the same: windows share the slices of time that they have in common, two for each advance
 * at most, and what is in them is merged when a window closes. Which slices there are depends on `size` and `advance`:
 * to change either of them, give the stage a new name too.
 */
export function hopping(
  size: Configurable<Duration>,
  options: { readonly advance: Configurable<Duration>; readonly grace?: Configurable<Duration> },
): Configurable<WindowSpec> {
  // Without types nobody has to give them, and what is missing is told where the stage is looked at.
  const { advance, grace = 0 } = (options as typeof options | undefined) ?? {}
  return { kind: 'hopping', size, advance, grace }
}
