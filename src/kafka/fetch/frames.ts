/** Room for the correlation id: nothing shorter is an answer. */
const leastBytes = 4

/**
 * Cuts what a socket gives, in pieces of any size, into frames: a length of 4 bytes, and so many bytes. One that lies whole in
 * a piece is a view of it; of another the bytes are copied once, to where there is room for all of them from the first on.
 */
export class Frames {
  private readonly head = Buffer.alloc(4)
  private headed = 0
  private frame: Buffer | undefined
  private filled = 0

  /** `mostBytes`: what is announced to be longer is no frame. */
  constructor(
    private readonly mostBytes: number,
    private readonly take: (frame: Buffer) => void,
  ) {}

  /** Errors: `NoFrame`. After that nothing makes sense that still comes. */
  push(piece: Buffer): void {
    for (let at = 0; at < piece.length; )
      at = this.frame === undefined ? this.begin(piece, at) : this.fill(this.frame, piece, at)
  }

  /** Returns where the piece goes on. */
  private begin(piece: Buffer, from: number): number {
    let at = from
    while (at < piece.length && this.headed < this.head.length) this.head[this.headed++] = piece[at++] as number
    if (this.headed < this.head.length) return at
    const length = this.head.readInt32BE()
    if (length < leastBytes || length > this.mostBytes) throw new NoFrame(length)
    this.headed = 0
    const end = at + length
    if (end <= piece.length) {
      this.take(piece.subarray(at, end))
      return end
    }
    this.frame = Buffer.allocUnsafeSlow(length)
    this.filled = 0
    return at
  }

  private fill(frame: Buffer, piece: Buffer, at: number): number {
    const copied = piece.copy(frame, this.filled, at)
    this.filled += copied
    if (this.filled === frame.length) {
      this.frame = undefined
      this.take(frame)
    }
    return at + copied
  }
}

/** A length that can't be one: at the other end is no Kafka, or its bytes are out of step. */
export class NoFrame extends Error {
  constructor(private readonly length: number) {
    super(`an answer of ${length} bytes is announced`)
  }

  /** Whether what came is the beginning of a word of TLS: its type, an alert, and its major version. */
  get isTls(): boolean {
    return this.length >>> 16 === 0x1503
  }
}
