/** Latency: from produced to read again at 5,000 events/s through a copying loop and a copying flow, in turn. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { median, quantile } from './support/contest.js'
import { createTopic } from './support/load.js'
import { withKafka } from './support/servers.js'
import { measureCopies } from './support/stopwatch.js'

const rounds = Number(process.env['ROUNDS'] ?? 5)
const seconds = Number(process.env['SECONDS'] ?? 10)

interface Quantiles {
  readonly p50: number
  readonly p99: number
}

async function copied(brokers: string, name: 'loop' | 'weir', run: string): Promise<Quantiles> {
  const topics = { input: `latency-in-${run}`, output: `latency-out-${run}` }
  await createTopic(brokers, topics.input)
  await createTopic(brokers, topics.output)
  const file = fileURLToPath(new URL(`./contestants/copy-${name}.ts`, import.meta.url))
  const child = spawn(process.execPath, ['--import', 'jiti/register', file], {
    env: { ...process.env, BROKERS: brokers, TOPIC: topics.input, OUTPUT: topics.output, RUN: run },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  try {
    const latencies = await measureCopies(brokers, { ...topics, perSecond: 5_000, seconds, warmUpSeconds: 3 })
    return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
  } finally {
    child.kill('SIGKILL')
  }
}

await withKafka(
  async (brokers) => {
    const results: Record<'loop' | 'weir', Quantiles[]> = { loop: [], weir: [] }
    // The first round only warms the broker up.
    for (let round = 0; round <= rounds; round++) {
      for (const name of ['loop', 'weir'] as const) {
        const { p50, p99 } = await copied(brokers, name, `${name}-${Date.now()}`)
        if (round > 0) results[name].push({ p50, p99 })
        console.log(
          `${round === 0 ? 'warm-up' : `round ${round}`}, ${name}: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
        )
      }
    }
    const middle = (name: 'loop' | 'weir', of: keyof Quantiles) => median(results[name].map((result) => result[of]))
    for (const [of, wanted] of [
      ['p50', 1.2],
      ['p99', 1.5],
    ] as const) {
      const [loop, weir] = [middle('loop', of), middle('weir', of)]
      console.log(
        `median ${of}: loop ${loop.toFixed(2)} ms, weir ${weir.toFixed(2)} ms, ratio ${(weir / loop).toFixed(2)} (at most ${wanted} is wanted)`,
      )
    }
  },
  { optimized: true },
)
