import { createRequire } from 'node:module'
import type * as Rdkafka from '@confluentinc/kafka-javascript'

import type { KafkaConsumer, Producer } from '@confluentinc/kafka-javascript'

export type { KafkaConsumer, Message, Producer, TopicPartitionOffset } from '@confluentinc/kafka-javascript'

const require = createRequire(import.meta.url)

/** Settings as librdkafka names them. */
export type ClientSettings = Record<string, unknown>

/**
 * The native client, loaded when a broker is first needed: it can't be loaded in a worker thread, and what only
 * declares or checks flows shall not depend on a native build.
 */
export function nativeClient(): typeof Rdkafka {
  return require('@confluentinc/kafka-javascript') as typeof Rdkafka
}

/** An error as the client reports it. */
export interface ClientError {
  readonly code: number
  readonly message: string
  readonly isFatal?: boolean
  /** `host:port` of the broker that it is about, where the client says so. */
  readonly broker?: string | undefined
}

/** A call of the client that answers by callback, as a promise. */
export function call<T>(start: (done: (error: ClientError | null | undefined, result: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, result) => (error ? reject(error) : resolve(result)))
  })
}

const making = new WeakMap<KafkaConsumer | Producer, Promise<void>>()
const disconnecting = new WeakMap<KafkaConsumer | Producer, Promise<void>>()

/** Says that what is native of a client is made now, and returns what says that it has been. */
export function beginMaking(client: KafkaConsumer | Producer): () => void {
  let made = () => {}
  making.set(client, new Promise((resolve) => (made = resolve)))
  return made
}

/** Closes a client at once, whatever it still has to send, and whether or not it ever connected. Once is enough. */
export function disconnect(client: KafkaConsumer | Producer): Promise<void> {
  // Asked while it does so already, it would never answer.
  const disconnected = disconnecting.get(client) ?? disconnectNow(client)
  disconnecting.set(client, disconnected)
  return disconnected
}

/** Whether it is closed, or about to be. */
export function isClosing(client: KafkaConsumer | Producer): boolean {
  return disconnecting.has(client)
}

async function disconnectNow(client: KafkaConsumer | Producer): Promise<void> {
  // Closed before it is made, it would be made all the same, and left over.
  await making.get(client)
  // A producer's own `disconnect` flushes first, and throws where it is not connected; this is the one beneath it.
  const { _disconnect: atOnce } = client as unknown as { _disconnect?(done: () => void): void }
  await new Promise<void>((resolve) => (atOnce ?? client.disconnect).call(client, () => resolve()))
}

export const codes = {
  /** Weir's own. */
  hungUp: -10_000,
  stuck: -10_001,
  unusable: -10_002,
  foreignCluster: -10_003,
  unreadable: -10_004,
  badMessage: -199,
  transport: -195,
  messageTimedOut: -192,
  allBrokersDown: -187,
  unknownPartition: -190,
  noSuchTopic: -188,
  timedOut: -185,
  queueFull: -184,
  ssl: -181,
  assignPartitions: -175,
  revokePartitions: -174,
  wrongState: -172,
  authentication: -169,
  purgedFromQueue: -152,
  purgedInFlight: -151,
  fatal: -150,
  inconsistent: -149,
  fenced: -144,
  maxPollExceeded: -147,
  unknownTopic: 3,
  messageTooLarge: 10,
  coordinatorLoading: 14,
  coordinatorUnavailable: 15,
  notCoordinator: 16,
  illegalGeneration: 22,
  unknownMember: 25,
  topicRefused: 29,
  groupRefused: 30,
  clusterRefused: 31,
  invalidTimestamp: 32,
  topicExists: 36,
  invalidProducerEpoch: 47,
  concurrentTransactions: 51,
  saslFailed: 58,
  noOffset: -140,
  logTruncated: -139,
  fencedInstance: 82,
  invalidRecord: 87,
  producerFenced: 90,
} as const
