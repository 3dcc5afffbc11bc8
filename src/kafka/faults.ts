import { type ClientError, codes } from './client.js'

/**
 * What brokers, and the client, refuse a message with for what it is. A broker refuses a request as a whole, so all
 * messages of a request err with it; and a topic that this user may not write to is the fault of the record that
 * named it.
 */
const refusals: Readonly<Record<number, string | undefined>> = {
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
  29: 'this user may not write to the topic',
}

/** A topic is looked for before anything is written to it: since then it has gone. The client waits half a minute for it. */
const ofAbsence: readonly number[] = [codes.unknownPartition, codes.noSuchTopic, codes.unknownTopic]

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

/** Whether the topic is gone. */
export function isAbsent({ code }: ClientError): boolean {
  return ofAbsence.includes(code)
}

/** Whether a message was refused for its size. */
export function isTooLarge({ code }: ClientError): boolean {
  return tooLarge.includes(code)
}

/** Whether the brokers refuse a topic for its name, or this user's rights, and would again. */
export function isRefusedTopic(error: ClientError): boolean {
  return [17, 29, 31, 44].includes(error.code)
}
