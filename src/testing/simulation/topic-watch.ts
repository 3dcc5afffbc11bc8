import { catchError, EMPTY, expand, map, type Observable, of, type Subscription, tap } from 'rxjs'
import type { Position, TopicPartition, WeirError } from '../../model/index.js'
import {
  type Finding,
  lookEveryMs,
  type Reading,
  type SeenTopic,
  type TopicRules,
  TopicWatching,
  type WatchCommand,
  type WatchEvent,
} from '../../state/topic-protocol/index.js'
import type { Cluster } from './cluster.js'
import type { Actor } from './world.js'

/** The reader whose topics are watched. */
export interface WatchedReader {
  readings(): readonly Reading[]
  positionOf(partition: TopicPartition): number | undefined
  tell(findings: readonly Finding[]): void
  /** Goes on elsewhere in a partition. */
  move(to: Position): void
  /** Ends the reading with an error, once what was read is committed. */
  end(error: WeirError): void
  ask<T>(what: string, execute: () => T): Observable<T>
}

/** Looks every few seconds at what the topics are, as the real reader does. */
export class SimulatedWatch {
  private readonly machine: TopicWatching
  private looking: Subscription | undefined
  private isOver = false
  /** Topics of which nothing is read. */
  private held: ReadonlyMap<string, boolean> = new Map()

  constructor(
    rules: TopicRules,
    private readonly cluster: Cluster,
    private readonly actor: Actor,
    private readonly reader: WatchedReader,
  ) {
    this.machine = new TopicWatching(rules)
    if (cluster.isChanging) this.wait()
  }

  stop(): void {
    this.isOver = true
    this.looking?.unsubscribe()
  }

  get seen(): ReadonlyMap<string, SeenTopic> {
    return this.machine.seen
  }

  know(seen: ReadonlyMap<string, SeenTopic>): void {
    this.machine.know(seen)
  }

  /** The client has given up on a position. */
  stray(): void {
    this.machine.stray()
    this.look()
  }

  isHeld(topic: string): boolean {
    return this.held.get(topic) === true
  }

  private wait(): void {
    this.actor.after(lookEveryMs, () => {
      if (this.isOver) return
      this.look()
      this.wait()
    })
  }

  private look(): void {
    if (this.isOver || this.looking?.closed === false) return
    this.looking = of(this.machine.handle({ on: 'look' }))
      .pipe(
        tap((command) => this.follow(command)),
        expand((command) =>
          this.carryOut(command).pipe(
            catchError(() => of<WatchEvent>({ on: 'failed' })),
            map((event) => this.machine.handle(event)),
            tap((next) => this.follow(next)),
          ),
        ),
      )
      .subscribe()
  }

  private carryOut(command: WatchCommand): Observable<WatchEvent> {
    const { cluster, reader } = this
    if (command.do === 'describe') {
      const asked = reader.ask(`description of ${command.topics.join(', ')}`, () => cluster.describe(command.topics))
      return asked.pipe(map((seen): WatchEvent => ({ on: 'described', seen, readings: reader.readings() })))
    }
    if (command.do !== 'bound') return EMPTY
    const ends = () =>
      command.partitions.map(({ topic, partition }) => {
        const isThere = cluster.hasPartition({ topic, partition })
        const [start, end] = isThere
          ? [cluster.start({ topic, partition }), cluster.end({ topic, partition })]
          : [undefined, undefined]
        return { topic, partition, start, end }
      })
    const now = (at: TopicPartition) => ({ position: reader.positionOf(at) })
    return reader
      .ask(`ends of ${command.partitions.length} partitions`, ends)
      .pipe(map((found): WatchEvent => ({ on: 'bounded', bounds: found.map((at) => ({ ...at, ...now(at) })) })))
  }

  private follow(command: WatchCommand): void {
    if (command.do === 'describe') return
    this.reader.tell(command.findings)
    if (command.do === 'end') return this.reader.end(command.error)
    this.held = command.held
    if (command.do === 'rest') for (const to of command.moves) this.reader.move(to)
  }
}
