import { NEVER, type Subscription } from 'rxjs'
import { Engine, type FlowStatus, type Topology } from '../../engine/index.js'
import { type CheckpointStore, type ErrorCode, type Logger, messageOf } from '../../model/index.js'
import { RestoreCheck } from '../restore-check.js'
import type { Cluster } from './cluster.js'
import type { Group, Member } from './group.js'
import type { SimulatedReader } from './reader.js'
import type { Actor } from './world.js'

/** The errors of those who find a server away. */
const servers: readonly (ErrorCode | undefined)[] = [
  'WEIR_SOURCE_UNREACHABLE',
  'WEIR_SINK_UNREACHABLE',
  'WEIR_SINK_FAILED',
  'WEIR_CHECKPOINT_UNREACHABLE',
]

/** The errors that nothing explains which happens to a process: it is the flow, or the engine, that errs. */
const bugs: readonly (ErrorCode | undefined)[] = [
  'WEIR_TASK_UNEXPECTED',
  'WEIR_CHECKPOINT_CORRUPT',
  'WEIR_CHECKPOINT_UNKNOWN_STORE',
]

/** What a process is made of: its topology is compiled for it, since its connections are its own. */
export interface Making {
  readonly topology: Topology
  readonly instance: string | undefined
  /** The sources at work in it. */
  readonly readers: readonly SimulatedReader[]
  /** The flow has stopped, and does not go on by itself. */
  readonly stopped: (code: ErrorCode) => void
  /** An epoch of a part of the flow was committed. */
  readonly ended: (part: string) => void
  /** What is kept of the partitions that it has. */
  readonly kept: Pick<CheckpointStore, 'list' | 'load'>
}

/** A process that runs the flow: it can stop, die, stand still, be cut off, and be wrong about the time. */
export class SimulatedProcess {
  /** Whether it has ended, however. */
  isOver = false
  isStopping = false
  private readonly engine: Engine
  private readonly check: RestoreCheck
  private running: Subscription | undefined
  private silenced: { readonly member: Member; readonly group: Group }[] = []
  private stepsToLive = Number.POSITIVE_INFINITY
  private broken = 0

  constructor(
    readonly actor: Actor,
    private readonly cluster: Cluster,
    private readonly making: Making,
    private readonly ended: () => void,
  ) {
    const { clock } = actor
    this.engine = new Engine(making.topology, {
      clock,
      log: loggerOf(actor),
      http: { serve: () => NEVER },
      production: false,
      dataDirectory: '.',
      instance: making.instance,
      observer: { state: (status) => this.entered(status), epoch: ({ part }) => this.committed(part) },
    })
    this.check = new RestoreCheck(this.engine, making.kept, 'app')
    actor.acted = () => {
      if (--this.stepsToLive <= 0) this.crash()
    }
    actor.after(0, () => {
      actor.note('starts')
      const end = () => this.end('ends')
      this.running = this.engine.run().subscribe({ complete: end, error: end })
    })
  }

  /** Ends after so many more of its actions, in between two of them. */
  crashIn(steps: number): void {
    this.stepsToLive = steps
  }

  spare(): void {
    this.stepsToLive = Number.POSITIVE_INFINITY
  }

  crash(): void {
    if (this.isOver) return
    this.silence()
    this.actor.die()
    this.end('crashes')
    this.running?.unsubscribe()
  }

  /** Drains, commits and ends. */
  stop(): void {
    this.isStopping = true
    this.actor.after(0, () => {
      this.actor.note('has to stop')
      this.engine.stop()
    })
  }

  get canAct(): boolean {
    return !this.isOver && !this.isStopping && this.actor.state === 'awake'
  }

  /** Stands still; what it waits for comes when it wakes up. */
  sleep(): void {
    this.actor.note('stands still')
    this.silence()
    this.actor.state = 'asleep'
  }

  wake(): void {
    if (this.isOver || this.actor.state !== 'asleep') return
    this.actor.note('goes on')
    this.actor.state = 'awake'
    this.hear()
  }

  /** Kafka does not reach it, nor it Kafka; everything else goes on. */
  isolate(): void {
    this.actor.note('is cut off')
    this.silence()
    this.actor.isIsolated = true
  }

  rejoin(): void {
    if (!this.actor.isIsolated) return
    this.actor.note('is no longer cut off')
    this.actor.isIsolated = false
    this.hear()
  }

  /** Of several readers the next one each time. */
  breakClient(): void {
    const { readers } = this.making
    this.actor.after(0, () => readers[this.broken++ % readers.length]?.break())
  }

  private silence(): void {
    if (this.silenced.length > 0) return
    for (const group of this.cluster.allGroups()) {
      for (const member of group.membersOf(this.actor)) {
        this.silenced.push({ member, group })
        group.silence(member)
      }
    }
  }

  private hear(): void {
    if (this.isOver || this.actor.isIsolated || this.actor.state !== 'awake') return
    for (const { member, group } of this.silenced) group.hear(member)
    this.silenced = []
  }

  private entered({ state, error }: FlowStatus): void {
    const { actor } = this
    actor.note(state)
    if (bugs.includes(error?.code)) actor.world.breaks(`no task errs by itself: ${messageOf(error)}`)
  }

  /** Lost state looks right until a process ends. */
  private committed(part: string): void {
    this.making.ended(part)
    this.checkHealth()
    const lossy = this.check.committed(part)
    if (lossy !== undefined) this.actor.world.breaks(`a restore brings what is in memory: ${lossy}`)
  }

  /** What is committed beside records that fail, be it nothing at all, does not make anything well again. */
  private checkHealth(): void {
    const told = Math.min(...this.engine.status().map(({ failingSince = Number.POSITIVE_INFINITY }) => failingSince))
    for (const { failingSince: since, topics } of this.making.readers)
      if (since !== undefined && told > since)
        this.actor.world.breaks(
          `health says since when records fail: those of ${topics.join(', ')} have since ${since}`,
        )
  }

  private end(how: string): void {
    if (this.isOver) return
    const all = this.engine.status()
    const states = all.map(({ state, error }) => (error ? `${state}: ${messageOf(error)}` : state))
    this.actor.note(`${how} (${states.join(', ')})`)
    const gaveUp = all.find(({ state, error }) => state === 'failed' && servers.includes(error?.code))
    if (gaveUp !== undefined) this.actor.world.breaks(`nobody gives up on a server: ${messageOf(gaveUp.error)}`)
    for (const { state, error } of all) if (state === 'failed' && error !== undefined) this.making.stopped(error.code)
    this.isOver = true
    // What it could not tell the group any more, the end of its session does.
    this.silence()
    this.ended()
  }
}

function loggerOf(actor: Actor): Logger {
  const write = (fields: object | string, message?: string) =>
    actor.note(typeof fields === 'string' ? fields : (message ?? ''))
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: write,
    error: write,
    child: () => logger,
  }
  return logger
}
