import type { Logger, TopicChange } from '../model/index.js'
import type { Finding, TopicRules } from '../state/topic-protocol/index.js'

export interface ReaderOptions extends TopicRules {
  /** The name of this member where it keeps its partitions over a restart. */
  readonly instance: string | undefined
  readonly partitions: number
  readonly create: boolean
  readonly stallAfterMs: number
  /** Told of changes of the topics. */
  readonly noticed?: (change: TopicChange) => void
  /** By which way records come; whichever is better where nothing is said. */
  readonly reader?: 'client' | 'fetch' | undefined
  /** Further settings of the client. */
  readonly client: Readonly<Record<string, unknown>>
  readonly log: Logger
}

/** Counts and logs what was found of topics. */
export function tell(findings: readonly Finding[], { noticed, log }: Pick<ReaderOptions, 'noticed' | 'log'>): void {
  for (const { change, text, about } of findings) {
    noticed?.(change)
    if (text !== undefined) log.warn(about ?? {}, text)
  }
}
