/**
 * Latency: from produced to read again at 5,000 events/s through a copying loop and a copying flow. Both run all the time
 * and get events for two seconds, in turn, so that what else the machine does befalls both alike; what counts is the
 * median over these slices.
 */
import { median, quantile, startContestant } from './support/contest.js'
import { createTopic } from './support/load.js'
import { withKafka } from './support/servers.js'
import { Stopwatch } from './support/stopwatch.js'

const rounds = Number(process.env['ROUNDS'] ?? 30)
/** Until the broker and both contestants are warm. */
const warmUpRounds = 10
const slice = { perSecond: 5_000, seconds: 2, wakingSeconds: 1 }

class Copier {
  readonly p50: number[] = []
  readonly p99: number[] = []
  readonly input: string
  readonly output: string
  private readonly run = `${Date.now()}`
  private child: ReturnType<typeof startContestant> | undefined

  constructor(readonly name: 'loop' | 'weir') {
    this.input = `latency-in-${name}-${this.run}`
    this.output = `latency-out-${name}-${this.run}`
  }

  async start(brokers: string): Promise<void> {
    await createTopic(brokers, this.input)
    await createTopic(brokers, this.output)
    const topics = { TOPIC: this.input, OUTPUT: this.output }
    const child = startContestant(`copy-${this.name}`, { BROKERS: brokers, ...topics, RUN: this.run })
    this.child = child
    await new Promise((resolve) => child.stdout.once('data', resolve))
  }

  /** What the first rounds bring does not count. */
  async measure(stopwatch: Stopwatch, round: number): Promise<void> {
    const latencies = await stopwatch.measure(this.input, slice)
    const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)]
    const isWarm = round > warmUpRounds
    if (isWarm) {
      this.p50.push(p50)
      this.p99.push(p99)
    }
    const about = isWarm ? `round ${round - warmUpRounds}` : 'warm-up'
    console.log(`${about}, ${this.name}: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`)
  }

  end(): void {
    this.child?.kill('SIGKILL')
  }
}

await withKafka(
  async (brokers) => {
    const [loop, weir] = [new Copier('loop'), new Copier('weir')]
    try {
      await Promise.all([loop.start(brokers), weir.start(brokers)])
      const stopwatch = await Stopwatch.start(brokers, [loop.output, weir.output])
      for (let round = 1; round <= warmUpRounds + rounds; round++) {
        for (const copier of round % 2 === 1 ? [loop, weir] : [weir, loop]) {
          await copier.measure(stopwatch, round)
        }
      }
      await stopwatch.close()
    } finally {
      loop.end()
      weir.end()
    }
    for (const [of, wanted] of [
      ['p50', 1.2],
      ['p99', 1.5],
    ] as const) {
      const [byHand, byFlow] = [median(loop[of]), median(weir[of])]
      const ratio = (byFlow / byHand).toFixed(2)
      console.log(
        `median ${of}: loop ${byHand.toFixed(2)} ms, weir ${byFlow.toFixed(2)} ms, ratio ${ratio} (at most ${wanted} is wanted)`,
      )
    }
  },
  { optimized: true },
)
