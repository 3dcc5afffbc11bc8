import {
  type AcquiredPartition,
  type EpochCommit,
  fencedError,
  PartitionMap,
  type TopicPartition,
  WeirError,
} from '../../model/index.js'
import { entriesOf, type NewEntry } from './entry.js'
import { Grant } from './grant.js'
import { LogLoading } from './loading.js'
import { LogSearch } from './log-search.js'
import { type Command, type Event, type Machine, unexpected } from './steps.js'
import { LogTruncation } from './truncation.js'

/** Partitions on their way to this task. */
interface Acquisition {
  readonly partitions: readonly TopicPartition[]
  readonly token: string
  readonly search: LogSearch
  /** Those that are not won yet. */
  open: readonly TopicPartition[]
  round: number
}

type State =
  | { readonly is: 'idle' | 'releasing' }
  | {
      readonly is: 'preparing' | 'renewing' | 'searching' | 'fencing' | 'claiming' | 'following'
      readonly acquisition: Acquisition
    }
  | { readonly is: 'committing'; readonly changed: readonly Grant[] }

/** The producer of the transactions, as far as it matters here. */
type Producer = 'none' | 'able' | { readonly lost: WeirError }

/**
 * How a task gets partitions, and writes their logs. It knows no client, no clock and no promise: whoever drives it does
 * what `handle` answers, one command after the other, and tells what came of it.
 *
 *   idle ──acquire──► preparing ──► renewing, where there is no producer
 *    ▲                    │             │
 *    │                    ▼             ▼
 *    │                    searching ◄───┘
 *    │                        │ found
 *    │         somebody's ┌───┴────┐ nobody's, or its own
 *    │                    ▼        │
 *    │        ┌──────► fencing     │
 *    │        │           │ fenced │
 *    │        │           ▼        ▼
 *    │        │           claiming ◄── somebody was first, and has given it back
 *    │        │               │ written      ▲
 *    │        │               ▼              │
 *    │        └─ lost to ── following ───────┘
 *    │           somebody     │
 *    ├────────────────────────┘ won all
 *    │
 *    ├──── releasing ◄──release── idle
 *    └──── committing ◄──commit── idle
 *
 *   failed: from any of them to idle; what was being acquired is not, and while committing the producer is lost.
 *
 * What was acquired through a producer ends with it. To fence is to take its id's right to commit from an owner before
 * anything is claimed, so whatever is committed in a log counts; who has released a partition commits no more of it, and
 * is spared. Of several claims of one generation the first in the log counts (docs/adr/0006, 0022).
 */
export class CheckpointProtocol implements Machine {
  readonly grants = new PartitionMap<Grant>()
  readonly truncation = new LogTruncation(this.grants)
  private state: State = { is: 'idle' }
  private producer: Producer = 'none'

  constructor(
    readonly task: string,
    /** The transactional id of the task, which no other has. */
    readonly id: string,
  ) {}

  handle(event: Event): Command {
    if (event.on === 'lost') return this.lose(event.error)
    if (event.on === 'failed') return this.fail(event.error)
    const { state } = this
    switch (state.is) {
      case 'idle':
        return this.begin(event)
      case 'preparing':
        if (event.on === 'prepared') return this.prepared(state.acquisition)
        break
      case 'renewing':
        if (event.on === 'renewed') return this.renewed(state.acquisition)
        break
      case 'searching':
        if (event.on === 'bounded' || event.on === 'read')
          return state.acquisition.search.handle(event) ?? this.fence(state.acquisition)
        break
      case 'fencing':
        if (event.on === 'fenced') return this.claim(state.acquisition)
        break
      case 'claiming':
        if (event.on === 'written') return this.follow(state.acquisition)
        break
      case 'following':
        if (event.on === 'read') {
          state.acquisition.search.handle(event)
          return this.follow(state.acquisition)
        }
        break
      case 'releasing':
        if (event.on === 'written') return this.answer()
        break
      case 'committing':
        if (event.on === 'committed') return this.committed(state.changed)
        break
    }
    throw unexpected(state.is, event)
  }

  /** What reads the state of a partition: a machine of its own, which disturbs nothing. */
  loading(source: TopicPartition): LogLoading {
    return new LogLoading(source, this.grants.get(source.topic, source.partition))
  }

