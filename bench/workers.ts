/**
 * Scaling over cores: the windows of `windows.ts` in one process, and in two that share the group, in turn. A result is
 * over all of the topic, so it goes over the flow's internal topic. The events become visible when all processes have
 * their partitions, and time runs from the first record that any of them reads to the last commit of any.
 */
import { median } from './support/contest.js'
import { createTopic, deleteTopic, loadHidden } from './support/load.js'
import { Member, quiet } from './support/member.js'
import { withKafka } from './support/servers.js'

const events = Number(process.env['EVENTS'] ?? 1_000_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)
/** As many for each of two. */
const partitions = 4
const sizes = [1, 2] as const

interface Told {
  readonly assigned?: number
  readonly beganAt?: number
  readonly committedAt?: number
  readonly events?: number
  readonly results?: Results
}

interface Results {
  readonly windows: number
  readonly users: number
  readonly views: number
}

class Worker extends Member<Told> {
  assigned = 0
  beganAt = Number.POSITIVE_INFINITY
  committedAt = 0
  events = 0
  results: Results = { windows: 0, users: 0, views: 0 }

  protected override hear(told: Told): void {
    Object.assign(this, told)
  }
}

await withKafka(async (brokers) => {
  const rates = new Map<number, number[]>(sizes.map((size) => [size, []]))
  let expected: string | undefined
  for (let round = 1; round <= rounds; round++) {
    for (const size of round % 2 === 1 ? sizes : [...sizes].reverse()) {
      const { perSecond, shares, results } = await run(brokers, size)
      const text = JSON.stringify(results)
      if ((expected ??= text) !== text) throw new Error(`${size} processes found ${text}, not ${expected}`)
      rates.get(size)?.push(perSecond)
      console.log(`workers, round ${round}, ${size}: ${perSecond}/s, records of each ${shares.join(' + ')}, ${text}`)
    }
  }
  const [one, two] = sizes.map((size) => median(rates.get(size) ?? [])) as [number, number]
  console.log(
    `workers, median: 1 process ${one}/s, 2 processes ${two}/s, ratio ${(two / one).toFixed(3)} (at least 1.35 is wanted)`,
  )
})

async function run(brokers: string, size: number) {
  const name = `workers-${size}-${Date.now()}`
  await createTopic(brokers, name, partitions)
  const show = await loadHidden(brokers, name, events, 10_000)
  const environment = { BROKERS: brokers, TOPIC: name, RUN: name }
  const workers = Array.from({ length: size }, () => new Worker('windows-worker', environment))
  try {
    const sum = (of: (worker: Worker) => number) => workers.reduce((all, worker) => all + of(worker), 0)
    await quiet(
      () => sum(({ assigned }) => assigned) === partitions && workers.every(({ assigned }) => assigned > 0),
      () => workers.map(({ assigned }) => assigned).join(),
    )
    await show()
    await quiet(
      () => sum((worker) => worker.events) >= events,
      () => workers.map(({ committedAt, events: some }) => `${committedAt} ${some}`).join(),
    )
    const began = Math.min(...workers.map(({ beganAt }) => beganAt))
    const ended = Math.max(...workers.map(({ committedAt }) => committedAt))
    return {
      perSecond: Math.round((events / (ended - began)) * 1_000),
      shares: workers.map((worker) => worker.events),
      results: {
        windows: sum(({ results }) => results.windows),
        users: sum(({ results }) => results.users),
        views: sum(({ results }) => results.views),
      },
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
    await deleteTopic(brokers, name)
  }
}
