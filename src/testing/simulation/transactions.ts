import { type EpochCommit, type Position, partitionName, type TopicPartition, WeirError } from '../../model/index.js'
import {
  type Bounds,
  decodeEntry,
  type Entry,
  encodeEntry,
  type NewEntry,
  type ReadEntry,
} from '../../state/checkpoint-protocol/index.js'
import { type Cluster, type Fate, hash, type Outcome } from './cluster.js'
import type { Judge } from './judge.js'
import type { Actor, World } from './world.js'

/** After this long the brokers abort what nobody has ended, ms. */
const timeoutMs = 60_000
/** How many partitions a topic of results has. */
const outputPartitions = 3

/** What was written by one producer between two commits. */
class Transaction implements Fate {
  readonly values: unknown[] = []
  readonly entries: NewEntry[] = []
  outcome: Outcome = 'open'
  /** The partitions that it touches, and whether each was told the outcome. */
  private readonly told = new Map<string, { readonly at: TopicPartition; isTold: boolean }>()

  tellsOf(partition: TopicPartition): Outcome {
    return this.told.get(partitionName(partition))?.isTold === true ? this.outcome : 'open'
  }

  touches(at: TopicPartition): void {
    this.told.set(partitionName(at), { at, isTold: false })
  }

  tellings(): Iterable<{ isTold: boolean }> {
    return this.told.values()
  }
}

interface Registered {
  epoch: number
  /** The writes that were carried out: one that comes again is not. */
  readonly written: Set<number>
  transaction: Transaction | undefined
  /** The last transaction that has ended: a client ends one when nothing of it is on its way, so nothing may join it. */
  ended: number
}

/** Who speaks: a transactional id, and the epoch that it was given. */
export interface Speaker {
  readonly id: string
  readonly epoch: number
}

/** A write, both numbers counting up for each epoch of an id: results, or entries of logs. */
export interface Write {
  readonly transaction: number
  readonly sequence: number
  readonly results?: { readonly topic: string; readonly values: readonly unknown[] }
  readonly entries?: readonly NewEntry[]
}

/** A message of a log. */
interface Logged {
  readonly key: string
  readonly bytes: Uint8Array | null
}

/**
 * The brokers' side of Kafka's transactions, with the logs of checkpoints: whoever has a transactional id last may write and
 * commit, and nothing else is asked of a commit.
 */
export class TransactionServer {
  private readonly producers = new Map<string, Registered>()
  private readonly watch: LogWatch
  /** Of each topic of logs what it is of. */
  private readonly logs = new Map<string, { readonly task: string; readonly topic: string }>()
  /** The topics of results that were written to. */
  private readonly outputs = new Set<string>()

  constructor(
    readonly cluster: Cluster,
    private readonly judge: Judge,
  ) {
    this.watch = new LogWatch(cluster.world)
  }

  /** Gives the id to somebody: aborts what it has open, and refuses whoever had it before. Returns its epoch. */
  init(id: string): number {
    const known = this.producers.get(id)
    this.end(known, 'aborted')
    const epoch = (known?.epoch ?? 0) + 1
    this.producers.set(id, { epoch, written: new Set(), transaction: undefined, ended: 0 })
    return epoch
  }

  /** Makes the logs of these partitions, of which some may be gone. */
  prepare(task: string, partitions: readonly TopicPartition[]): void {
    for (const source of partitions) {
      const log = logOf(task, source).topic
      const many = Math.max(source.partition + 1, this.cluster.partitionsOf([source.topic]).length)
      if (this.cluster.topic(log, many) < many) this.cluster.grow(log, many)
      this.logs.set(log, { task, topic: source.topic })
    }
  }

  /** The source partitions that tasks have logs of. */
  logged(): readonly (TopicPartition & { readonly task: string })[] {
    return [...this.logs].flatMap(([log, { task, topic }]) =>
      this.cluster.partitionsOf([log]).map(({ partition }) => ({ task, topic, partition })),
    )
  }

  bounds(task: string, sources: readonly TopicPartition[]): Bounds[] {
    return sources.map((source) => {
      const log = logOf(task, source)
      return { ...source, start: this.cluster.start(log), end: this.cluster.end(log) }
    })
  }

  /** Entries from a position on, as who waits for the ends of transactions reads them. */
  read(task: string, { topic, partition, offset }: Position, most: number) {
    const source = { topic, partition }
    const { records, next, isEnd } = this.cluster.readStable({ ...logOf(task, source), offset }, most)
    const entries = records.map(({ offset: at, value }): ReadEntry => {
      const { key, bytes } = value as Logged
      return { source, offset: at, entry: decodeEntry(key), bytes }
    })
    return { entries, next, isEnd }
  }

  /** Writes entries outside of all transactions. */
  mark(who: Actor, task: string, entries: readonly NewEntry[]): void {
    for (const entry of entries) {
      this.append(task, entry)
      this.watch.marked(who, task, entry)
    }
  }

  truncate(task: string, before: readonly Position[]): void {
    for (const position of before) this.cluster.truncate({ ...logOf(task, position), offset: position.offset })
  }

  /** Writes what nobody sees before the commit: each result by its content to a partition of its topic. */
  write(speaker: Speaker, task: string, { transaction: number, sequence, results, entries = [] }: Write): void {
    const producer = this.speaking(speaker)
    if (producer.written.has(sequence) || number <= producer.ended) return
    producer.written.add(sequence)
    const transaction = this.open(producer)
    if (results !== undefined) this.writeResults(results, transaction)
    for (const entry of entries) {
      transaction.touches(logOf(task, entry.source))
      transaction.entries.push(entry)
      this.append(task, entry, transaction)
    }
  }

