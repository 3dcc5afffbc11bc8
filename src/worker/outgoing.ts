import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

/** How much is handed over at once, bytes. */
export const pieceBytes = 64 * 1024

/** What one caller is sent, handed over piece by piece as it reads: what waits is shared, not copied. */
export class Outgoing extends Readable {
  private readonly waiting: Buffer[] = []
  private isWanted = false
  private isOver = false

  constructor(private readonly response: ServerResponse) {
    super({ highWaterMark: pieceBytes })
  }

  /** Bytes that the caller has not taken yet. */
  get unread(): number {
    const waiting = this.waiting.reduce((sum, { length }) => sum + length, 0)
    return waiting + this.readableLength + this.response.writableLength
  }

  offer(part: Buffer): void {
    if (part.length > 0) this.waiting.push(part)
    this.feed()
  }

  /** Nothing more will come. */
  complete(): void {
    this.isOver = true
    this.feed()
  }

  override _read(): void {
    this.isWanted = true
    this.feed()
  }

  private feed(): void {
    while (this.isWanted && !this.destroyed) {
      const [part] = this.waiting
      if (part === undefined) {
        if (this.isOver) this.push(null)
        return
      }
      const isLast = part.length <= pieceBytes
      if (isLast) this.waiting.shift()
      else this.waiting[0] = part.subarray(pieceBytes)
      this.isWanted = this.push(isLast ? part : part.subarray(0, pieceBytes))
    }
  }
}
