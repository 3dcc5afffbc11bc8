import { from, lastValueFrom, mergeMap, toArray } from 'rxjs'
import type { KafkaConnection } from '../../kafka/connection.js'
import { lagOf } from '../../kafka/group-lag.js'
import { Groups, type ListedGroup } from '../../kafka/groups.js'
import { type BrokerOptions, withBrokers } from '../brokers.js'
import { exitCodes, type Io } from '../io.js'
import { painter, shownJson, table } from '../paint.js'
import { ageText } from './group.js'

export interface LsOptions extends BrokerOptions {
  readonly json?: boolean
}

/** Of how many groups it is asked at a time. */
const atOnce = 8

/** `weir groups ls [text]`: the groups whose names have this text, and how far they are behind. */
export async function ls(text: string | undefined, { json = false, ...where }: LsOptions, io: Io): Promise<number> {
  return withBrokers(where, io, async ({ connection }) => {
    const groups = new Groups(connection)
    const listed = (await groups.list()).filter(({ group }) => text === undefined || group.includes(text))
    const members = new Map((await groups.describe(listed.map(({ group }) => group))).map((one) => [one.group, one]))
    const rows = await lastValueFrom(
      from(listed).pipe(
        mergeMap(async (one, index) => ({ index, ...(await rowOf(connection, groups, one)) }), atOnce),
        toArray(),
      ),
    )
    const told = rows
      .sort((one, other) => one.index - other.index)
      .map(({ index: _, ...row }) => ({ ...row, members: members.get(row.group)?.members.length ?? 0 }))
    if (json) io.stdout.write(`${shownJson(told)}\n`)
    else if (told.length === 0)
      io.stdout.write(text === undefined ? 'no groups\n' : `no group has '${text}' in its name\n`)
    else {
      const [heading = '', ...lines] = table([
        ['group', 'state', 'members', 'topics', 'records behind', 'time behind'],
        ...told.map((row) => [
          row.group,
          row.state,
          String(row.members),
          row.topics.join(', '),
          row.records.toLocaleString('en'),
          ageText(row.behindMs),
        ]),
      ])
      io.stdout.write(`${[painter(io.stdout, io)('dim', heading), ...lines].join('\n')}\n`)
    }
    return exitCodes.ok
  })
}

async function rowOf(connection: KafkaConnection, groups: Groups, { group, state }: ListedGroup) {
  const lags = await lagOf(connection, await groups.positions(group))
  const behind = lags.flatMap(({ behindMs }) => (behindMs === undefined ? [] : [behindMs]))
  return {
    group,
    state,
    topics: [...new Set(lags.map(({ topic }) => topic))],
    records: lags.reduce((sum, { records }) => sum + records, 0),
    behindMs: behind.length === 0 ? undefined : Math.max(...behind),
  }
}
