import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaCluster } from '../servers/kafka-broker.js'
import type { Worker } from './job.js'
import { random } from './job-traffic.js'

type Next = () => number

/** Does harm, and resolves when it is repaired. `next` is the hand's own random numbers. */
export type Fault = (next: Next, tell: Chaos['tell']) => Promise<void>

interface Blow {
  /** ms */
  readonly at: number
  readonly what: string
}

/** Faults at random times from a seed: what is dealt, and how long the work stood still after each. */
export class Chaos {
  private readonly blows: Blow[] = []
  private readonly start = Date.now()

  constructor(
    private readonly seed: number,
    private readonly ms: number,
  ) {}

  /** Says what is done now. */
  readonly tell = (what: string): void => {
    this.blows.push({ at: Date.now(), what })
  }

  /**
   * Deals the faults one at a time, each once before any comes again, until the time is over. Hands that deal at the
   * same time have different names.
   */
  async deal(hand: number, faults: readonly Fault[]): Promise<void> {
    const next = random(this.seed * 31 + hand)
    let deck: Fault[] = []
    while (Date.now() < this.start + this.ms) {
      if (deck.length === 0) deck = shuffled(faults, next)
      await sleep(500 + next() * 4_000)
      await deck.pop()?.(next, this.tell)
    }
  }

  /** One line for each blow: when it came, and the longest time without a commit from then to the next. Times in ms. */
  report(committed: readonly number[]): string {
    const commits = [this.start, ...committed.filter((at) => at > this.start)]
    const lines = this.blows.map(({ at, what }, index) => {
      const gap = longestGap(commits, at, this.blows[index + 1]?.at ?? Number.POSITIVE_INFINITY)
      return `${seconds(at - this.start)} s  ${what.padEnd(40)} no progress for ${seconds(gap)} s`
    })
    const all = longestGap(commits, this.start, Number.POSITIVE_INFINITY)
    return [`chaos, seed ${this.seed}`, ...lines, `longest time without progress: ${seconds(all)} s`].join('\n')
  }
}

/** Says at once which faults are dealt, and how to have the same again: what hangs or dies says nothing at its end. */
export function tellSeed(command: 'chaos' | 'soak', seconds: number, seed: number): void {
  const again = `npm run ${command} -- --minutes ${Number((seconds / 60).toFixed(4))} --seed ${seed}`
  console.log(`${command}: seed ${seed}, ${seconds} s of faults; the same again: ${again}`)
}

/** Looks four times a second whether a number has grown. Ends with the times at which it had, ms. */
export function watchGrowth(look: () => Promise<number>): () => Promise<readonly number[]> {
  const times: number[] = []
  let isWatching = true
  const watch = async () => {
    for (let most = 0; isWatching; await sleep(250)) {
      const now = await look()
      if (now > most) times.push(Date.now())
      most = Math.max(most, now)
    }
  }
  const watched = watch()
  return async () => {
    isWatching = false
    await watched
    return times
  }
}

/** Of the times between two commits that touch a span; 0 when none does. */
export function longestGap(commits: readonly number[], from: number, to: number): number {
  const gaps = commits.map((commit, index) => {
    const before = commits[index - 1] ?? commit
    return commit > from && before < to ? commit - before : 0
  })
  return Math.max(0, ...gaps)
}

/** What may happen to a group of replicas. All of them run again when it is over. */
export function replicaFaults(replicas: readonly Worker[]): Fault[] {
  const names = replicas.map((_, index) => index)
  const back = async (index: number) => {
    replicas[index]?.start()
    await replicas[index]?.ready()
  }
  const end = async (index: number, tell: Chaos['tell']) => {
    const code = await replicas[index]?.stop()
    if (code !== 0) tell(`replica ${index} stopped with ${code}`)
    await replicas[index]?.kill()
  }
  const kill: Fault = async (next, tell) => {
    const index = Math.floor(next() * replicas.length)
    tell(`kill -9 replica ${index}`)
    await replicas[index]?.kill()
    // Some are back before their session has ended, some after another took their work.
    await sleep(next() * 14_000)
    tell(`start replica ${index}`)
    await back(index)
  }
  const freeze: Fault = async (next, tell) => {
    const index = Math.floor(next() * replicas.length)
    tell(`freeze replica ${index}`)
    replicas[index]?.signal('SIGSTOP')
    await sleep(11_000 + next() * 4_000)
    tell(`wake replica ${index}`)
    replicas[index]?.signal('SIGCONT')
    await sleep(2_000)
    await replicas[index]?.ready()
  }
  const roll: Fault = async (_next, tell) => {
    for (const index of names) {
      tell(`roll replica ${index}`)
      await end(index, tell)
      await back(index)
    }
  }
  const scale: Fault = async (next, tell) => {
    const [one = 0, ...others] = shuffled(names, next)
    tell(`scale to 1: replica ${one}`)
    await Promise.all(others.map((index) => end(index, tell)))
    await sleep(next() * 5_000)
    tell(`scale to ${replicas.length}`)
    await Promise.all(others.map(back))
    await sleep(next() * 5_000)
    tell(`scale to ${others.length}: without replica ${one}`)
    await end(one, tell)
    await sleep(next() * 5_000)
    await back(one)
  }
  return [kill, kill, freeze, roll, scale]
}

/** A process that has to be there, and that there is one of. */
export function processFault(name: string, process: Worker): Fault {
  return async (next, tell) => {
    tell(`kill -9 ${name}`)
    await process.kill()
    await sleep(next() * 4_000)
    process.start()
    await process.ready()
    tell(`${name} is back`)
  }
}

export function brokerFault(kafka: KafkaCluster, brokers: number): Fault {
  return async (next, tell) => {
    const broker = Math.floor(next() * brokers)
    tell(`kill broker ${broker}`)
    await kafka.kill(broker)
    await sleep(next() * 8_000)
    // On a busy machine one may need longer than it is given. Nobody ends another one meanwhile: two of three would be too many.
    while (!(await isBack(kafka, broker))) tell(`broker ${broker} does not come up yet`)
    tell(`broker ${broker} is back`)
    // A copy that has not caught up yet would make the next broker's end the end of all writes.
    await sleep(5_000)
  }
}

async function isBack(kafka: KafkaCluster, broker: number): Promise<boolean> {
  try {
    await kafka.restart(broker)
    return true
  } catch {
    await kafka.kill(broker)
    return false
  }
}

/** A database server that can go away. */
export interface Restartable {
  kill(): Promise<void>
  start(): Promise<void>
}

export function databaseFault(name: string, database: Restartable): Fault {
  return async (next, tell) => {
    tell(`kill ${name}`)
    await database.kill()
    await sleep(next() * 4_000)
    await database.start()
    tell(`${name} is back`)
  }
}

function shuffled<T>(items: readonly T[], next: Next): T[] {
  return items
    .map((item) => ({ item, place: next() }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item)
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1).padStart(6)
}
