import { type Position, partitionName, type TopicPartition } from '../../model/index.js'
import { LogHead } from './log-head.js'
import { type Bounded, type Bounds, type Read, type Search, unexpected } from './steps.js'

/** How many entries before the end are looked at first for where the last epoch ended. */
const firstWindow = 32

/**
 * Finds out where logs stand: looks ever further back, until each log's last commit is found or all of the log is read.
 *
 *                       ┌── not all found: further back ──┐
 *                       ▼                                 │
 *   bounding ──► reading the last entries ──► each log has ended ──► found
 */
export class LogSearch {
  private readonly heads = new Map<string, LogHead>()
  private bounds: readonly Bounds[] = []
  private window = firstWindow
  private state: 'bounding' | 'reading' | 'found' = 'bounding'

  constructor(private readonly sources: readonly TopicPartition[]) {}

  start(): Search {
    return { do: 'bound', partitions: this.sources }
  }

  /** The next thing to do; undefined when all is found. */
  handle(event: Bounded | Read): Search | undefined {
    if (this.state === 'bounding' && event.on === 'bounded') {
      this.bounds = event.bounds
      this.state = 'reading'
      return this.seek()
    }
    if (this.state === 'bounding' || event.on === 'bounded') throw unexpected(this.state, event)
    this.follow(event)
    if (this.state === 'found') return undefined
    if (!event.hasEnded) return { do: 'read' }
    if (this.sources.every((source) => this.isFound(source))) {
      this.state = 'found'
      return undefined
    }
    this.window *= 8
    return this.seek()
  }

  head(source: TopicPartition): LogHead {
    return this.heads.get(partitionName(source)) as LogHead
  }

  all(): readonly LogHead[] {
    return [...this.heads.values()]
  }

  /** Where the logs begin. */
  starts(): readonly Position[] {
    return this.bounds.map(({ topic, partition, start }) => ({ topic, partition, offset: start }))
  }

  private seek(): Search {
    for (const source of this.sources) this.heads.set(partitionName(source), new LogHead(source))
    const positions = this.sources.map(({ topic, partition }) => {
      const { start, end } = this.boundsOf({ topic, partition })
      return { topic, partition, offset: Math.max(start, end - this.window) }
    })
    return { do: 'seek', positions }
  }

  private follow({ entries }: Read): void {
    for (const { source, entry, offset } of entries) this.heads.get(partitionName(source))?.apply(entry, offset)
  }

  private isFound(source: TopicPartition): boolean {
    const { start, end } = this.boundsOf(source)
    return this.head(source).committed !== undefined || end - this.window <= start
  }

  private boundsOf({ topic, partition }: TopicPartition): Bounds {
    const known = this.bounds.find((bounds) => bounds.topic === topic && bounds.partition === partition)
    return known ?? { topic, partition, start: 0, end: 0 }
  }
}
