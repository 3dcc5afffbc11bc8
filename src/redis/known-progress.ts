import { partitionName, type TopicPartition } from '../model/index.js'

interface Known {
  readonly generation: number
  readonly text: string
}

/**
 * What this process last read or wrote of each partition, as it is stored. A server that lost commits it had
 * acknowledged stands at something else, and the next commit would leave a gap in the log.
 */
export class KnownProgress {
  private readonly known = new Map<string, Known>()

  /** Undefined when another process, or nobody, acquired that generation. */
  of(task: string, partition: TopicPartition & { readonly generation: number }): string | undefined {
    const known = this.known.get(nameOf(task, partition))
    return known?.generation === partition.generation ? known.text : undefined
  }

  set(task: string, partition: TopicPartition & { readonly generation: number }, text: string): void {
    this.known.set(nameOf(task, partition), { generation: partition.generation, text })
  }
}

function nameOf(task: string, partition: TopicPartition): string {
  return `${task} ${partitionName(partition)}`
}
