import { lagOf } from '../../kafka/group-lag.js'
import type { GroupMember } from '../../kafka/groups.js'
import { isSamePartition, partitionName, type TopicPartition } from '../../model/index.js'
import { withBrokers } from '../brokers.js'
import { exitCodes, type Io } from '../io.js'
import { painter, shownJson, table } from '../paint.js'
import { countText } from '../stored.js'
import { ageText, foundGroup } from './group.js'
import type { LsOptions } from './ls.js'

/** `weir groups show <group>`: where it is in each partition, how far behind, and who reads it. */
export async function show(name: string, { json = false, ...where }: LsOptions, io: Io): Promise<number> {
  return withBrokers(where, io, async ({ connection }) => {
    const { group, state, members, positions } = await foundGroup(connection, name)
    const lags = await lagOf(connection, positions)
    const partitions = lags.map(({ log, ...lag }) => ({
      ...lag,
      end: log?.end,
      member: members.find((member) => isOf(member, lag))?.client,
    }))
    if (json) io.stdout.write(`${shownJson({ group, state, members, partitions })}\n`)
    else {
      const [heading = '', ...lines] = table([
        ['partition', 'position', 'ends before', 'records behind', 'time behind', 'read by'],
        ...lags.map((lag) => [
          partitionName(lag),
          String(lag.offset),
          lag.log === undefined ? 'gone' : String(lag.log.end),
          lag.records.toLocaleString('en'),
          ageText(lag.behindMs),
          memberText(members.find((member) => isOf(member, lag))),
        ]),
      ])
      const told = lags.length === 0 ? ['it has no positions'] : [painter(io.stdout, io)('dim', heading), ...lines]
      io.stdout.write(
        `${[`group ${group}: ${state}, ${countText(members.length, 'member')}`, '', ...told].join('\n')}\n`,
      )
    }
    return exitCodes.ok
  })
}

function isOf({ partitions }: GroupMember, partition: TopicPartition): boolean {
  return partitions.some((one) => isSamePartition(one, partition))
}

function memberText(member: GroupMember | undefined): string {
  if (member === undefined) return '–'
  return `${member.instance ?? member.client} at ${member.host.replace(/^\//, '')}`
}
