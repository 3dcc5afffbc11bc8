import { type Api, neverFlexible } from './api.js'
import { Reader } from './reader.js'

export interface DescribeGroupsRequest {
  readonly groups: readonly string[]
}

export interface DescribeGroupsResponse {
  readonly throttleMs: number
  readonly groups: readonly {
    readonly error: number
    readonly group: string
    /** `Stable`; `Dead` where there is none of that name. */
    readonly state: string
    readonly members: readonly MemberOfGroup[]
  }[]
}

export interface MemberOfGroup {
  /** Of a static member. */
  readonly instance: string | null
  readonly client: string
  readonly host: string
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[]
}

/** Who is in these groups, which one broker coordinates, and what each member has been given. */
export const describeGroups: Api<DescribeGroupsRequest, DescribeGroupsResponse> = {
  name: 'DescribeGroups',
  key: 15,
  versions: [4, 4],
  flexibleFrom: neverFlexible,
  write(to, { groups }) {
    to.array(groups, (group) => to.string(group))
    // What one may do with them.
    to.bool(false)
  },
  read(from) {
    const throttleMs = from.int32()
    const groups = from.array(() => {
      const [error, group, state] = [from.int16(), from.string(), from.string()]
      const isOfConsumers = from.string() === 'consumer'
      // How partitions are shared out.
      from.string()
      const members = from.array(() => memberOf(from, isOfConsumers))
      from.int32()
      return { error, group, state, members }
    })
    return { throttleMs, groups }
  },
}

function memberOf(from: Reader, isConsumer: boolean): MemberOfGroup {
  // The name that the broker has given it.
  from.string()
  const [instance, client, host] = [from.nullableString(), from.string(), from.string()]
  // What it has subscribed to.
  from.bytesOf()
  const assignment = from.bytesOf()
  return { instance, client, host, partitions: isConsumer ? partitionsIn(assignment) : [] }
}

/** Members agree on the form among themselves: to brokers it is bytes, and none while a group shares out anew. */
function partitionsIn(assignment: Buffer): MemberOfGroup['partitions'] {
  if (assignment.length === 0) return []
  const from = new Reader(assignment, false)
  from.int16()
  const topics = from.array(() => {
    const topic = from.string()
    return from.array(() => ({ topic, partition: from.int32() }))
  })
  return topics.flat()
}
