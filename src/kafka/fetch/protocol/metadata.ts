import { type Api, neverFlexible } from './api.js'
import type { Reader } from './reader.js'

export interface MetadataRequest {
  /** None where only the brokers are asked for. */
  readonly topics: readonly string[]
}

export interface MetadataResponse {
  readonly throttleMs: number
  readonly brokers: readonly MetadataBroker[]
  readonly clusterId: string | null
  /** -1: none. */
  readonly controller: number
  readonly topics: readonly MetadataTopic[]
}

export interface MetadataBroker {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface MetadataTopic {
  readonly topic: string
  readonly error: number
  readonly partitions: readonly MetadataPartition[]
}

export interface MetadataPartition {
  readonly partition: number
  readonly error: number
  /** -1: none at the moment. */
  readonly leader: number
  /** -1: the broker doesn't know. */
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
}

/** Which brokers there are, and who leads the partitions of these topics. It makes no topic. */
export const metadata: Api<MetadataRequest, MetadataResponse> = {
  name: 'Metadata',
  key: 3,
  versions: [7, 7],
  flexibleFrom: neverFlexible,
  write(to, { topics }) {
    to.array(topics, (topic) => to.string(topic))
    to.bool(false)
  },
  read(from) {
    const throttleMs = from.int32()
    const brokers = from.array(() => ({
      id: from.int32(),
      host: from.string(),
      port: from.int32(),
      rack: from.nullableString(),
    }))
    const clusterId = from.nullableString()
    const controller = from.int32()
    const topics = from.array(() => {
      const [error, topic] = [from.int16(), from.string()]
      from.bool()
      return { topic, error, partitions: from.array(() => partitionOf(from)) }
    })
    return { throttleMs, brokers, clusterId, controller, topics }
  },
}

function partitionOf(from: Reader): MetadataPartition {
  const error = from.int16()
  const [partition, leader, leaderEpoch] = [from.int32(), from.int32(), from.int32()]
  const replicas = from.array(() => from.int32())
  for (let list = 0; list < 2; list++) from.array(() => from.int32())
  return { partition, error, leader, leaderEpoch, replicas }
}
