/** From a change of the clocks to where the zone goes by it for certain, and the furthest that two offsets lie apart. */
const aroundMs = 36 * 3_600_000

/**
 * What clocks on the walls of a zone show. A wall time is a number of ms, as if the zone were UTC: where clocks are set back it
 * belongs to two instants, and where they are set ahead to none.
 */
export class TimeZone {
  private readonly format: Intl.DateTimeFormat

  /** Errors with a RangeError when there is no such zone. */
  constructor(name: string) {
    this.format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })
  }

  /** How far its clocks are ahead of UTC, ms. */
  offsetAt(instant: number): number {
    const name = this.format.formatToParts(instant).find(({ type }) => type === 'timeZoneName')?.value ?? ''
    const [, sign, hours = 0, minutes = 0, seconds = 0] = /([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(name) ?? []
    return (sign === '-' ? -1_000 : 1_000) * (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds))
  }

  wallAt(instant: number): number {
    return instant + this.offsetAt(instant)
  }

  /** When clocks show it, the earlier one first. */
  instantsOf(wall: number): readonly number[] {
    const offsets = [this.offsetAt(wall - aroundMs), this.offsetAt(wall + aroundMs)]
    const instants = [...new Set(offsets.map((offset) => wall - offset))]
    return instants.filter((instant) => this.wallAt(instant) === wall).sort((one, other) => one - other)
  }

  /** When clocks are set ahead beyond a wall time that they never show. */
  leapOver(wall: number): number {
    return this.changeBetween(wall - aroundMs, wall + aroundMs)
  }

  /** When its offset changed, between two instants at which that was not the same. */
  changeBetween(from: number, to: number): number {
    const before = this.offsetAt(from)
    let [low, high] = [from, to]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.offsetAt(middle) === before) low = middle
      else high = middle
    }
    return high
  }
}
