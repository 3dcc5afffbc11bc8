import { UnencodableError } from '../model/index.js'
import type { ClientError } from './client.js'
import type { OutgoingMessage } from './producer.js'

/**
 * What brokers, and the client, refuse a message with for what it is. A broker refuses a request as a whole, so all
 * messages of a request err with it; and a name that is no topic, or none that this user may write to, is the fault of
 * the record that named it.
 */
const refusals: Readonly<Record<number, string | undefined>> = {
  [-190]: 'the topic has no such partition',
  4: 'its size is invalid',
  10: 'it is larger than the topic takes',
  17: 'the topic has a name that Kafka does not take',
  18: 'it is larger than a segment of the topic',
  32: 'its timestamp is further from now than the topic takes',
  44: 'it is against a policy of the brokers',
  87: 'the topic does not take it: a compacted one takes none without a key',
}

/** Refusals of the topic, and not of the record, unless the record has named the topic. */
const ofTopics: Readonly<Record<number, string | undefined>> = {
  [-188]: 'there is no such topic',
  3: 'there is no such topic',
  29: 'this user may not write to the topic',
}

/** Others of its request were refused. */
const inBadCompany = -138

const tooLarge: readonly number[] = [4, 10, 18]
const [longestName, name] = [249, /^[\w.-]+$/]
/** Brokers keep these for themselves; a transaction that asks for one of them is told no reason. */
const ofBrokers = ['__consumer_offsets', '__transaction_state', '__share_group_state', '__cluster_metadata']

/** Why a message is refused for what it is; undefined when that is not why it failed. `names` is whether records name topics. */
export function refusalOf({ code }: ClientError, names: boolean): string | undefined {
  return refusals[code] ?? (names ? ofTopics[code] : undefined)
}

/** Whether a request failed for the sake of messages in it: each of them alone would tell. */
export function isRefusedRequest(error: ClientError, names: boolean): boolean {
  return error.code === inBadCompany || refusalOf(error, names) !== undefined
}

/** Whether a message was refused for its size. */
export function isTooLarge({ code }: ClientError): boolean {
  return tooLarge.includes(code)
}

/** Whether the brokers refuse a topic for its name, or this user's rights, and would again. */
export function isRefusedTopic(error: ClientError): boolean {
  return [17, 29, 31, 44].includes(error.code)
}

/**
 * Refuses what no message can be made of, before the client sees it: that one throws only after it has sent the message,
 * or sends another one. Errors: `UnencodableError`.
 */
export function checked(message: OutgoingMessage): OutgoingMessage {
  const { topic, key, timestamp } = message
  if (!isTopicName(topic))
    throw unencodable(`'${String(topic).slice(0, 300)}' can't be the name of a topic to write to`, 'topic')
  if (key !== null && typeof key !== 'string' && !(key instanceof Uint8Array))
    throw unencodable(`a ${typeof key} is no key: give it as text or bytes`, 'key')
  if (!Number.isSafeInteger(Math.trunc(timestamp)))
    throw unencodable(`${String(timestamp)} is no time in ms`, 'timestamp')
  return message
}

/** As Kafka has it; its own are none that anybody may write to. */
function isTopicName(topic: unknown): topic is string {
  if (typeof topic !== 'string' || topic.length > longestName || ofBrokers.includes(topic)) return false
  return name.test(topic) && topic !== '.' && topic !== '..'
}

function unencodable(text: string, field: string): UnencodableError {
  return new UnencodableError(new TypeError(text), field)
}
