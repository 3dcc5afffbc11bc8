import type { TopicPartition, WeirError } from '../model/index.js'
import { lookEveryMs, Sharing } from '../state/topic-protocol/index.js'
import type { TopicAdmin } from './admin.js'
import type { Groups } from './groups.js'
import type { ReaderOptions } from './reader-options.js'

/** Looks whether the group of a member with a lasting name has shared out all that there is, until it has once. */
export class ShareWatch {
  private readonly machine: Sharing
  private looking: Promise<void> = Promise.resolve()
  private ticking: NodeJS.Timeout | undefined

  constructor(
    private readonly topics: Pick<TopicAdmin, 'describe'>,
    private readonly groups: Pick<Groups, 'describe'>,
    private readonly options: ReaderOptions,
    tries: number,
    /** Told once: why to join anew, or nothing where all is shared out. */
    private readonly found: (error: WeirError | undefined) => void,
  ) {
    this.machine = new Sharing(options, tries)
  }

  start(): void {
    this.ticking = setInterval(() => {
      this.looking = this.looking.then(() => this.look())
    }, lookEveryMs)
  }

  /** Resolves when it asks nothing any more. */
  async stop(): Promise<void> {
    clearInterval(this.ticking)
    this.ticking = undefined
    await this.looking
  }

  private async look(): Promise<void> {
    if (this.ticking === undefined) return
    try {
      const [seen, given] = [await this.topics.describe(this.options.topics), await this.given()]
      const found = this.machine.look(seen, given, performance.now())
      if (found === false || this.ticking === undefined) return
      clearInterval(this.ticking)
      this.found(found === true ? undefined : found)
    } catch (error) {
      this.options.log.debug({ err: error }, 'Kafka: looking at the group failed')
    }
  }

  private async given(): Promise<readonly TopicPartition[] | undefined> {
    const [group] = await this.groups.describe([this.options.group])
    return group?.state === 'stable' ? group.members.flatMap(({ partitions }) => partitions) : undefined
  }
}
