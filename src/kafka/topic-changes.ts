import {
  type ErrorCode,
  type Position,
  partitionName,
  type TopicChange,
  type TopicPartition,
  WeirError,
} from '../model/index.js'
import type { SeenTopic } from './admin.js'
import type { ReaderOptions } from './reader-options.js'
import { factsOf, type PartitionNow } from './topic-facts.js'

/**
 * Where to go on from a position that was kept, as its topic is now. What it finds it tells, in the log and as a metric.
 * Errors: WEIR_SOURCE_RECREATED, WEIR_SOURCE_GAP and WEIR_SOURCE_TRUNCATED, as the options say.
 */
export function goOn(known: Position, now: PartitionNow, options: ReaderOptions): Position {
  const { offset, facts } = known
  if (facts !== undefined && isAnother(facts, now)) return anew(known, now, options)
  const position = { ...known, facts: factsOf(now, facts?.before) }
  if (now.start !== undefined && offset < now.start) {
    lose(known, now.start, options)
    return { ...position, offset: now.start }
  }
  if (now.end !== undefined && offset > now.end) return { ...position, offset: within(known, now, options) }
  return position
}

/** A topic has taken the place of the one that was read. Errors: WEIR_SOURCE_RECREATED, unless the options say to go on. */
export function replace(topic: string, known: object, options: ReaderOptions): void {
  tell(options, { topic, change: 'recreated' })
  const error = recreatedError(topic, options)
  if (options.onRecreated === 'fail') throw error
  options.log.warn({ topic, ...known }, `${error.message}: it is read from its beginning`)
}

export function isAnother(one: Pick<SeenTopic, 'id'> | { id?: string | undefined }, other: SeenTopic): boolean {
  return one.id !== undefined && other.id !== undefined && one.id !== other.id
}

/** Where the positions of a topic's last life end, those of the next one go on: so repeats are still told from what is new. */
function anew({ topic, partition, offset, facts }: Position, now: PartitionNow, options: ReaderOptions): Position {
  replace(topic, { partition, id: now.id, was: facts?.id }, options)
  return { topic, partition, offset: now.start ?? 0, facts: factsOf(now, (facts?.before ?? 0) + Math.max(offset, 1)) }
}

/** Counts and tells what was deleted before it was read. Errors: WEIR_SOURCE_GAP where that has to stop the flow. */
export function lose(from: Position, to: number, options: ReaderOptions): void {
  const { topic, partition, offset } = from
  // Behind an internal topic it is known what a gap means.
  if (options.isInternal) return
  const records = to - offset
  tell(options, { topic, change: 'gap', records })
  const text = `${options.doing}: ${partitionName(from)} has nothing left of ${offset} to ${to - 1}: up to ${records} records were deleted before they were read`
  if (options.onGap === 'fail') throw changed('WEIR_SOURCE_GAP', text, options, from, gapHint)
  options.log.warn({ topic, partition, from: offset, to, records }, text)
}

function within(from: Position, { start = 0, end = 0 }: PartitionNow, options: ReaderOptions): number {
  const { topic, partition, offset } = from
  tell(options, { topic, change: 'truncated' })
  const error = truncatedError(from, end, options)
  if (options.onTruncated === 'fail') throw error
  const to = options.onTruncated === 'earliest' ? start : end
  options.log.warn({ topic, partition, offset, end, to }, `${error.message}; it goes on at ${to}`)
  return to
}

/** Errors: WEIR_SOURCE_REPARTITIONED where keys would find no state of theirs. */
export function repartition(topic: string, was: number, now: number, options: ReaderOptions, isNews = true): void {
  const text = `${options.doing}: topic '${topic}' has ${now} partitions and had ${was}`
  if (options.keeps === 'state by key' && options.onGrown === 'fail') {
    tell(options, { topic, change: 'grown' })
    throw grownError(topic, text, options)
  }
  if (!isNews) return
  tell(options, { topic, change: 'grown' })
  options.log.warn({ topic, was, now }, `${text}: those that are new are read from their beginning`)
}

export function recreatedError(topic: string, options: ReaderOptions): WeirError {
  const text = `${options.doing}: topic '${topic}' was deleted and created again`
  const hint = options.isInternal
    ? 'What it held is lost: go back to positions from before that with weir state set-position, or begin under another name.'
    : "To read the new one from its beginning, with the state as it is, set the source's option onRecreated to 'restart'."
  const remedy = options.onRecreated === 'fail' ? 'stop' : 'restart'
  return new WeirError('WEIR_SOURCE_RECREATED', text, { ...options.place, hint, remedy })
}

export function truncatedError(from: Position, end: number, options: ReaderOptions): WeirError {
  const text = `${options.doing}: ${partitionName(from)} ends at ${end}, and was read up to ${from.offset}: the brokers have lost records`
  const remedy = options.onTruncated === 'fail' ? 'stop' : 'restart'
  return changed('WEIR_SOURCE_TRUNCATED', text, { ...options, remedy }, from, truncatedHint)
}

function grownError(topic: string, text: string, { place }: ReaderOptions): WeirError {
  const message = `${text}: its keys go to other partitions now, and the flow keeps state by them where they were`
  const hint = `Write '${topic}' to a topic of the new size and read that under another name of the flow; or, where state may begin anew for keys that moved, set the source's option onGrown to 'accept'.`
  return new WeirError('WEIR_SOURCE_REPARTITIONED', message, { ...place, hint })
}

const gapHint =
  "Set the source's option onGap to 'warn' to go on without them, or the position with weir state set-position; and let the topic keep records for longer."
const truncatedHint =
  "Set the source's option onTruncated to 'earliest' to read all again or to 'latest' to go on with what comes, or the position with weir state set-position."

function changed(
  code: ErrorCode,
  text: string,
  { place, remedy }: Pick<ReaderOptions, 'place'> & { readonly remedy?: WeirError['remedy'] },
  { topic, partition }: TopicPartition,
  hint: string,
): WeirError {
  return new WeirError(code, text, { ...place, partition: { topic, partition }, hint, ...(remedy && { remedy }) })
}

function tell(options: ReaderOptions, change: TopicChange): void {
  options.noticed?.(change)
}
