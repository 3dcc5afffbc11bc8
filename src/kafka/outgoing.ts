import { UnencodableError, wellFormed } from '../model/index.js'
import { isTopicName } from '../model/topic-name.js'
import type { OutgoingMessage } from './producer.js'

/** Brokers keep these for themselves; a transaction that asks for one of them is told no reason. */
const ofBrokers = ['__consumer_offsets', '__transaction_state', '__share_group_state', '__cluster_metadata']

/**
 * Refuses what no message can be made of, before the client sees it: that one throws only after it has sent the message,
 * or sends another one. Errors: `UnencodableError`.
 */
export function checked(message: OutgoingMessage): OutgoingMessage {
  const { topic, key, timestamp } = message
  if (!isWritable(topic)) throw unencodable(`'${String(topic).slice(0, 300)}' can't be the name of a topic to write to`)
  if (key !== null && typeof key !== 'string' && !(key instanceof Uint8Array))
    throw unencodable(`a ${typeof key} is no key: give it as text or bytes`)
  if (typeof key === 'string') wellFormed(key)
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(Math.trunc(timestamp)))
    throw unencodable(`${String(timestamp)} is no time in ms`)
  return message
}

/** As Kafka has it; its own are none that anybody may write to. */
function isWritable(topic: unknown): topic is string {
  return typeof topic === 'string' && isTopicName(topic) && !ofBrokers.includes(topic)
}

function unencodable(text: string): UnencodableError {
  return new UnencodableError(new TypeError(text))
}
