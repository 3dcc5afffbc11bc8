import { partitionName, type TopicPartition, WeirError } from '../model/index.js'

/**
 * The inputs of a task: which topics each of them reads, and how many partitions those have. A topic names its input, so
 * what belongs to an input can be looked up by topic.
 */
export class Inputs {
  private readonly byTopic = new Map<string, number>()
  private readonly totals = new Map<number, number>()

  constructor(readonly count = 1) {}

  /**
   * An input was given these partitions, of so many in all.
   * Errors: WEIR_CONFIG_INVALID when another input reads one of the topics.
   */
  assigned(input: number, partitions: readonly TopicPartition[], total: number): void {
    for (const partition of partitions) {
      const known = this.byTopic.get(partition.topic)
      if (known !== undefined && known !== input) throw sharedError(partition)
      this.byTopic.set(partition.topic, input)
    }
    this.totals.set(input, total)
  }

  /** The input that reads a topic. */
  of(topic: string): number {
    return this.byTopic.get(topic) ?? 0
  }

  /** How many partitions the topics of an input have, all tasks together; Infinity before its first assignment. */
  totalOf(input: number): number {
    return this.totals.get(input) ?? Number.POSITIVE_INFINITY
  }

  /** Whether every input has had its first assignment, were it of nothing. */
  get areKnown(): boolean {
    return this.totals.size === this.count
  }

  /** How many partitions there are in all; Infinity before every input has had its first assignment. */
  get total(): number {
    let total = 0
    for (let input = 0; input < this.count; input++) total += this.totalOf(input)
    return total
  }

  /** Whether these are all partitions of every input. */
  areAll(partitions: Iterable<TopicPartition>): boolean {
    const held = new Array<number>(this.count).fill(0)
    for (const { topic } of partitions) held[this.of(topic)]!++
    return held.every((count, input) => count >= this.totalOf(input))
  }

  /** Forgets how many there are: the task connects anew. */
  clear(): void {
    this.byTopic.clear()
    this.totals.clear()
  }
}

function sharedError(partition: TopicPartition): WeirError {
  const message = `merging inputs: two of them read topic '${partition.topic}' (${partitionName(partition)})`
  return new WeirError('WEIR_CONFIG_INVALID', message, { partition, hint: sharedHint })
}

export const sharedHint =
  'Read it in one input, for positions, time and state are kept by topic and partition; or in a flow of its own.'
