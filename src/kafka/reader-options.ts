import type { ErrorPlace, Keeps, Logger, TopicChange } from '../model/index.js'
import type { Spot } from './admin.js'

export interface ReaderOptions {
  readonly topics: readonly string[]
  readonly group: string
  /** The name of this member where it keeps its partitions over a restart. */
  readonly instance: string | undefined
  /** Where partitions begin that the group has no position of; undefined refuses them. */
  readonly from: Spot | undefined
  readonly partitions: number
  readonly create: boolean
  readonly stallAfterMs: number
  /** Whether Weir itself writes the topic. */
  readonly isInternal?: boolean
  /** What the task keeps besides positions. */
  readonly keeps: Keeps
  readonly onRecreated: 'fail' | 'restart'
  readonly onGap: 'warn' | 'fail'
  readonly onTruncated: 'fail' | 'earliest' | 'latest'
  readonly onGrown: 'fail' | 'accept'
  /** Told of changes of the topics. */
  readonly noticed?: (change: TopicChange) => void
  /** Further settings of the client. */
  readonly client: Readonly<Record<string, unknown>>
  /** `reading topic 'orders' of flow 'billing'`, for error texts. */
  readonly doing: string
  readonly place: ErrorPlace
  readonly log: Logger
}
