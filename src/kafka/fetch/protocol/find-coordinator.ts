import { type Api, neverFlexible } from './api.js'

export interface FindCoordinatorRequest {
  readonly group: string
}

export interface FindCoordinatorResponse {
  readonly throttleMs: number
  readonly error: number
  readonly node: number
  readonly host: string
  readonly port: number
}

/** In the place of what coordinates transactions. */
const ofGroup = 0

/** Which broker coordinates a group. */
export const findCoordinator: Api<FindCoordinatorRequest, FindCoordinatorResponse> = {
  name: 'FindCoordinator',
  key: 10,
  versions: [2, 2],
  flexibleFrom: neverFlexible,
  write(to, { group }) {
    to.string(group)
    to.int8(ofGroup)
  },
  read(from) {
    const [throttleMs, error] = [from.int32(), from.int16()]
    // What the broker says of the error.
    from.nullableString()
    return { throttleMs, error, node: from.int32(), host: from.string(), port: from.int32() }
  },
}
