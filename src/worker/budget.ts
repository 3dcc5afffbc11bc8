/** Bytes that several things of a kind may hold together. */
export class Budget {
  private taken = 0

  constructor(private most: number) {}

  get held(): number {
    return this.taken
  }

  /** Takes more, if that fits; who would hold all that is held may have any amount. */
  take(bytes: number, own = 0): boolean {
    if (!this.fits(bytes, own)) return false
    this.taken += bytes
    return true
  }

  /** Whether more could be taken. */
  fits(bytes: number, own = 0): boolean {
    return this.taken <= own || this.taken + bytes <= this.most
  }

  give(bytes: number): void {
    this.taken -= bytes
  }
}
