import { UsageError } from '../io.js'
import { timeOption } from '../time-option.js'
import type { Letter } from './letters.js'
import type { WhereOptions } from './where.js'

export interface FilterOptions {
  readonly flow?: string
  readonly stage?: string
  readonly code?: string
  readonly key?: string
  readonly since?: string
  readonly until?: string
}

/** Which letters are meant: by what they tell of themselves, and where they lie. */
export type LetterFilter = (letter: Letter) => boolean

/**
 * @param places `topic-partition@offset`; none is all
 * Errors: `UsageError` for what is no time or place.
 */
export function filterOf(options: FilterOptions, places: readonly string[] = []): LetterFilter {
  const { flow, stage, code, key } = options
  const [since, until] = [timeOption('--since', options.since), timeOption('--until', options.until)]
  const wanted = new Set(places.map(checkedPlace))
  return (letter) =>
    (wanted.size === 0 || wanted.has(letter.at)) &&
    (flow === undefined || letter.facts.flow === flow) &&
    (stage === undefined || letter.facts.stage === stage) &&
    (code === undefined || isOfCode(letter.facts.code, code)) &&
    (key === undefined || (letter.key !== null && letter.key.toString() === key)) &&
    (since === undefined || letter.timestamp >= since) &&
    (until === undefined || letter.timestamp < until)
}

/** The same options, of the topics that letters are named of; without a name, of those that they say. Errors: `UsageError`. */
export function atPlaces<T extends WhereOptions>(options: T, places: readonly string[]): T {
  return places.length === 0 ? options : { ...options, topic: [...new Set(places.map(topicOf))] }
}

/** The topic of a place, which may itself have dashes. */
function topicOf(place: string): string {
  return checkedPlace(place).replace(/-\d+@\d+$/, '')
}

function checkedPlace(text: string): string {
  if (/^.+-\d+@\d+$/.test(text)) return text
  throw new UsageError(`'${text}' is no place of a letter; write one as weir dlq ls does: orders.dead-letters-0@17`)
}

/** A class of Java goes by its last name as well. */
function isOfCode(code: string | undefined, asked: string): boolean {
  return code === asked || code?.endsWith(`.${asked}`) === true
}
