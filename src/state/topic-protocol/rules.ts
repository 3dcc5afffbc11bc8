import type { ErrorPlace, Keeps } from '../../model/index.js'

/** The two ends of a partition, or a time in ms: where the first record of that time or later lies. */
export type Spot = 'earliest' | 'latest' | number

/** What shall follow when topics are not what they were. */
export interface TopicRules {
  readonly topics: readonly string[]
  readonly group: string
  /** Where partitions begin that the group has no position of; undefined refuses them. */
  readonly from: Spot | undefined
  /** Whether Weir itself writes the topic. */
  readonly isInternal?: boolean
  /** What the task keeps besides positions. */
  readonly keeps: Keeps
  readonly onRecreated: 'fail' | 'restart'
  readonly onGap: 'warn' | 'fail'
  readonly onTruncated: 'fail' | 'earliest' | 'latest'
  readonly onGrown: 'fail' | 'accept'
  /** `reading topic 'orders' of flow 'billing'`, for error texts. */
  readonly doing: string
  readonly place: ErrorPlace
}
