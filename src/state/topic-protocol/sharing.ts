import { isSamePartition, type TopicPartition, type WeirError } from '../../model/index.js'
import type { SeenTopic } from './facts.js'
import { misassigned, named } from './findings.js'
import type { TopicRules } from './rules.js'

/** How long a group may take to find that there are more partitions, ms: its members look every 5 s, and then share them out. */
const patienceMs = 10_000

/**
 * Whether a group has shared out all partitions that there are. A member with a lasting name is given what it had when it
 * comes back, and nobody looks what there is by then: what came to be meanwhile is read by nobody, for as long as no member
 * joins that is new.
 */
export class Sharing {
  private since: number | undefined

  constructor(
    private readonly rules: TopicRules,
    /** How often that was mended in vain. */
    private readonly tries = 0,
  ) {}

  /**
   * What there is, and what all members together have; undefined while they are sharing it out. Returns why to join anew,
   * once that is as long ago as it may be; true where there is nothing more to look for.
   */
  look(
    seen: ReadonlyMap<string, SeenTopic | undefined>,
    given: readonly TopicPartition[] | undefined,
    now: number,
  ): WeirError | boolean {
    if (given === undefined) this.since = undefined
    if (given === undefined) return false
    const left = partitionsOf(seen).filter((one) => !given.some((at) => isSamePartition(at, one)))
    if (left.length === 0) return true
    this.since ??= now
    if (now - this.since < patienceMs * 2 ** Math.min(this.tries, 5)) return false
    return misassigned(this.rules, `has nobody read ${named(left)}`)
  }
}

function partitionsOf(seen: ReadonlyMap<string, SeenTopic | undefined>): TopicPartition[] {
  return [...seen].flatMap(([topic, now]) =>
    Array.from({ length: now?.partitions ?? 0 }, (_, partition) => ({ topic, partition })),
  )
}
