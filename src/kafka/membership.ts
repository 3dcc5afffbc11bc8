import type { TopicAdmin } from './admin.js'
import { Outage } from './outage.js'
import type { ReaderOptions } from './reader-options.js'
import { shortages } from './stuck.js'

/** How long a group may take to say what a member is to read, before that is told, ms. */
const patienceMs = 15_000
const lookEveryMs = 3_000
/** Where the brokers keep what groups are, and have read. */
const groupsTopic = '__consumer_offsets'

/**
 * Whether the group says what this member is to read, be it nothing. One whose brokers can't write down who is in it, or are
 * not there, says nothing, and the client waits in silence.
 */
export class Membership {
  private waitsFrom: number | undefined
  private looking: Promise<void> = Promise.resolve()
  private ticking: NodeJS.Timeout | undefined
  private readonly outage: Outage

  constructor(
    private readonly topics: Pick<TopicAdmin, 'replicas'>,
    options: Pick<ReaderOptions, 'doing' | 'place' | 'log' | 'group'>,
  ) {
    this.outage = new Outage({ ...options, doing: `${options.doing}: joining group '${options.group}'` })
  }

  get trouble() {
    return this.outage.error
  }

  /** The client joins. */
  start(): void {
    this.joins()
    this.ticking = setInterval(() => {
      this.looking = this.looking.then(() => this.look())
    }, lookEveryMs)
  }

  /** Resolves when it asks nothing any more. */
  async stop(): Promise<void> {
    clearInterval(this.ticking)
    this.waitsFrom = undefined
    await this.looking
  }

  /** It has to be told anew what to read. */
  joins(): void {
    this.waitsFrom ??= performance.now()
  }

  joined(): void {
    this.waitsFrom = undefined
    this.outage.answered()
  }

  private async look(): Promise<void> {
    const { waitsFrom } = this
    if (waitsFrom === undefined || performance.now() - waitsFrom < patienceMs) return
    const why = await this.why()
    if (this.waitsFrom === waitsFrom) this.outage.failed(new Error(`it gives this process nothing to read${why}`))
  }

  private async why(): Promise<string> {
    try {
      const short = await shortages([groupsTopic], this.topics)
      return short === undefined ? '' : ` (${short})`
    } catch {
      return ' (no broker answers)'
    }
  }
}
