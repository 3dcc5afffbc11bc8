import type { ServerResponse } from 'node:http'
import type { StreamMessage } from '../model/index.js'
import { Budget } from './budget.js'
import { whenClosed } from './closed.js'
import { Outgoing, pieceBytes } from './outgoing.js'

export interface OutboxLimits {
  /** What all callers together may leave unread, bytes. Whatever several of them are sent counts once. */
  readonly unreadBytes: number
  /** How long a caller may take nothing of what waits for it, ms. */
  readonly stalledMs: number
  /** How long it may be behind, ms, and a ms more for so many bytes. */
  readonly behindMs: number
  readonly bytesPerMs: number
}

/** A stream may be told more while no more than this of earlier messages waits, bytes. */
const mostBehind = 1 << 20

/** What waits for one caller. */
interface Delivery {
  readonly response: ServerResponse
  /** Where it is in the list of them. */
  place: number
  /** What it holds in memory. */
  readonly held: Buffer[]
  unread(): number
  /** When it was last up to date, and when it last took something, ms. */
  since: number
  tookAt: number
  /** What it was sent since, and what of that it had left the last time, bytes. */
  bytes: number
  left: number
}

/**
 * All that callers have asked for and not read yet: bounded in bytes and in time.
 *
 * No map has what is under way. Maps that entries come into and go from all the time are made anew by V8 every few entries, and
 * each of these points to the next: once one is old, all after it, and the answers in them, live until all of memory is
 * collected.
 */
export class Outbox {
  private readonly budget: Budget
  private readonly deliveries: Delivery[] = []
  private readonly deliveryOf = new WeakMap<ServerResponse, Delivery>()
  /** How many are sent it. */
  private readonly holders = new WeakMap<Buffer, number>()

  constructor(
    private readonly limits: OutboxLimits,
    /** Of a clock that never goes back, ms. */
    private readonly now: () => number,
  ) {
    this.budget = new Budget(limits.unreadBytes)
  }

  get unreadBytes(): number {
    return this.budget.held
  }

  /** What to send, or undefined where there is no room for it. */
  body(response: ServerResponse, body: Buffer): Buffer | Outgoing | undefined {
    // Most callers take it at once, and then `sent` finds nothing that waits.
    if (body.length <= pieceBytes) return this.fits(body) ? body : undefined
    const outgoing = new Outgoing(response)
    if (this.track(response, [body], () => outgoing.unread) === undefined) return undefined
    outgoing.offer(body)
    outgoing.complete()
    return outgoing
  }

  /** What `body` gave is handed over; what the caller has not taken of it waits. */
  sent(response: ServerResponse, body: Buffer): void {
    if (response.writableLength > 0) this.track(response, [body], () => response.writableLength)
  }

  /** What to send, and what adds to it; that says whether it could. */
  stream(response: ServerResponse): { readonly outgoing: Outgoing; tell(message: StreamMessage): boolean } {
    const outgoing = new Outgoing(response)
    const delivery = this.track(response, [], () => outgoing.unread)
    const tell = (message: StreamMessage) => {
      const parts = (typeof message === 'string' ? [message] : message).map((part) =>
        typeof part === 'string' ? Buffer.from(part) : part,
      )
      if (delivery === undefined || outgoing.unread > mostBehind) return false
      this.settle(delivery)
      if (!this.hold(delivery, parts)) return false
      for (const part of parts) outgoing.offer(part)
      return true
    }
    return { outgoing, tell }
  }

  /** Whether a caller has taken all that it was sent so far. */
  hasRead(response: ServerResponse): boolean {
    return (this.deliveryOf.get(response)?.unread() ?? 0) === 0
  }

  /** Cuts the callers off that read too slowly. Returns how many. */
  sweep(): number {
    const slow = this.deliveries.filter((delivery) => this.isSlow(delivery))
    for (const { response } of slow) response.destroy()
    return slow.length
  }

  private track(response: ServerResponse, parts: Buffer[], unread: () => number): Delivery | undefined {
    const now = this.now()
    const place = this.deliveries.length
    const delivery: Delivery = { response, place, held: [], unread, since: now, tookAt: now, bytes: 0, left: 0 }
    if (!this.hold(delivery, parts)) return undefined
    this.deliveries.push(delivery)
    this.deliveryOf.set(response, delivery)
    whenClosed(response, () => {
      this.remove(delivery)
      this.release(delivery)
    })
    return delivery
  }

  /** The last one takes its place. */
  private remove({ response, place }: Delivery): void {
    const last = this.deliveries.pop()
    if (last !== undefined && last.response !== response) {
      this.deliveries[place] = last
      last.place = place
    }
    this.deliveryOf.delete(response)
  }

  private fits(body: Buffer): boolean {
    return this.holders.has(body) || this.budget.fits(body.length)
  }

  /** Takes note of what has been read. */
  private settle(delivery: Delivery): void {
    const unread = delivery.unread()
    const now = this.now()
    if (unread < delivery.left) delivery.tookAt = now
    delivery.left = unread
    if (unread > 0) return
    this.release(delivery)
    delivery.since = delivery.tookAt = now
    delivery.bytes = 0
  }

  private isSlow(delivery: Delivery): boolean {
    this.settle(delivery)
    if (delivery.left === 0) return false
    const { stalledMs, behindMs, bytesPerMs } = this.limits
    const now = this.now()
    return now - delivery.tookAt > stalledMs || now - delivery.since > behindMs + delivery.bytes / bytesPerMs
  }

  private hold(delivery: Delivery, parts: Buffer[]): boolean {
    const fresh = parts.filter((part) => !this.holders.has(part))
    if (!this.budget.take(bytesOf(fresh), bytesOf(delivery.held))) return false
    for (const part of parts) this.holders.set(part, (this.holders.get(part) ?? 0) + 1)
    delivery.held.push(...parts)
    delivery.bytes += bytesOf(parts)
    delivery.left += bytesOf(parts)
    return true
  }

  private release({ held }: Delivery): void {
    for (const part of held.splice(0)) {
      const others = (this.holders.get(part) ?? 0) - 1
      if (others > 0) this.holders.set(part, others)
      else {
        this.holders.delete(part)
        this.budget.give(part.length)
      }
    }
  }
}

function bytesOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0)
}
