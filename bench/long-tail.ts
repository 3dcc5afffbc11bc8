/**
 * Memory against a long tail: twice as many events as users, of ten million users by a law of Zipf, through an aggregate
 * that keeps a hundred thousand keys, and through the ten heaviest of ten thousand counters; each in a fresh process and
 * without any server, its checkpoints in its own memory. Counts of the heaviest users are compared with exact ones.
 *
 * Measured on two busy cores with Node.js 20: 375 MiB at most with `maxKeys` and 215 MiB with `topK`, logs included.
 */
import { randomOf } from '../src/sources/generate/random.js'
import { contest } from './support/contest.js'
import { events, userOf, users } from './support/long-tail-users.js'

const wantedMiB = 400
const counted = { keys: 'aggregate with maxKeys 100,000', top: 'topK with capacity 10,000' }

interface Counted {
  readonly key: number
  readonly count: number
  readonly error: number
}

const exact = exactCounts()
for (const [way, what] of Object.entries(counted)) {
  const { recordsPerSecond, rssMiB, counts } = await contest('long-tail-weir', { WAY: way, USERS: String(users) })
  const off = (counts as Counted[]).map(({ key, count, error }) => {
    const more = count - (exact[key] as number)
    if (more < 0 || more > error)
      throw new Error(`${what}: user ${key} has ${exact[key]}, told were ${count} ± ${error}`)
    return more
  })
  console.log(
    `long-tail, ${what}: ${String(rssMiB)} MiB at most (at most ${wantedMiB} is wanted) for ${users} users in ` +
      `${events} events, ${String(recordsPerSecond)}/s; ${off.length} counts of the heaviest, ${Math.max(...off)} too high at most`,
  )
}

function exactCounts(): Uint32Array {
  const counts = new Uint32Array(users)
  for (let index = 0; index < events; index++) counts[userOf(randomOf(1, index), index)]!++
  return counts
}
