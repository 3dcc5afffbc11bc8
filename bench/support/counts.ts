import { digestOf } from './digest.js'
import { createTopic, deleteTopic, loadTopic } from './load.js'
import { withKafka } from './servers.js'
import { compareThroughput } from './throughput.js'

const events = Number(process.env['EVENTS'] ?? 1_000_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)
/** So few in a window that most users have one only: a million events make about 860 K window keys. */
const perSecond = 1_500

/**
 * Counts by user in windows of 10 s, nearly one result for each event, written to a topic: by a Weir flow with stores,
 * results and positions in one Kafka transaction an epoch, and by another, in turn. What each has written is read again,
 * committed records only, and has to be the same.
 */
export async function compareCounts(against: string, wanted: number): Promise<void> {
  await withKafka(async (brokers) => {
    const topic = `counts-${Date.now()}`
    const resultsOf = (run: string) => `${topic}-results-${run}`
    console.log(`loading ${events} events …`)
    await loadTopic(brokers, topic, events, perSecond)
    let expected: string | undefined
    await compareThroughput(
      'exactly-once',
      rounds,
      (run) => ({ BROKERS: brokers, TOPIC: topic, RESULTS: resultsOf(run), EVENTS: String(events), RUN: run }),
      {
        against: { [against]: wanted },
        prepare: (run) => createTopic(brokers, resultsOf(run)),
        verify: async (name, run) => {
          const digest = await digestOf(brokers, resultsOf(run))
          console.log(`  ${name} wrote ${digest}`)
          if ((expected ??= digest) !== digest) throw new Error(`${name} wrote ${digest}, not ${expected}`)
          await deleteTopic(brokers, resultsOf(run))
        },
      },
    )
  })
}
