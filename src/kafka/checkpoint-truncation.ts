import type { PartitionMap, TopicPartition } from '../model/index.js'
import { logPartition } from './checkpoint-log.js'
import type { KafkaConnection } from './connection.js'

/** A partition that a task holds, and what it has written of it. */
export interface Grant {
  readonly generation: number
  sequence: number
  /** All chunks of a lower sequence are obsolete. */
  keptFrom: number
  /** Commits begun and commits done since it was acquired. */
  started: number
  commits: number
  /** What the last commit said, to be compared with the next. */
  told: string
  marks: Mark[]
}

/** All chunks before the offset are of this sequence or a lower one, and of commits up to this one. */
interface Mark {
  readonly offset: number
  readonly sequence: number
  readonly started: number
}

const everyMs = 1_000
const mostMarks = 2_048

/**
 * Deletes what is obsolete from the logs of a task. Where sequences lie is learned while loading, and from asking where
 * the logs end, once a second at most, because reports of what was written where would double the price of a message.
 */
export class LogTruncation {
  private underWay: Promise<unknown> = Promise.resolve()
  private isBusy = false
  private tidiedAt = Number.NEGATIVE_INFINITY

  constructor(
    private readonly connection: KafkaConnection,
    private readonly task: string,
  ) {}

  /** Told of a chunk that was found at an offset. */
  read(grant: Grant, sequence: number, offset: number): void {
    const last = grant.marks.at(-1)?.sequence ?? 0
    if (sequence > last + 1) this.mark(grant, { sequence: sequence - 1, offset, started: 0 })
  }

  /** After a commit; what it does is no concern of the epoch, and fails in silence to be done later. */
  tidy(grants: PartitionMap<Grant>): void {
    const now = performance.now()
    if (this.isBusy || now - this.tidiedAt < everyMs) return
    this.tidiedAt = now
    this.isBusy = true
    this.underWay = this.look(grants)
      .catch((error: unknown) =>
        this.connection.context.log.debug({ err: error }, 'Kafka: truncating checkpoints failed'),
      )
      .finally(() => {
        this.isBusy = false
      })
  }

  close(): Promise<unknown> {
    return this.underWay
  }

  private async look(grants: PartitionMap<Grant>): Promise<void> {
    const held = [...grants.entries()].map(([source, grant]) => ({ log: logPartition(this.task, source), grant }))
    const { topics } = this.connection
    const ends = await topics.offsets(
      held.map(({ log }) => log),
      'latest',
    )
    const before = held.flatMap(({ log, grant }) => {
      const offset = obsolete(grant)
      const end = ends.find((found) => isSame(found, log))?.offset
      // Whatever began to be written while the brokers were asked may lie before the end as well.
      if (end !== undefined) this.mark(grant, { offset: end, sequence: grant.sequence, started: grant.started })
      return offset === undefined ? [] : [{ ...log, offset }]
    })
    if (before.length > 0) await topics.deleteBefore(before)
  }

  private mark(grant: Grant, mark: Mark): void {
    if ((grant.marks.at(-1)?.offset ?? -1) >= mark.offset) return
    grant.marks.push(mark)
    if (grant.marks.length > mostMarks) grant.marks = grant.marks.filter((_, index) => index % 2 === 0)
  }
}

/** Up to where nothing is needed any more: neither chunks nor the last word on where the partition stands. */
function obsolete(grant: Grant): number | undefined {
  const isObsolete = ({ sequence, started }: Mark) =>
    grant.commits > started && (grant.sequence === 0 || sequence < grant.keptFrom)
  const count = grant.marks.findLastIndex(isObsolete) + 1
  return grant.marks.splice(0, count).at(-1)?.offset
}

function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition
}