  /** Why nothing can be written: the error of the producer, or WEIR_CHECKPOINT_UNREACHABLE before it was acquired. */
  get fault(): WeirError | undefined {
    if (this.producer === 'able') return undefined
    if (this.producer !== 'none') return this.producer.lost
    return new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `writing an epoch of '${this.task}': nothing was acquired`)
  }

  private begin(event: Event): Command {
    if (event.on === 'acquire') return this.acquire(event.partitions, event.token)
    if (event.on === 'release') return this.release(event.partitions)
    if (event.on === 'commit') return this.commit(event.commit)
    throw unexpected('idle', event)
  }

  private acquire(partitions: readonly TopicPartition[], token: string): Command {
    if (partitions.length === 0) return this.answer()
    const acquisition = { partitions, token, search: new LogSearch(partitions), open: partitions, round: 0 }
    this.state = { is: 'preparing', acquisition }
    return { do: 'prepare', partitions }
  }

  private prepared(acquisition: Acquisition): Command {
    if (this.producer === 'able') return this.look(acquisition)
    this.grants.clear()
    this.producer = 'none'
    this.state = { is: 'renewing', acquisition }
    return { do: 'renew' }
  }

  private renewed(acquisition: Acquisition): Command {
    this.producer = 'able'
    return this.look(acquisition)
  }

  private look(acquisition: Acquisition): Command {
    this.state = { is: 'searching', acquisition }
    return acquisition.search.start()
  }

  private fence(acquisition: Acquisition): Command {
    const owners = new Set<string>()
    for (const source of acquisition.open) {
      const { owner } = acquisition.search.head(source)
      if (owner !== undefined && owner !== this.id) owners.add(owner)
    }
    if (owners.size === 0) return this.claim(acquisition)
    this.state = { is: 'fencing', acquisition }
    return { do: 'fence', owners: [...owners] }
  }

  private claim(acquisition: Acquisition): Command {
    acquisition.round++
    this.state = { is: 'claiming', acquisition }
    const entries = acquisition.open.map((source): NewEntry => {
      const belonging = { task: this.task, topic: source.topic, owner: this.id }
      const { next: generation } = acquisition.search.head(source)
      return { source, bytes: null, entry: { kind: 'acquired', ...belonging, generation, token: tokenOf(acquisition) } }
    })
    return { do: 'write', entries }
  }

  /** Waits until it is known of each claim whether it was the first. */
  private follow(acquisition: Acquisition): Command {
    this.state = { is: 'following', acquisition }
    const { open, search } = acquisition
    const token = tokenOf(acquisition)
    if (!open.every((source) => search.head(source).tokens.has(token))) return { do: 'read' }
    // Somebody else was first where it was not won, and has to be fenced off as well.
    acquisition.open = open.filter((source) => search.head(source).tokens.get(token) !== true)
    return acquisition.open.length > 0 ? this.fence(acquisition) : this.grant(acquisition)
  }

  private grant({ partitions, search }: Acquisition): Command {
    const acquired = partitions.map((source) => {
      const head = search.head(source)
      const taken = head.asAcquired()
      const grant = new Grant(taken.generation, taken.sequence, head.committed?.keptFrom)
      this.grants.set(source.topic, source.partition, grant)
      return taken
    })
    return this.answer(acquired)
  }

  /** Tells the logs that this task writes nothing more of these partitions, so that nobody need fence it off. */
  private release(partitions: readonly TopicPartition[]): Command {
    const entries = partitions.flatMap((source): NewEntry[] => {
      const grant = this.grants.get(source.topic, source.partition)
      this.grants.delete(source.topic, source.partition)
      if (grant === undefined) return []
      return [{ source, bytes: null, entry: { kind: 'released', generation: grant.generation } }]
    })
    if (entries.length === 0) return this.answer()
    this.state = { is: 'releasing' }
    return { do: 'write', entries }
  }

  private commit(commit: EpochCommit): Command {
    const refused = this.refusal(commit) ?? this.fault
    if (refused !== undefined) return { do: 'refuse', error: refused }
    const changed: Grant[] = []
    const entries: NewEntry[] = []
    for (const partition of commit.partitions) {
      const grant = this.grants.get(partition.topic, partition.partition)
      if (grant?.begins(partition) !== true) continue
      changed.push(grant)
      entries.push(...entriesOf(partition, { task: this.task, owner: this.id, keptFrom: grant.keptFrom }))
    }
    this.state = { is: 'committing', changed }
    return { do: 'commit', entries }
  }

  private committed(changed: readonly Grant[]): Command {
    for (const grant of changed) grant.isDone()
    return this.answer()
  }

  /** Why an epoch may not be committed: a partition was acquired later, or never, or is released. */
  private refusal({ partitions }: EpochCommit): WeirError | undefined {
    for (const { topic, partition, generation } of partitions) {
      const grant = this.grants.get(topic, partition)
      if (grant?.generation === generation) continue
      return fencedError(this.task, { topic, partition, generation: grant?.generation ?? null })
    }
    return undefined
  }

  private answer(acquired: readonly AcquiredPartition[] = []): Command {
    this.state = { is: 'idle' }
    return { do: 'answer', acquired }
  }

  private fail(error: WeirError): Command {
    if (this.state.is === 'committing') this.lose(error)
    this.state = { is: 'idle' }
    return { do: 'refuse', error }
  }

  private lose(error: WeirError): Command {
    if (this.producer === 'able') this.producer = { lost: error }
    return { do: 'refuse', error }
  }
}

/** Each round of claims has a token of its own. */
const tokenOf = ({ token, round }: Acquisition) => `${token}.${round}`
