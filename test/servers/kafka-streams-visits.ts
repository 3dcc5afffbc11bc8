import { random } from '../support/job-traffic.js'
import type { Visit, Windows } from './kafka-streams-support.js'

const hour = 3_600_000

/** An hour of yesterday: brokers refuse times to come, and delete what is older than the retention of a topic, a day at least. */
export const base = (Math.floor(Date.now() / hour) - 20) * hour

const floor = (time: number, step: number) => Math.floor(time / step) * step

/**
 * Visits from a seed. Partitions go at different paces; half of a partition's records are of one key. Some times are on the
 * borders of windows, some make records late by a ms or not at all, some are long past, and some leave windows empty.
 */
export class Visits {
  private readonly next: () => number
  private readonly now: number[]

  constructor(
    seed: number,
    private readonly windows: Windows,
    private readonly partitions: number,
  ) {
    this.next = random(seed)
    this.now = Array.from({ length: partitions }, (_, partition) => base + partition * 37_000)
  }

  take(records: number): Visit[] {
    const visits: Visit[] = []
    while (visits.length < records) {
      const partition = Math.floor(this.next() ** 2 * this.partitions)
      for (const time of this.times(partition)) visits.push({ partition, key: this.key(partition), time })
    }
    return visits
  }

  /** A record an hour after all others in each partition: it closes the windows before. */
  last(): Visit[] {
    const time = Math.max(...this.now) + hour
    return this.now.map((_, partition) => ({ partition, key: `last-${partition}`, time }))
  }

  private key(partition: number): string {
    return `user-${partition}-${this.next() < 0.5 ? 0 : this.below(7)}`
  }

  private times(partition: number): number[] {
    const { sizeMs, advanceMs = sizeMs, graceMs } = this.windows
    const now = this.now[partition]!
    const begin = floor(now, advanceMs)
    const draw = this.next()
    if (draw < 0.45) return this.move(partition, this.below(400))
    if (draw < 0.7) return [now - this.below(graceMs)]
    if (draw < 0.8) return [begin, begin - 1]
    if (draw < 0.86) {
      const end = begin + sizeMs
      return [...this.move(partition, end + graceMs - this.below(2) - now), end - 1, end, end - sizeMs]
    }
    if (draw < 0.93) return [now - graceMs - this.below(2 * sizeMs)]
    if (draw < 0.99) return [now, now]
    return this.move(partition, sizeMs * (1 + this.below(4)))
  }

  /** The stream time of a partition goes on. */
  private move(partition: number, by: number): number[] {
    return [(this.now[partition]! += by)]
  }

  private below(limit: number): number {
    return Math.floor(this.next() * limit)
  }
}

export const pages = Array.from({ length: 12 }, (_, page) => `page-${page}`)

/** Visits of a partition, one every so many ms. */
export function inOrder(partition: number, from: number, records: number, everyMs: number): Visit[] {
  return Array.from({ length: records }, (_, index) => {
    const page = pages[(index * (partition + 5)) % pages.length]!
    return { partition, key: `user-${partition}`, time: base + from + index * everyMs, page }
  })
}

/** A visit of each page in each partition, all at one time. */
export function everyPage(partitions: number, time: number): Visit[] {
  return Array.from({ length: partitions }, (_, partition) => partition).flatMap((partition) =>
    pages.map((page) => ({ partition, key: `user-${partition}`, time: base + time, page })),
  )
}

/** How many windows each record misses, because its partition's stream time was beyond their end and grace when it came. */
export function missed(visits: readonly Visit[], { sizeMs, advanceMs = sizeMs, graceMs }: Windows) {
  const streamTimes = new Map<number, number>()
  const offsets = new Map<number, number>()
  return visits.map(({ partition, time }) => {
    const streamTime = Math.max(time, streamTimes.get(partition) ?? time)
    const offset = offsets.get(partition) ?? 0
    streamTimes.set(partition, streamTime)
    offsets.set(partition, offset + 1)
    const ends: number[] = []
    for (let start = floor(time, advanceMs); start + sizeMs > time; start -= advanceMs) ends.push(start + sizeMs)
    const closed = ends.filter((end) => end + graceMs <= streamTime)
    return { place: `${partition}@${offset}`, missed: closed.length, isLate: closed.length === ends.length }
  })
}
