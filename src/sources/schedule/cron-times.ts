import { Cron } from 'croner'
import { TimeZone } from './time-zone.js'

const nicknames = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']

/**
 * The times of a cron pattern in a time zone. The pattern is matched against what the clocks show, and where these are set
 * anew it goes as with Vixie's cron:
 *
 *   set ahead   a time that is left out is run at the moment at which the clocks go on, all such times as one
 *   set back    a time that comes twice is run the first time
 *   each hour   a pattern whose hour is a `*` is run whenever the clocks show its time: never, or twice
 *
 * (croner is given the times of UTC, which has no such nights: by itself version 11 leaves `15,45 2 * * *` out in one.)
 */
export class CronTimes {
  private readonly cron: Cron
  private readonly zone: TimeZone
  private readonly isOfEachHour: boolean

  /** Errors when it is no pattern, or there is no such zone. */
  constructor(pattern: string, timeZone: string) {
    const fields = pattern.trim().split(/\s+/)
    const isNickname = nicknames.includes(pattern.trim().toLowerCase())
    if (!isNickname && (fields.length < 5 || fields.length > 7))
      throw new TypeError(`expected five fields, six with seconds, or one of ${nicknames.join(', ')}`)
    this.cron = new Cron(pattern.trim(), { timezone: 'UTC', paused: true })
    this.zone = new TimeZone(timeZone)
    // Of five fields the second is the hour, of more the third.
    const hour = fields[fields.length === 5 ? 1 : 2] ?? ''
    this.isOfEachHour = isNickname ? pattern.trim().toLowerCase() === '@hourly' : /^[*?]/.test(hour)
  }

  /** The first time after an instant, ms; undefined when there is none any more. */
  next(after: number): number | undefined {
    for (let wall = this.matchAfter(this.zone.wallAt(after)); wall !== undefined; wall = this.matchAfter(wall)) {
      const instant = this.instantOf(wall, after)
      if (instant !== undefined && instant > after) return this.isOfEachHour ? this.orAgain(after, instant) : instant
    }
    return undefined
  }

  /** The last time after an instant that is not after another one; undefined when there is none between them. */
  latest(after: number, until: number): number | undefined {
    const isDue = (instant: number | undefined): instant is number => instant !== undefined && instant <= until
    let found = this.next(after)
    if (!isDue(found)) return undefined
    let [low, high] = [found, until]
    while (high - low > 1_000) {
      const middle = Math.floor((low + high) / 2)
      const next = this.next(middle)
      if (isDue(next)) low = found = next
      else high = middle
    }
    // Times are whole seconds: one more may follow within the last.
    const last = this.next(found)
    return isDue(last) ? last : found
  }

  private matchAfter(wall: number): number | undefined {
    return this.cron.nextRun(new Date(wall))?.getTime()
  }

  private instantOf(wall: number, after: number): number | undefined {
    const instants = this.zone.instantsOf(wall)
    if (this.isOfEachHour) return instants.find((instant) => instant > after)
    return instants[0] ?? this.zone.leapOver(wall)
  }

  /** Where clocks are set back before an instant, what they show once more may come before it. */
  private orAgain(after: number, instant: number): number {
    const { zone } = this
    if (zone.offsetAt(instant) >= zone.offsetAt(after)) return instant
    const change = zone.changeBetween(after, instant)
    const wall = this.matchAfter(zone.wallAt(change) - 1)
    const again = wall === undefined ? instant : wall - zone.offsetAt(change)
    return again > after ? Math.min(again, instant) : instant
  }
}
