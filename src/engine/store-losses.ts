import type { Clock, Logger } from '../model/index.js'
import type { TaskStores } from '../state/index.js'
import type { StoreStatus } from './status.js'

const everyMs = 60_000

/** What bounded stores let go of. Warns of those that are full: at once, and then once a minute while it goes on. */
export class StoreLosses {
  private readonly told = new Map<string, { readonly evicted: number; readonly at: number }>()

  constructor(
    private readonly stores: TaskStores,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  get all(): readonly StoreStatus[] {
    return [...this.stores.losses].map(([store, losses]) => ({ store, ...losses }))
  }

  /** An epoch was committed. */
  committed(): void {
    const now = this.clock.scheduler.now()
    for (const [store, { evicted }] of this.stores.losses) {
      const told = this.told.get(store) ?? { evicted: 0, at: now - everyMs }
      if (evicted === told.evicted || now - told.at < everyMs) continue
      this.told.set(store, { evicted, at: now })
      const keys = evicted - told.evicted
      this.log.warn({ store, keys }, `the store '${store}' is full: ${keys} keys, those touched longest ago, are gone`)
    }
  }
}
