import type { ClientError } from './client.js'

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
