import { type PartitionMap, type Position, partitionName, type TopicPartition } from '../../model/index.js'
import type { Grant } from './grant.js'
import { unexpected } from './steps.js'

export type TruncationEvent =
  | { readonly on: 'tidy' }
  | { readonly on: 'ends'; readonly ends: readonly Position[] }
  /** Deleted, or failed: it is done again later. */
  | { readonly on: 'over' }

export type TruncationCommand =
  /** Asks where logs end. → ends */
  | { readonly do: 'ask'; readonly partitions: readonly TopicPartition[] }
  /** Deletes what lies before positions of logs. → over */
  | { readonly do: 'delete'; readonly before: readonly Position[] }
  | { readonly do: 'rest' }

type State =
  | { readonly is: 'resting' | 'deleting' }
  | { readonly is: 'asking'; readonly held: readonly (readonly [TopicPartition, Grant])[] }

/**
 * Deletes what is obsolete from the logs of a task, after commits, and no concern of any epoch.
 *
 *   resting ──tidy──► asking ──ends──► deleting
 *      ▲                 │                │
 *      └──────over───────┴───────over─────┘
 */
export class LogTruncation {
  private state: State = { is: 'resting' }

  constructor(private readonly grants: PartitionMap<Grant>) {}

  handle(event: TruncationEvent): TruncationCommand {
    const { state } = this
    switch (event.on) {
      case 'tidy':
        if (state.is !== 'resting') return { do: 'rest' }
        return this.ask()
      case 'ends':
        if (state.is !== 'asking') throw unexpected(state.is, event)
        return this.delete(state.held, event.ends)
      case 'over':
        this.state = { is: 'resting' }
        return { do: 'rest' }
    }
  }

  private ask(): TruncationCommand {
    const held = [...this.grants.entries()]
    if (held.length === 0) return { do: 'rest' }
    this.state = { is: 'asking', held }
    return { do: 'ask', partitions: held.map(([source]) => source) }
  }

  private delete(held: readonly (readonly [TopicPartition, Grant])[], ends: readonly Position[]): TruncationCommand {
    const offsets = new Map(ends.map((end) => [partitionName(end), end.offset]))
    const before = held.flatMap(([source, grant]) => {
      const offset = grant.obsolete()
      const end = offsets.get(partitionName(source))
      if (end !== undefined) grant.endsAt(end)
      return offset === undefined ? [] : [{ ...source, offset }]
    })
    this.state = { is: before.length > 0 ? 'deleting' : 'resting' }
    return before.length > 0 ? { do: 'delete', before } : { do: 'rest' }
  }
}
