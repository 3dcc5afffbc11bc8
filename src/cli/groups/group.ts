import type { KafkaConnection } from '../../kafka/connection.js'
import { type DescribedGroup, Groups } from '../../kafka/groups.js'
import type { Position } from '../../model/index.js'
import { UsageError } from '../io.js'
import { instead } from '../topics/topic.js'

/** A group as it is now. */
export interface FoundGroup extends DescribedGroup {
  readonly positions: readonly Position[]
}

/** Errors: `UsageError` where there is none of that name, WEIR_SOURCE_UNREACHABLE. */
export async function foundGroup(connection: KafkaConnection, group: string): Promise<FoundGroup> {
  const groups = new Groups(connection)
  const [[described], positions] = await Promise.all([groups.describe([group]), groups.positions(group)])
  if (described !== undefined && (described.members.length > 0 || positions.length > 0))
    return { ...described, positions }
  const known = (await groups.list()).map((one) => one.group)
  if (described !== undefined && known.includes(group)) return { ...described, positions }
  throw new UsageError(`there is no group '${group}': ${instead('group', group, known)}`)
}

/** How long ago, in one or two units: `3 h 20 min`. */
export function ageText(ms: number | undefined): string {
  if (ms === undefined) return '–'
  const seconds = Math.round(ms / 1_000)
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600), Math.floor(seconds / 60)]
  if (days > 0) return `${days} d ${hours % 24} h`
  if (hours > 0) return `${hours} h ${minutes % 60} min`
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
}
