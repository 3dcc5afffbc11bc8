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
    this.scene.world.note('storm', 'is over')
    for (const heal of this.healing) heal()
    for (const process of this.scene.fleet.running) process.spare()
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
    const { world, fleet, cluster, links, sessionMs } = this.scene
    const { random } = world
    const able = fleet.running.filter(({ canAct }) => canAct)
    world.note('storm', kind)
    if (kind === 'scale') return fleet.scale(random.between(1, fleet.size))
    if (kind === 'rebalance') return this.rebalance(cluster)
    const link = random.pick(links)
    const { weather } = link
    switch (kind) {
      case 'loss':
        return this.for(
          random.between(500, 8_000),
          () => (weather.loss = random.next() / 2),
          () => (weather.loss = 0),
        )
      case 'repeat':
        return this.for(
          random.between(500, 8_000),
          () => (weather.repeats = 0.5),
          () => (weather.repeats = 0),
        )
      case 'slow':
        return this.for(
          random.between(500, 8_000),
          () => (weather.latencyMs = random.between(100, 4_000)),
          () => (weather.latencyMs = 3),
        )
      case 'outage':
        return this.for(
          random.between(100, 12_000),
          () => (weather.isDown = true),
          () => (weather.isDown = false),
        )
    }
    if (able.length > 0) this.hit(kind, random.pick(able), sessionMs)
  }

  private hit(
    kind: 'crash' | 'stop' | 'pause' | 'isolation' | 'client' | 'clock',
    process: SimulatedProcess,
    sessionMs: number,
  ): void {
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
        return this.for(
          this.absence(sessionMs),
          () => process.isolate(),
          () => process.rejoin(),
        )
      case 'pause':
        return this.pause(process, this.absence(sessionMs), sessionMs)
    }
  }

  private pause(process: SimulatedProcess, ms: number, sessionMs: number): void {
    const { world, fleet } = this.scene
    if (ms > sessionMs && world.random.chance(0.7)) {
      world.servers.after(world.random.between(1, ms), () => {
        if (!this.isOver && process.actor.state === 'asleep') fleet.replace(process)
      })
    }
    this.for(
      ms,
      () => process.sleep(),
      () => {
        process.wake()
        fleet.retire(process)
      },
    )
  }

  private rebalance(cluster: Cluster): void {
    const groups = cluster.allGroups()
    const { world } = this.scene
    if (groups.length === 0) return
    const group = world.random.pick(groups)
    this.for(
      world.random.between(0, 3_000),
      () => group.shuffle(),
      () => group.retarget(),
    )
  }

  /** As long as not to be noticed, or as long as to lose everything. */
  private absence(sessionMs: number): number {
    const { random } = this.scene.world
    return random.chance(0.4) ? random.between(10, sessionMs) : random.between(sessionMs, 2 * sessionMs)
  }

  /** Does something, and undoes it after a while, or at the end of the storm. */
  private for(ms: number, begin: () => void, undo: () => void): void {
    let isUndone = false
    const once = () => {
      if (isUndone) return
      isUndone = true
      undo()
    }
    begin()
    this.healing.push(once)
    this.scene.world.servers.after(ms, once)
  }
}
