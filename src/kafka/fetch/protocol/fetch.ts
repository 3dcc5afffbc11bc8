import type { Api } from './api.js'
import type { Reader } from './reader.js'

export interface FetchRequest {
  /** How long the broker waits for `minBytes` to be there. */
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  /** Empty where it is not known. */
  readonly rack: string
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      /** -1: not known, the broker checks none. */
      readonly leaderEpoch: number
      readonly offset: number
      /** The leader epoch of the last batch that was read, -1: not known. */
      readonly lastFetchedEpoch: number
      readonly maxBytes: number
    }[]
  }[]
}

export interface FetchResponse {
  readonly throttleMs: number
  readonly error: number
  readonly partitions: readonly FetchedPartition[]
}

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly error: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStart: number
  /** Transactions that were aborted: of which producer, and the offset where one begins. In any order. */
  readonly aborted: readonly AbortedTransaction[]
  /** The replica that shall be asked, -1: none. */
  readonly preferredReplica: number
  /** From version 12: where the log now ends for the last fetched epoch, for it was truncated below what was read. */
  readonly diverging?: { readonly epoch: number; readonly end: number } | undefined
  /** A view into the response. */
  readonly records: Buffer
}

export interface AbortedTransaction {
  readonly producer: bigint
  readonly first: number
}

const consumer = -1
const readCommitted = 1
/** No session: each request names all of its partitions. */
const [noSession, sessionless] = [0, -1]
const noRecords = Buffer.alloc(0)

/** Records of several partitions of one leader; committed ones only. */
export const fetch: Api<FetchRequest, FetchResponse> = {
  name: 'Fetch',
  key: 1,
  versions: [11, 12],
  flexibleFrom: 12,
  write(to, request, version) {
    to.int32(consumer)
    to.int32(request.maxWaitMs)
    to.int32(request.minBytes)
    to.int32(request.maxBytes)
    to.int8(readCommitted)
    to.int32(noSession)
    to.int32(sessionless)
    to.array(request.topics, ({ topic, partitions }) => {
      to.string(topic)
      to.array(partitions, (of) => {
        to.int32(of.partition)
        to.int32(of.leaderEpoch)
        to.int64(of.offset)
        if (version >= 12) to.int32(of.lastFetchedEpoch)
        // Where the log begins only followers know.
        to.int64(-1)
        to.int32(of.maxBytes)
        to.tags()
      })
      to.tags()
    })
    to.array([], () => undefined)
    to.string(request.rack)
    to.tags()
  },
  read(from) {
    const [throttleMs, error] = [from.int32(), from.int16()]
    from.int32()
    const topics = from.array(() => {
      const topic = from.string()
      const partitions = from.array(() => partitionOf(from, topic))
      from.tags()
      return partitions
    })
    from.tags()
    return { throttleMs, error, partitions: topics.flat() }
  },
}

function partitionOf(from: Reader, topic: string): FetchedPartition {
  const partition = from.int32()
  const error = from.int16()
  const highWatermark = from.int64()
  const lastStableOffset = from.int64()
  const logStart = from.int64()
  const aborted = from.nullableArray(() => abortedOf(from)) ?? []
  const preferredReplica = from.int32()
  const records = from.nullableBytes() ?? noRecords
  let diverging: FetchedPartition['diverging']
  from.tags((tag) => {
    if (tag === 0) diverging = { epoch: from.int32(), end: from.int64() }
  })
  // Written out, for this is made for each partition of each answer, and spreading costs more than all the rest.
  return {
    topic,
    partition,
    error,
    highWatermark,
    lastStableOffset,
    logStart,
    aborted,
    preferredReplica,
    diverging,
    records,
  }
}

function abortedOf(from: Reader): AbortedTransaction {
  const transaction = { producer: from.bigInt64(), first: from.int64() }
  from.tags()
  return transaction
}
