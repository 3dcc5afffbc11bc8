import { nextTimeSet, setBack } from '../../engine/index.js'
import { type HeldPartition, partitionName } from '../../model/index.js'
import type { CheckpointServer } from './checkpoints.js'
import type { Fleet } from './fleet.js'
import type { Random } from './random.js'
import type { World } from './world.js'

const lookEveryMs = 500
/** How long somebody who sets the time of a running flow takes for each partition, at the most. */
const slowestMs = 1_000

interface Scene {
  readonly world: World
  readonly server: CheckpointServer
  readonly fleet: Fleet
  readonly random: Random
  /** Whether it may be done while the flow runs, which then has to begin anew. */
  readonly mayRun: boolean
  /** Whether all is read that has moved time. */
  isRead(): boolean
}

/** Somebody sets the time of the flow back once all that has moved it is read, be the flow running or stopped. */
export class TimeSetting {
  constructor(
    private readonly scene: Scene,
    private readonly to: number,
    /** Called once it is done. */
    private readonly done: () => void,
  ) {}

  wait(): void {
    const { world, fleet, random, mayRun, isRead } = this.scene
    if (!isRead()) return void world.servers.after(lookEveryMs, () => this.wait())
    if (mayRun && random.chance(0.5)) this.set()
    else fleet.between(() => this.set(0))
  }

  private set(slowest = slowestMs): void {
    const held = this.scene.server.list('app')
    this.setEach(held, nextTimeSet(held), slowest)
  }

  private setEach([next, ...others]: readonly HeldPartition[], timeSets: number, slowest: number): void {
    const { world, server, random } = this.scene
    if (next === undefined) return this.done()
    world.note('operator', `sets the time of ${partitionName(next)} back to ${this.to}`)
    server.change(next, (progress) => setBack(progress, this.to, timeSets))
    if (slowest === 0) return this.setEach(others, timeSets, slowest)
    world.servers.after(random.between(0, slowest), () => this.setEach(others, timeSets, slowest))
  }
}
