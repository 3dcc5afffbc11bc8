import type { WindowOptions } from '../windows.js'

/** Up to where results are out, and up to where they can be, ms of event time. */
export interface Watermarks {
  readonly closed: number
  readonly watermark: number
}

/**
 * Windows, by their starts, and the slices of time that they share.
 *
 * A record counts in a run of windows: from the first that is open to it, to the last that begins before it. All records
 * with the same run lie in one slice, which is one segment of the store; a window is the merger of the slices in whose
 * runs it is. So a record is written once, however many windows it lies in, and one that is late for some of them keeps
 * out of these whenever they are merged. Records in time have two runs for each advance at most, one where the size is a
 * multiple of it (the "paired windows" of Krishnamurthy, Wu and Franklin, "On-the-fly sharing for streamed aggregation",
 * SIGMOD 2006). A tumbling window is its own slice.
 *
 * A segment is the start of the run's last window, and a part of the advance for each window by which the run is shorter
 * than the longest: so it lies before the next start, and of tumbling windows it is the start.
 */
export class Slices {
  readonly size: number
  private readonly advance: number
  private readonly grace: number
  /** How many windows a time lies in, at most. */
  private readonly longest: number
  private readonly step: number

  constructor({ size, advance = size, grace }: WindowOptions) {
    this.size = size
    this.advance = advance
    this.grace = grace
    this.longest = Math.ceil(size / advance)
    this.step = advance / this.longest
  }

  /** Whether a window has more than one slice. */
  get areShared(): boolean {
    return this.longest > 1
  }

  /** The last window that a time lies in. */
  lastAt(time: number): number {
    return this.floor(time)
  }

  /** The first window that a time lies in. */
  firstAt(time: number): number {
    return this.floor(time - this.size) + this.advance
  }

  /** From when to when times lie in the same windows as this one: the end is the first that does not. */
  sameAs(time: number): readonly [from: number, until: number] {
    const [first, last] = [this.firstAt(time), this.lastAt(time)]
    return [Math.max(last, first - this.advance + this.size), Math.min(last + this.advance, first + this.size)]
  }

  /** When a window closes. */
  closesAt(window: number): number {
    return window + this.size + this.grace
  }

  /** The first window that has not closed at this watermark. */
  firstOpen(watermark: number): number {
    return this.firstAt(watermark - this.grace)
  }

  segmentOf(first: number, last: number): number {
    return last + (this.longest - 1 - Math.round((last - first) / this.advance)) * this.step
  }

  first(segment: number): number {
    const last = this.last(segment)
    return last - (this.longest - 1 - Math.round((segment - last) / this.step)) * this.advance
  }

  last(segment: number): number {
    return this.floor(segment)
  }

  has(segment: number, window: number): boolean {
    return this.first(segment) <= window && window <= this.last(segment)
  }

  /** The windows of a slice whose results are not out; the last of them is not, or the slice would be gone. */
  *windowsOf(segment: number, closed: number): Generator<number> {
    const last = this.last(segment)
    const from = Math.min(last, Math.max(this.first(segment), this.firstOpen(closed)))
    for (let window = from; window <= last; window += this.advance) yield window
  }

  /** Whether the first window of a slice has closed: nothing comes into it any more. */
  isComplete(segment: number, watermark: number): boolean {
    return this.closesAt(this.first(segment)) <= watermark
  }

  /** Whether the last window of a slice has closed: nothing needs it any more. */
  isDone(segment: number, watermark: number): boolean {
    return this.closesAt(this.last(segment)) <= watermark
  }

  /** The windows of these slices whose results are due, oldest first. */
  due(segments: Iterable<number>, { closed, watermark }: Watermarks): number[] {
    const windows = new Set<number>()
    for (const segment of segments) {
      for (const window of this.windowsOf(segment, closed)) {
        if (this.closesAt(window) > watermark) break
        windows.add(window)
      }
    }
    return [...windows].sort((one, other) => one - other)
  }

  private floor(time: number): number {
    return Math.floor(time / this.advance) * this.advance
  }
}
