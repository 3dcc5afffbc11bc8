import type { StoredChunk, TopicPartition } from '../../model/index.js'
import type { Grant } from './grant.js'
import { LogSearch } from './log-search.js'
import { type Command, type Event, type Machine, type Read, unexpected } from './steps.js'

/**
 * Reads the chunks of a partition that count, in the order of its log, up to where its last epoch ended.
 *
 *   idle ──► preparing ──► searching ──found──► reading ⇄ giving
 *                              │                   │        │
 *                    nothing was committed      the end   enough
 *                              └────────► over ◄───┴────────┘
 */
export class LogLoading implements Machine {
  private state: 'idle' | 'preparing' | 'searching' | 'reading' | 'giving' | 'over' = 'idle'
  private readonly search: LogSearch
  private parts: Uint8Array[] = []
  private isEnd = false

  constructor(
    private readonly source: TopicPartition,
    /** What the task holds of it, if it does. */
    private readonly grant: Grant | undefined,
  ) {
    this.search = new LogSearch([source])
  }

  start(): Command {
    this.state = 'preparing'
    return { do: 'prepare', partitions: [this.source] }
  }

  handle(event: Event): Command {
    if (this.state === 'preparing' && event.on === 'prepared') {
      this.state = 'searching'
      return this.search.start()
    }
    if (this.state === 'searching' && (event.on === 'bounded' || event.on === 'read'))
      return this.search.handle(event) ?? this.found()
    if (this.state === 'reading' && event.on === 'read') return this.read(event)
    if (this.state === 'giving' && event.on === 'given')
      return event.isWanted && !this.isEnd ? this.goOn() : this.over()
    throw unexpected(this.state, event)
  }

  private found(): Command {
    if (this.search.head(this.source).committed === undefined) return this.over()
    this.state = 'reading'
    return { do: 'seek', positions: this.search.starts() }
  }

  private goOn(): Command {
    this.state = 'reading'
    return { do: 'read' }
  }

  private read({ entries }: Read): Command {
    const chunks = [...this.chunksOf(entries)]
    if (chunks.length === 0) return this.isEnd ? this.over() : { do: 'read' }
    this.state = 'giving'
    return { do: 'give', chunks }
  }

  private *chunksOf(entries: Read['entries']): Generator<StoredChunk> {
    const { committed, committedAt } = this.search.head(this.source)
    const keptFrom = committed?.keptFrom ?? 0
    for (const { entry, offset, bytes } of entries) {
      if (offset >= committedAt) {
        this.isEnd = true
        return
      }
      if (entry.kind !== 'chunk') continue
      this.grant?.found(entry.sequence, offset)
      this.parts.push(bytes ?? new Uint8Array())
      if (!entry.isLast) continue
      const whole = this.parts.length === 1 ? (this.parts[0] as Uint8Array) : Buffer.concat(this.parts)
      this.parts = []
      if (entry.sequence >= keptFrom) yield { sequence: entry.sequence, bytes: whole }
    }
  }

  private over(): Command {
    this.state = 'over'
    return { do: 'answer', acquired: [] }
  }
}
