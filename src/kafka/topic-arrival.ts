import { firstValueFrom, Subject, takeUntil } from 'rxjs'
import { describeError, type WeirError } from '../model/index.js'
import type { TopicAdmin } from './admin.js'
import type { ReaderOptions } from './reader-options.js'

/** Waits for topics that are not there yet. */
export class TopicArrival {
  /** The one that is waited for. */
  missing: WeirError | undefined
  private readonly over = new Subject<void>()

  constructor(
    private readonly topics: TopicAdmin,
    private readonly options: ReaderOptions,
  ) {}

  /** Resolves with how many partitions each of them has, once all are there, or waiting was given up. */
  async count(): Promise<Map<string, number>> {
    const counts = new Map<string, number>()
    for (const topic of this.options.topics) counts.set(topic, await this.countOf(topic))
    return counts
  }

  giveUp(): void {
    this.over.next()
  }

  private async countOf(topic: string): Promise<number> {
    const { partitions, create, doing, place, log, noticed } = this.options
    const request = { topic, partitions, create, doing, place, unreachable: 'WEIR_SOURCE_UNREACHABLE' } as const
    const count$ = this.topics.await$(request, (error) => {
      this.missing = error
      log.warn({ topic }, describeError(error))
      noticed?.({ topic, change: 'missing' })
    })
    const count = await firstValueFrom(count$.pipe(takeUntil(this.over)), { defaultValue: 0 })
    this.missing = undefined
    return count
  }
}
