import { partitionName } from '../model/index.js'
import type { TopicAdmin } from './admin.js'
import { type ClientError, codes } from './client.js'

/** Records may name any number of topics. */
const [mostAsked, mostTold] = [10, 3]

/** The brokers acknowledge nothing. The client goes on trying, and does not say why. */
export class StuckError extends Error implements ClientError {
  readonly code: number = codes.messageTimedOut

  constructor(
    message: string,
    readonly topics: readonly string[],
  ) {
    super(message)
  }
}

/** The same error with why that is, as far as the brokers tell. It stays as it is where they don't answer. */
export async function explained(error: unknown, admin: Pick<TopicAdmin, 'replicas'>): Promise<unknown> {
  if (!(error instanceof StuckError)) return error
  try {
    const why = (await shortages(error.topics, admin)) ?? 'the brokers answer, and all replicas are in sync'
    return Object.assign(new Error(`${error.message}: ${why}`, { cause: error }), { code: codes.stuck })
  } catch {
    return error
  }
}

/** Partitions of these topics that may have too few replicas in sync, as text. Errors where no broker tells. */
export async function shortages(
  topics: readonly string[],
  admin: Pick<TopicAdmin, 'replicas'>,
): Promise<string | undefined> {
  const found = await Promise.all(topics.slice(0, mostAsked).map((topic) => admin.replicas(topic)))
  const short = found.flatMap((partitions) => partitions.find(({ inSync, all }) => inSync < all) ?? [])
  if (short.length === 0) return undefined
  const each = short.slice(0, mostTold).map((one) => `${one.inSync} of ${one.all} replicas of ${partitionName(one)}`)
  return `in sync are ${each.join(', ')}`
}
