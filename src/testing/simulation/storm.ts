import type { Cluster } from './cluster.js'
import type { Fleet } from './fleet.js'
import type { Link } from './link.js'
import type { SimulatedProcess } from './process.js'
import type { World } from './world.js'

/** What can go wrong, each with what happens. */
export const faults = {
  crash: 'A process ends between any two of its actions, and is started again.',
  stop: 'A process is told to stop, and another is started.',
  scale: 'Processes are added and taken away.',
  pause: 'A process stands still, also for longer than its session, and goes on.',
  isolation: 'A process can not reach Kafka, also for longer than its session.',
  rebalance: 'The group moves partitions about.',
  client: 'The Kafka client fails, and has to be built anew.',
  loss: 'Requests, answers and acknowledgements are lost, or late.',
  repeat: 'Writes are carried out twice.',
  slow: 'A server answers slowly.',
  outage: 'A server is away.',
  clock: 'The wall clock of a process jumps.',
} as const

export type Fault = keyof typeof faults

interface Scene {
  readonly world: World
  readonly fleet: Fleet
  readonly cluster: Cluster
  readonly links: readonly Link[]
  readonly sessionMs: number
}

/** Has things go wrong at random, until it is over. */
export class Storm {
  private isOver = false
  private readonly healing: (() => void)[] = []

  constructor(
    private readonly scene: Scene,
    private readonly kinds: readonly Fault[],
    private readonly meanGapMs: number,
  ) {
    if (kinds.length > 0) this.wait()
  }

  /** Everything is well again. */
  end(): void {
    this.isOver = true
    this.scene.world.isCalm = true
    this.scene.world.note('storm', 'is over')
    for (const process of this.scene.fleet.running) process.spare()
    // Afterwards: who was replaced while it stood still has to end.
    for (const heal of this.healing) heal()
    // Also who was to end already, and was spared.
    for (const process of this.scene.fleet.running) if (this.scene.fleet.isReplaced(process)) process.crashIn(30)
    for (const link of this.scene.links) link.clear()
    for (const group of this.scene.cluster.allGroups()) group.retarget()
  }

  private wait(): void {
    const { random, servers } = this.scene.world
    servers.after(random.wait(this.meanGapMs), () => {
      if (this.isOver) return
      this.strike(random.pick(this.kinds))
      this.wait()
    })
  }

  private strike(kind: Fault): void {
    const { world, fleet, links } = this.scene
    const { random } = world
    world.note('storm', kind)
    const able = fleet.running.filter(({ canAct }) => canAct)
    const { weather } = random.pick(links)
    const whileMs = random.between(100, 8_000)
    switch (kind) {
      case 'scale':
        return fleet.scale(random.between(1, fleet.size))
      case 'rebalance':
        return this.rebalance()
      case 'loss':
        weather.loss = random.next() / 2
        return this.after(whileMs, () => (weather.loss = 0))
      case 'repeat':
        weather.repeats = 0.5
        return this.after(whileMs, () => (weather.repeats = 0))
      case 'slow':
        weather.latencyMs = random.between(100, 4_000)
        return this.after(whileMs, () => (weather.latencyMs = 3))
      case 'outage':
        weather.isDown = true
        return this.after(whileMs, () => (weather.isDown = false))
      case 'crash':
      case 'stop':
      case 'client':
      case 'clock':
      case 'isolation':
      case 'pause':
        if (able.length > 0) this.hit(kind, random.pick(able))
    }
  }

  private hit(kind: 'crash' | 'stop' | 'pause' | 'isolation' | 'client' | 'clock', process: SimulatedProcess): void {
    const { random } = this.scene.world
    switch (kind) {
      case 'crash':
        return process.crashIn(random.between(1, 80))
      case 'stop':
        return process.stop()
      case 'client':
        return process.breakClient()
      case 'clock':
        process.actor.skewMs += random.between(-3_600_000, 3_600_000)
        return process.actor.note(`its clock is wrong by ${process.actor.skewMs} ms`)
      case 'isolation':
        process.isolate()
        return this.after(this.absence(), () => process.rejoin())
      case 'pause':
        return this.pause(process, this.absence())
    }
  }

  private pause(process: SimulatedProcess, ms: number): void {
    const { world, fleet, sessionMs } = this.scene
    process.sleep()
    this.after(ms, () => {
      process.wake()
      fleet.retire(process)
    })
    if (ms <= sessionMs || world.random.chance(0.3)) return
    world.servers.after(world.random.between(1, ms), () => {
      if (!this.isOver && process.actor.state === 'asleep') fleet.replace(process)
    })
  }

  private rebalance(): void {
    const { world, cluster } = this.scene
    const groups = cluster.allGroups()
    if (groups.length === 0) return
    const group = world.random.pick(groups)
    group.shuffle()
    this.after(world.random.between(0, 3_000), () => group.retarget())
  }

  /** As long as not to be noticed, or as long as to lose everything. */
  private absence(): number {
    const { random } = this.scene.world
    const { sessionMs } = this.scene
    return random.chance(0.4) ? random.between(10, sessionMs) : random.between(sessionMs, 2 * sessionMs)
  }

  /** Undoes something after a while, or at the end of the storm. */
  private after(ms: number, undo: () => void): void {
    let isUndone = false
    const once = () => {
      if (isUndone) return
      isUndone = true
      undo()
    }
    this.healing.push(once)
    this.scene.world.servers.after(ms, once)
  }
}
