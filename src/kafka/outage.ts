import { describeError, systemClock, timeText, type WeirError } from '../model/index.js'
import { kafkaError } from './errors.js'
import type { ReaderOptions } from './reader-options.js'

/** How often in a row brokers don't answer before that is told: once may be an election. */
const isTrouble = 2

/**
 * Whether the brokers answer, as asking them regularly shows. The client itself goes on trying in silence, and a flow whose
 * positions lie elsewhere commits empty epochs meanwhile.
 */
export class Outage {
  /** What they are to be told of who ask. */
  error: WeirError | undefined
  private failures = 0
  private since = 0

  constructor(private readonly options: Pick<ReaderOptions, 'doing' | 'place' | 'log'>) {}

  failed(cause: unknown): void {
    const { doing, place, log } = this.options
    if (++this.failures === 1) this.since = systemClock.now()
    if (this.failures !== isTrouble || !(cause instanceof Error)) return
    this.error = kafkaError('WEIR_SOURCE_UNREACHABLE', `${doing}, since ${timeText(this.since)}`, cause, place)
    log.warn(describeError(this.error))
  }

  answered(): void {
    if (this.error !== undefined) this.options.log.info(`${this.options.doing}: the brokers answer again`)
    this.error = undefined
    this.failures = 0
  }
}
