import type { ReadRow } from '../../codecs/archive/file-reader.js'
import { timeText } from '../../model/index.js'
import type { Io } from '../io.js'
import { painter, table } from '../paint.js'
import { countText } from '../stored.js'

interface Line {
  records: number
  events: number
  first: number
  last: number
  earliest: number
  latest: number
}

/** What was written, by partition. */
export class Told {
  records = 0
  /** Of those, how many are there for good. */
  committed = 0
  transactions = 0
  private readonly partitions = new Map<number, Line>()

  /** How many wait for their transaction to end. */
  get pending(): number {
    return this.records - this.committed
  }

  /** A record of so many events. */
  add({ partition, offset, timestamp }: ReadRow, events: number): void {
    this.records++
    const line = this.partitions.get(partition)
    if (line === undefined) {
      const times = { earliest: timestamp, latest: timestamp }
      this.partitions.set(partition, { records: 1, events, first: offset, last: offset, ...times })
      return
    }
    line.records++
    line.events += events
    line.last = offset
    line.earliest = Math.min(line.earliest, timestamp)
    line.latest = Math.max(line.latest, timestamp)
  }

  commit(): void {
    if (this.records > this.committed) this.transactions++
    this.committed = this.records
  }

  sentence(to: string): string {
    return `${countText(this.committed, 'record')} written to ${to} in ${countText(this.transactions, 'transaction')}`
  }

  lines(io: Io): string[] {
    if (this.partitions.size === 0) return []
    const rows = [...this.partitions]
      .sort(([a], [b]) => a - b)
      .map(([partition, { records, events, first, last, earliest, latest }]) => [
        String(partition),
        records.toLocaleString('en'),
        events.toLocaleString('en'),
        `${first} to ${last}`,
        shown(earliest),
        shown(latest),
      ])
    const titles = ['partition', 'records', 'events', 'offsets', 'earliest', 'latest']
    const [heading = '', ...lines] = table([titles, ...rows])
    return [painter(io.stdout, io)('dim', heading), ...lines]
  }
}

function shown(timestamp: number): string {
  return timestamp < 0 ? '–' : timeText(timestamp)
}
