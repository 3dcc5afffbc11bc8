import { isoReader } from '../../model/index.js'

const [earliest, latest] = [Date.parse('0001-01-01'), Date.parse('9999-12-31T23:59:59.999Z')]
const leapSecond = /^(.{17})60/

const read = isoReader()
/** A row is asked for its time more than once. */
let last: { readonly text: string; readonly instant: number | bigint | undefined } = { text: '', instant: undefined }

/**
 * RFC 3339 as µs since the Unix epoch; what is finer is cut. A leap second is the first of the next minute. Undefined for
 * what is none, and for what lies outside of the years 1 to 9999 in UTC: Python can't hold it, so that one such value
 * would make a file unreadable there.
 */
export function instantOf(text: string): number | bigint | undefined {
  if (text !== last.text) {
    const ms = msOf(text)
    last = { text, instant: Number.isNaN(ms) ? undefined : microsOf(ms, microsBelowMs(text)) }
  }
  return last.instant
}

/** The same for a time in ms, and µs beyond them. */
export function microsOf(ms: number, beyond = 0): number | bigint | undefined {
  if (ms < earliest || ms > latest) return undefined
  const micros = ms * 1_000 + beyond
  return Number.isSafeInteger(micros) ? micros : BigInt(ms) * 1_000n + BigInt(beyond)
}

/** The whole ms of an instant in µs. A number beyond 2^53 would round it, into the next day or the year 10000. */
export function wholeMs(micros: number | bigint): number {
  if (typeof micros === 'number') return Math.floor(micros / 1_000)
  return Number((micros - (((micros % 1_000n) + 1_000n) % 1_000n)) / 1_000n)
}

function msOf(text: string): number {
  const ms = read(text)
  if (!Number.isNaN(ms) || !leapSecond.test(text)) return ms
  return read(text.replace(leapSecond, '$159')) + 1_000
}

/** The fourth to the sixth digit behind the point. */
function microsBelowMs(text: string): number {
  if (text.charCodeAt(19) !== 46) return 0
  let micros = 0
  for (let at = 20, worth = 100_000; worth >= 1; at++, worth /= 10) {
    const digit = text.charCodeAt(at) - 48
    if (!(digit >= 0 && digit <= 9)) break
    micros += digit * worth
  }
  return micros % 1_000
}
