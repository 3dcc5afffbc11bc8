import { type Api, neverFlexible } from './api.js'

export interface ListOffsetsRequest {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
}

export interface ListOffsetsResponse {
  readonly throttleMs: number
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    readonly error: number
    /** -1: not known. */
    readonly offset: number
  }[]
}

const consumer = -1
const readCommitted = 1
/** In the place of a time. */
const earliest = -2

/** Where partitions of one leader begin. */
export const listOffsets: Api<ListOffsetsRequest, ListOffsetsResponse> = {
  name: 'ListOffsets',
  key: 2,
  versions: [2, 2],
  flexibleFrom: neverFlexible,
  write(to, { topics }) {
    to.int32(consumer)
    to.int8(readCommitted)
    to.array(topics, ({ topic, partitions }) => {
      to.string(topic)
      to.array(partitions, (partition) => {
        to.int32(partition)
        to.int64(earliest)
      })
    })
  },
  read(from) {
    const throttleMs = from.int32()
    const topics = from.array(() => {
      const topic = from.string()
      return from.array(() => {
        const [partition, error] = [from.int32(), from.int16()]
        // The time of what is found there.
        from.int64()
        return { topic, partition, error, offset: from.int64() }
      })
    })
    return { throttleMs, partitions: topics.flat() }
  },
}
