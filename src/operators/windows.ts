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

export const windowOptions = z.strictObject({
  kind: z.literal('tumbling').describe('windows that follow each other without a gap'),
  size: duration.describe('how long a window is'),
  grace: duration.default(0).describe('how long after its end, beyond the allowed out-of-orderness, it takes records'),
})

export type WindowSpec = z.input<typeof windowOptions>
export type WindowOptions = z.output<typeof windowOptions>

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
