import type { Observable } from 'rxjs'
import type { WeirError } from './errors.js'
import type { TopicPartition } from './partition.js'
import type { Origin, StreamRecord } from './record.js'

/** What a topic and one of its partitions were when a position there was taken. */
export interface TopicFacts {
  /** Tells a topic from another one that has its name later; undefined where the broker tells none. */
  readonly id?: string | undefined
  /** How many partitions the topic had. */
  readonly partitions: number
  /** The first offset that the partition still had. */
  readonly start?: number | undefined
  /** The offset that its next record would get. */
  readonly end?: number | undefined
  /** How many offsets went by in topics that had this name before: with them, places are in order over all of them. */
  readonly before?: number | undefined
  /**
   * How many partitions there were when the topic was first read: those beyond were added since. In one that has taken the
   * place of another, all were.
   */
  readonly first?: number | undefined
  /** Marked by the engine where its source names no topics: what that calls its partitions is no topic that is read. */
  readonly isOwn?: boolean | undefined
}

/** The next offset to read of one partition. */
export interface Position extends TopicPartition {
  readonly offset: number
  /** Of sources whose topics can change: what this one was. Kept with the position, and given back with it. */
  readonly facts?: TopicFacts | undefined
}

/**
 * What was noticed of a topic: `grown` has another number of partitions, `reset` positions that others have set, and
 * `forgotten` is read no longer.
 */
export interface TopicChange {
  readonly topic: string
  readonly change: 'grown' | 'recreated' | 'gap' | 'truncated' | 'reset' | 'missing' | 'forgotten'
  /** How many offsets are lost, at most. */
  readonly records?: number
}

/** What a task keeps of the partitions of its sources: nothing but positions, state, or state of the records' own keys. */
export type Keeps = 'nothing' | 'state' | 'state by key'

/** One run of a source: it ends when it is full, when its time is over, or when it is cut. */
export interface Epoch {
  readonly number: number
  /** How many more records it takes; 0 when it is full or cut. */
  room(): number
  /** Counts records and their bytes, once they are emitted: what fills the epoch also cuts it. */
  take(records: number, bytes: number): void
  /** Told by a source that has emitted all that there is to read at the moment. */
  caughtUp?(): void
  /** Emits once, at once if it has happened already: the source completes as soon as it has nothing half-read. */
  readonly cut$: Observable<unknown>
}

/** The group gave partitions to this task. Reading starts when `start` is called. */
export interface Assigned {
  readonly kind: 'assigned'
  readonly partitions: readonly TopicPartition[]
  /** How many partitions the topics have, all tasks together. */
  readonly total: number
  /** Starts to read: at the given positions, and where none is given at the group's or as the options say. */
  start(positions: readonly Position[]): Observable<never>
}

/** The group takes partitions back. It waits until `release` is called. */
export interface Revoked {
  readonly kind: 'revoked'
  readonly partitions: readonly TopicPartition[]
  /** Another member may read them already: nothing can be committed any more. */
  readonly lost: boolean
  release(): Observable<never>
}

export type AssignmentChange = Assigned | Revoked

/** How far a partition is read, and how far it reaches. */
export interface PartitionEnd extends Position {
  /** The offset that the next record written to it will get, as the broker said a moment ago. */
  readonly end: number
}

/**
 * A source at work in a task. All observables are cold; `assignments$` is subscribed first and for as long as the task
 * runs, and leaving it disconnects.
 */
export interface SourceTask<V = unknown> {
  /**
   * What outlives the restarts of the task, such as a route. Subscribed from before the first `assignments$` until the
   * flow has stopped or failed; an error is one of the flow.
   */
  readonly lifetime$?: Observable<never>
  /** Errors when the source has to be built anew: unreachable, stalled, fenced. */
  readonly assignments$: Observable<AssignmentChange>
  /** One epoch's records, emitted as they arrive. Completes when the epoch is full or cut. */
  read(epoch: Epoch): Observable<StreamRecord<V>>
  /** The next offset to read of every assigned partition, all emitted records counted. */
  positions(): readonly Position[]
  /** Goes back to these positions, because the epoch failed with this error. */
  rewind(positions: readonly Position[], error: unknown): Observable<never>
  /**
   * Told of a record that a stage of the running epoch could not take; the others of the epoch go on. `origin` is where the
   * record was read, by this source or another one.
   */
  rejected?(origin: Origin, error: WeirError): void
  /**
   * Of internal topics: reads no more of a partition, as if it had come to this place and not beyond. Called for a record while
   * it is emitted: no other of its partition follows before `goOn`, and nothing of it is kept meanwhile.
   */
  hold?(at: TopicPartition & { readonly offset: number }): void
  /** Goes on in a partition that was held. */
  goOn?(partition: TopicPartition): void
  /** Told of every failure of the task, also of those before it ran. */
  failed?(error: unknown): void
  /** Told after the epoch has been committed; mirrors the positions to the group, or answers the requests. */
  commit(positions: readonly Position[]): Observable<never>
  /** Why nothing can be read at the moment, while the source goes on trying: the flow is not ready then. */
  trouble?(): WeirError | undefined
  /** Asks how far each assigned partition reaches. Partitions that could not be asked are left out. */
  ends(): Observable<readonly PartitionEnd[]>
}
