import type { SimulatedProcess } from './process.js'
import type { World } from './world.js'

interface Slot {
  readonly number: number
  isWanted: boolean
  incarnations: number
  process: SimulatedProcess | undefined
}

/** How long a process that should not have ended is down, ms. */
const downMs = 1_000

/** The processes that should run, and their supervisor. */
export class Fleet {
  private readonly slots: Slot[]
  /** Also those whose place another has taken. */
  private all: SimulatedProcess[] = []
  /** Whether nobody is started for a while. */
  private isHeld = false

  constructor(
    private readonly world: World,
    size: number,
    /** Whether only one can work at a time. */
    private readonly isSingle: boolean,
    private readonly launch: (name: string, slot: number, ended: () => void) => SimulatedProcess,
  ) {
    this.slots = Array.from({ length: size }, (_, number) => ({
      number,
      isWanted: false,
      incarnations: 0,
      process: undefined,
    }))
  }

  get running(): readonly SimulatedProcess[] {
    this.all = this.all.filter(({ isOver }) => !isOver)
    return this.all
  }

  /** Runs in so many slots, and has the others stop. */
  scale(to: number): void {
    for (const slot of this.slots) {
      slot.isWanted = slot.number < to
      if (slot.isWanted) this.ensure(slot)
      else slot.process?.stop()
    }
  }

  /** How many processes there can be. */
  get size(): number {
    return this.slots.length
  }

  /** Puts another process in the place of one that stands still; of two, the old one is ended soon after it wakes up. */
  replace(process: SimulatedProcess): void {
    const slot = this.slots.find((candidate) => candidate.process === process)
    if (slot === undefined || process.isOver) return
    slot.process = undefined
    this.ensure(slot)
  }

  /** Stops all, and does something between two lives. Returns false where something else is done there already. */
  between(action: () => void): boolean {
    if (this.isHeld) return false
    this.isHeld = true
    const stopping = this.running
    for (const process of stopping) process.stop()
    const look = () => {
      if (this.running.length > 0) return void this.world.servers.after(downMs / 10, look)
      action()
      this.isHeld = false
      for (const slot of this.slots) this.ensure(slot)
    }
    look()
    return true
  }

  isReplaced(process: SimulatedProcess): boolean {
    return this.slots.every((slot) => slot.process !== process)
  }

  /** Of processes that only one can work of, a replaced one is ended; else it may go on. */
  retire(process: SimulatedProcess): void {
    if (!this.isReplaced(process)) return
    if (this.isSingle || this.world.random.chance(0.5)) process.crashIn(this.world.random.between(1, 60))
    else process.stop()
  }

  stop(): void {
    for (const slot of this.slots) slot.isWanted = false
    for (const process of this.running) process.stop()
  }

  private ensure(slot: Slot): void {
    if (!slot.isWanted || slot.process !== undefined || this.isHeld) return
    const name = `p${slot.number}.${++slot.incarnations}`
    const process = this.launch(name, slot.number, () => {
      if (slot.process !== process) return
      slot.process = undefined
      this.world.servers.after(this.world.random.between(0, 3 * downMs), () => this.ensure(slot))
    })
    slot.process = process
    this.all.push(process)
  }
}
