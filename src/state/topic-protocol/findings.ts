import { type ErrorCode, partitionName, type TopicChange, type TopicPartition, WeirError } from '../../model/index.js'
import type { TopicRules } from './rules.js'

/** What was found of a topic, to be counted; and to be logged, unless an error tells it. */
export interface Finding {
  readonly change: TopicChange
  readonly text?: string
  readonly about?: About
}

export interface About {
  readonly topic: string
  readonly partition?: number
  /** What is lost: from the first of these offsets to before the second. */
  readonly from?: number
  readonly to?: number
  readonly [more: string]: unknown
}

export function recreatedError(topic: string, { doing, place, isInternal, onRecreated }: TopicRules): WeirError {
  const text = `${doing}: topic '${topic}' was deleted and created again`
  const elsewhere = 'Where the address leads to another cluster than before, set it right. '
  const hint = isInternal
    ? `${elsewhere}Else what it held is lost: go back to positions from before that with weir state set-position, or begin under another name.`
    : `${elsewhere}To read the new one from its beginning, with the state as it is, set the source's option onRecreated to 'restart'.`
  const remedy = onRecreated === 'fail' ? 'stop' : 'restart'
  return new WeirError('WEIR_SOURCE_RECREATED', text, { ...place, hint, remedy })
}

export function truncatedError(from: Place, end: number, rules: TopicRules): WeirError {
  const text = `${rules.doing}: ${partitionName(from)} ends at ${end}, and was read up to ${from.offset}: the brokers have lost records`
  const remedy = rules.onTruncated === 'fail' ? 'stop' : 'restart'
  return changed('WEIR_SOURCE_TRUNCATED', text, { ...rules, remedy }, from, truncatedHint)
}

export function gapError(from: Place, text: string, rules: TopicRules): WeirError {
  return changed('WEIR_SOURCE_GAP', text, rules, from, gapHint)
}

export function grownError(topic: string, text: string, { place }: TopicRules): WeirError {
  const message = `${text}: its keys go to other partitions now, and the flow keeps state by them where they were`
  const hint = `Write '${topic}' to a topic of the new size and read that under another name of the flow; or, where state may begin anew for keys that moved, set the source's option onGrown to 'accept'.`
  return new WeirError('WEIR_SOURCE_REPARTITIONED', message, { ...place, hint })
}

export function missingError(topic: string, { doing, place }: TopicRules): WeirError {
  return new WeirError('WEIR_SOURCE_MISSING', `${doing}: topic '${topic}' is gone`, {
    ...place,
    hint: 'It is waited for.',
  })
}

/** No position is known of these partitions, and none may be made up. */
export function nowhere({ doing, place, group }: TopicRules, partitions: readonly TopicPartition[]): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `${doing}: group '${group}' has no position of ${named(partitions)}`, {
    ...place,
    hint: "Set the source's option from to 'earliest', 'latest' or a time.",
  })
}

export function unanswered({ doing, place }: TopicRules, partitions: readonly TopicPartition[]): WeirError {
  return new WeirError('WEIR_SOURCE_UNREACHABLE', `${doing}: no broker told the offsets of ${named(partitions)}`, place)
}

/** The group goes by what the topics were, and will for as long as this member stays in it. */
export function misassigned({ doing, place, group }: TopicRules, what: string): WeirError {
  const text = `${doing}: group '${group}' ${what}`
  return new WeirError('WEIR_SOURCE_MISASSIGNED', text, { ...place, hint: 'This process joins it anew.' })
}

interface Place extends TopicPartition {
  readonly offset: number
}

const gapHint =
  "Set the source's option onGap to 'warn' to go on without them, or the position with weir state set-position; and let the topic keep records for longer."
const truncatedHint =
  "Set the source's option onTruncated to 'earliest' to read all again or to 'latest' to go on with what comes, or the position with weir state set-position."

function changed(
  code: ErrorCode,
  text: string,
  { place, remedy }: Pick<TopicRules, 'place'> & { readonly remedy?: WeirError['remedy'] },
  { topic, partition }: TopicPartition,
  hint: string,
): WeirError {
  return new WeirError(code, text, { ...place, partition: { topic, partition }, hint, ...(remedy && { remedy }) })
}

export const named = (partitions: readonly TopicPartition[]) => partitions.map(partitionName).join(', ')
