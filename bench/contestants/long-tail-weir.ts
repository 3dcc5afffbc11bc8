/** Counts by user as a flow: of as many users as fit (`keys`), or of the heaviest ones (`top`). */
import { aggregate, count, defineConfig, flow, generate, type Key, recordKey, topK } from 'weirflow'
import { countingSink } from '../support/counting-sink.js'
import { events, userOf } from '../support/long-tail-users.js'
import { report } from '../support/report.js'
import { runFlow } from '../support/run-flow.js'

const { WAY = 'keys' } = process.env
const rate = 10_000

/** The last count of each user that may be among the heaviest. */
const told = new Map<number, number>()
let top: readonly { key: number; count: number; error: number }[] = []

const source = generate({
  rate,
  value: (random, index) => userOf(random, index),
  key: String,
  count: events,
  start: Date.now() - (events / rate) * 1_000 - 1_000,
})
const flows = {
  keys: flow(
    source,
    aggregate('by-user', { by: recordKey, maxKeys: 100_000, emit: 'epoch', of: count() }),
    countingSink(({ key, value }: { key: Key; value: number }) => {
      if (Number(key) < 10) told.set(Number(key), value)
    }),
  ),
  top: flow(
    source,
    aggregate('heaviest', { emit: 'epoch', of: topK((user: number) => user, { k: 10, capacity: 10_000 }) }),
    countingSink(({ value }: { value: typeof top }) => (top = value)),
  ),
}

const ms = await runFlow(
  defineConfig({ app: 'bench', flows: { 'long-tail': flows[WAY as keyof typeof flows] } }),
  events,
)
const counts = WAY === 'top' ? top : [...told].map(([key, n]) => ({ key, count: n, error: 0 }))
report({ recordsPerSecond: Math.round((events / ms) * 1_000), counts })
process.exit(0)