  /** Ends the transaction: positions, state and values count, or none of them. */
  commit(who: Actor, speaker: Speaker, number: number, { task, partitions }: EpochCommit): void {
    const { world, link } = this.cluster
    const producer = this.speaking(speaker)
    if (number <= producer.ended)
      throw new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'committing: the transaction is over')
    const { values, entries } = this.open(producer)
    producer.ended = number
    if (world.random.chance(link.weather.loss / 4)) {
      this.end(producer, 'aborted')
      throw new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'committing: the brokers have aborted the transaction')
    }
    this.end(producer, 'committed')
    this.watch.committed(who, task, partitions, entries)
    for (const value of values) this.judge.effect(who.name, value, true)
    this.judge.committed(
      partitions.map(({ topic, partition, progress: { position, watermark, facts } }) => {
        return { topic, partition, offset: position, watermark, facts }
      }),
    )
  }

  abort(speaker: Speaker, number: number): void {
    const producer = this.speaking(speaker)
    producer.ended = number
    this.end(producer, 'aborted')
  }

  get hasOpen(): boolean {
    return [...this.producers.values()].some(({ transaction }) => transaction !== undefined)
  }

  /** All values that are committed, as a reader sees them that waits for that. */
  committed(): readonly unknown[] {
    return this.cluster
      .partitionsOf([...this.outputs])
      .flatMap((partition) => this.cluster.readCommitted(partition))
      .map(({ value }) => value)
  }

  private writeResults({ topic, values }: NonNullable<Write['results']>, transaction: Transaction): void {
    this.outputs.add(topic)
    this.cluster.topic(topic, outputPartitions)
    for (const value of values) {
      const at = { topic, partition: hash(JSON.stringify(value)) % outputPartitions }
      transaction.touches(at)
      transaction.values.push(value)
      const message = { key: null, value, timestamp: this.cluster.world.now, headers: [] }
      this.cluster.append(at.topic, at.partition, message, transaction)
    }
  }

  private append(task: string, { source, entry, bytes }: NewEntry, fate?: Fate): void {
    const log = logOf(task, source)
    // A copy: what is carried out late must not see what became of the epoch's buffers.
    const value: Logged = { key: encodeEntry(entry), bytes: bytes === null ? null : Uint8Array.from(bytes) }
    const message = { key: null, value, timestamp: this.cluster.world.now, headers: [] }
    this.cluster.append(log.topic, log.partition, message, fate)
  }

  /** Errors: fenced when somebody else has the id since. */
  private speaking({ id, epoch }: Speaker): Registered {
    const producer = this.producers.get(id)
    if (producer !== undefined && producer.epoch <= epoch) return producer
    throw new WeirError('WEIR_CHECKPOINT_FENCED', `writing as '${id}': there is a newer instance of this producer`)
  }

  private open(producer: Registered): Transaction {
    if (producer.transaction !== undefined) return producer.transaction
    const transaction = new Transaction()
    producer.transaction = transaction
    this.cluster.world.servers.after(timeoutMs, () => {
      if (producer.transaction !== transaction) return
      producer.epoch++
      this.end(producer, 'aborted')
    })
    return transaction
  }

  /** The outcome is decided at once, and each partition is told in its own time. */
  private end(producer: Registered | undefined, outcome: 'committed' | 'aborted'): void {
    const transaction = producer?.transaction
    if (producer === undefined || transaction === undefined) return
    producer.transaction = undefined
    transaction.outcome = outcome
    const { world, link } = this.cluster
    for (const telling of transaction.tellings())
      world.servers.after(link.latency(), () => {
        telling.isTold = true
      })
  }
}

/** Who claimed a partition last, and how far it was committed, in which topic. */
interface Owner {
  readonly generation: number
  readonly name: string
  position: number
  id: string | undefined
}

/** What the protocol is for, held against the logs themselves: who claimed a partition last, and that it goes forward. */
class LogWatch {
  private readonly owners = new Map<string, Owner>()

  constructor(private readonly world: World) {}

  marked(who: Actor, task: string, { source, entry }: NewEntry): void {
    if (entry.kind !== 'acquired') return
    const known = this.owners.get(keyOf(task, source))
    if (entry.generation <= (known?.generation ?? 0)) return
    const { generation } = entry
    this.owners.set(keyOf(task, source), { position: 0, id: undefined, ...known, generation, name: who.name })
  }

  committed(who: Actor, task: string, partitions: EpochCommit['partitions'], entries: readonly NewEntry[]): void {
    const said = new Set(entries.flatMap(({ source, entry }) => (isCommitted(entry) ? [partitionName(source)] : [])))
    for (const { topic, partition, generation, progress } of partitions) {
      const name = partitionName({ topic, partition })
      const owner = this.owners.get(keyOf(task, { topic, partition }))
      if (owner?.name !== who.name || owner.generation !== generation) {
        this.world.breaks(`no effect counts after fencing: ${who.name} committed ${name}, ${owner?.name} has it`)
      } else if (owner.id === progress.facts?.id && progress.position < owner.position) {
        this.world.breaks(`positions do not go back: ${name} from ${owner.position} to ${progress.position}`)
      } else if (progress.position > owner.position && !said.has(name)) {
        this.world.breaks(`what is committed stands in the log: ${name}@${progress.position} does not`)
      }
      if (owner === undefined) continue
      owner.position = progress.position
      owner.id = progress.facts?.id
    }
  }
}

const isCommitted = (entry: Entry) => entry.kind === 'committed'

function logOf(task: string, { topic, partition }: TopicPartition): TopicPartition {
  return { topic: `${task}.${topic}.checkpoints`, partition }
}

function keyOf(task: string, partition: TopicPartition): string {
  return `${task} ${partitionName(partition)}`
}
