/**
 * The pause of a rebalance: one process reads six partitions that are written to steadily, a second one joins and takes
 * some of them over, and leaves again. For the partitions that stay with the first one all the time: the longest gap
 * between two records, while nothing happens, around the joining and around the leaving.
 */
import { median } from './support/contest.js'
import { createTopic, deleteTopic } from './support/load.js'
import { Member, quiet, sharedNow } from './support/member.js'
import { withKafka } from './support/servers.js'
import { pause, writeSteadily } from './support/stopwatch.js'

const rounds = Number(process.env['ROUNDS'] ?? 5)
const perSecond = Number(process.env['PER_SECOND'] ?? 6_000)
const partitions = 6
/** How long each phase is looked at, ms. */
const phaseMs = 10_000

interface Gap {
  readonly partition: number
  readonly from: number
  readonly to: number
}

interface Told {
  readonly gaps: readonly Gap[]
  readonly assigned: readonly number[]
}

class Reader extends Member<Told> {
  readonly gaps: Gap[] = []
  /** What it has now. */
  assigned: readonly number[] = []

  protected override hear({ gaps, assigned }: Told): void {
    this.gaps.push(...gaps)
    this.assigned = assigned
  }

  /** The longest gap that overlaps a time, ms. */
  longest(of: ReadonlySet<number>, from: number, to: number): number {
    const overlapping = this.gaps.filter((gap) => of.has(gap.partition) && gap.to > from && gap.from < to)
    return Math.max(0, ...overlapping.map((gap) => gap.to - gap.from))
  }
}

await withKafka(async (brokers) => {
  const found: Awaited<ReturnType<typeof run>>[] = []
  for (let round = 1; round <= rounds; round++) {
    const pauses = await run(brokers)
    found.push(pauses)
    console.log(`rebalance, round ${round}, longest gap of a partition that stays, ms:`, JSON.stringify(pauses))
  }
  const of = (phase: 'nothing' | 'joining' | 'leaving') => Math.round(median(found.map((pauses) => pauses[phase])))
  console.log(
    `rebalance, median: ${of('joining')} ms when a member joins, ${of('leaving')} ms when it leaves, ` +
      `${of('nothing')} ms when nothing happens`,
  )
})

async function run(brokers: string) {
  const topic = `rebalance-${Date.now()}`
  await createTopic(brokers, topic, partitions)
  const writing = new AbortController()
  const written = writeSteadily(brokers, topic, { partitions, perSecond, signal: writing.signal })
  const environment = { BROKERS: brokers, TOPIC: topic, RUN: topic }
  const members = [new Reader('rebalance-reader', environment)]
  try {
    const [stays] = members as [Reader]
    await has(stays, (some) => some === partitions)
    // It is warm by then.
    await pause(phaseMs)
    const at = [sharedNow()]
    await pause(phaseMs)
    at.push(sharedNow())
    const guest = new Reader('rebalance-reader', environment)
    members.push(guest)
    await has(guest, (some) => some > 0)
    await pause(phaseMs)
    const stayed = new Set(stays.assigned)
    if (stayed.size + guest.assigned.length !== partitions) throw new Error('the group did not come to rest')
    at.push(sharedNow())
    await guest.end()
    await has(stays, (some) => some === partitions)
    await pause(phaseMs)
    at.push(sharedNow())
    const longest = (phase: number) => Math.round(stays.longest(stayed, at[phase] as number, at[phase + 1] as number))
    return { nothing: longest(0), joining: longest(1), leaving: longest(2), stayed: stayed.size }
  } finally {
    await Promise.all(members.map((member) => member.end()))
    writing.abort()
    await written
    await deleteTopic(brokers, topic)
  }
}

async function has(reader: Reader, isEnough: (partitions: number) => boolean): Promise<void> {
  await quiet(
    () => isEnough(reader.assigned.length),
    () => reader.assigned.join(),
    500,
  )
}
