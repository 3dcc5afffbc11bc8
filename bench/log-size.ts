/**
 * The size of a changelog against the live state over a long run, without any server: the bytes of all chunks that are
 * not truncated, against those of a log into which the same state was just written once.
 */
import type { StorePartition } from '../src/model/index.js'
import { TaskStores } from '../src/state/index.js'
import { quantile } from './support/contest.js'
import { logOf, partition } from './support/logs.js'

const epochs = Number(process.env['EPOCHS'] ?? 5_000)
const codec = { version: 1, save: (value: string) => value, load: (saved: unknown) => saved as string }

type Part = StorePartition<string>
type Pick = (bound: number) => number
type Workload = (part: Part, pick: Pick, epoch: number) => void

const put = (part: Part, segment: number, key: string, value: string) => {
  const entry = part.get(segment, key)
  if (entry === undefined) return void part.add(segment, key, value)
  entry.value = value
  part.touch(entry)
}
const text = (pick: Pick) => `${pick(1e9)} ${'x'.repeat(pick(60))}`

const workloads: Record<string, Workload> = {
  'the same 20,000 keys, at random': (part, pick) => {
    for (let index = 0; index < 500; index++) put(part, 0, `user-${pick(20_000)}`, text(pick))
  },
  '20,000 keys that never change beside 100 that always do': (part, pick, epoch) => {
    if (epoch < 20) for (let index = 0; index < 1_000; index++) put(part, 0, `${epoch}-${index}`, text(pick))
    for (let index = 0; index < 100; index++) put(part, 1, `user-${index}`, text(pick))
  },
  'windows of 20 epochs, two of them open': (part, pick, epoch) => {
    for (let index = 0; index < 500; index++) put(part, 1 + Math.floor(epoch / 20), `user-${pick(20_000)}`, text(pick))
    part.dropSegment(Math.floor(epoch / 20) - 1)
  },
  'keys that come and go': (part, pick, epoch) => {
    for (let index = 0; index < 500; index++) put(part, 0, `user-${pick(20_000)}`, text(pick))
    for (let index = 0; index < (epoch % 400 < 200 ? 100 : 900); index++) part.delete(0, `user-${pick(20_000)}`)
  },
}

for (const [name, workload] of Object.entries(workloads)) console.log(`log-size, ${name}: ${measure(workload)}`)

function measure(workload: Workload): string {
  const stores = new TaskStores()
  const log = logOf(stores)
  const store = stores.declare('values', codec)
  stores.assign({ ...partition, generation: 1, sequence: 0 })
  const pick = random(7)
  const ratios: number[] = []
  for (let epoch = 0; epoch < epochs; epoch++) {
    const values = store.of(partition.topic, partition.partition)
    workload(values, pick, epoch)
    log.commit()
    // Until it has grown to its usual size there is nothing to compare.
    if (epoch >= epochs / 10 && epoch % 10 === 0) ratios.push(log.bytes() / liveBytes(values))
  }
  const written = log.written() / epochs
  return (
    `log / live state: median ${quantile(ratios, 0.5).toFixed(2)}, most ${Math.max(...ratios).toFixed(2)} ` +
    `(at most 3 is wanted); ${Math.round(written)} bytes an epoch`
  )
}

/** What a log takes into which all of it is written once. */
function liveBytes(part: Part): number {
  const stores = new TaskStores()
  const log = logOf(stores)
  const copy = stores.declare('values', codec)
  stores.assign({ ...partition, generation: 1, sequence: 0 })
  const target = copy.of(partition.topic, partition.partition)
  for (const segment of part.segments()) {
    for (const [key, { value }] of part.segment(segment) ?? []) target.add(segment, key, value)
  }
  log.commit()
  return log.bytes()
}

/** A pseudo-random number below `bound`, the same in every run. */
function random(seed: number): Pick {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}
