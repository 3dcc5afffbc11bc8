import type { ChannelKind, Connection, OperatorContext, TopicsRead } from '../../model/index.js'
import type { Rejected, Retrying } from './failed.js'

/** A retry topic. */
export interface Tier {
  readonly ms: number
  readonly topic: string
}

/** The retry topics of a flow, and what carries them; the compiler makes it. */
export interface RetryJoint {
  readonly connectionKind: string
  readonly channel: ChannelKind<Connection>
  readonly tiers: readonly Tier[]
  readonly like: readonly TopicsRead[]
  /** Where it keeps what is on its way to them. */
  readonly store: string
  /** Whether its task reads them, and not the flow's source. */
  readonly isBehind: boolean
}

/** What the engine gives the first stage of a task whose records may be tried again. */
export interface RetryContext extends OperatorContext {
  readonly rejections: Rejected & { retries: Retrying | undefined }
}
