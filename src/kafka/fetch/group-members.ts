import { failureOf } from '../connecting.js'
import { settled } from '../unsettled.js'
import type { Brokers } from './brokers.js'
import { type DescribeGroupsResponse, describeGroups } from './protocol/describe-groups.js'
import { findCoordinator } from './protocol/find-coordinator.js'

const answerMs = 5_000

type Described = DescribeGroupsResponse['groups'][number]

/** Who is in these groups, in their order. Errors: `ClientError` when no broker answers, or one refuses. */
export function membersOf(brokers: Brokers, groups: readonly string[]): Promise<readonly Described[]> {
  return Promise.all(groups.map((group) => settled(() => ask(brokers, group))))
}

async function ask(brokers: Brokers, group: string): Promise<Described> {
  const { error, node } = await (await brokers.anyConnection()).request(findCoordinator, { group }, answerMs)
  if (error !== 0) throw refusal(group, error)
  const connection = await brokers.connectionTo(node)
  const { groups } = await connection.request(describeGroups, { groups: [group] }, answerMs)
  const [found] = groups
  if (found === undefined || found.error !== 0) throw refusal(group, found?.error ?? -1)
  return found
}

function refusal(group: string, error: number) {
  return failureOf(`the broker answers with error ${error} when it is asked for group '${group}'`, error)
}
