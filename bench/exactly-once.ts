/**
 * Throughput exactly once: counts by user in windows of 10 s, nearly one result for each event, written to a topic. A
 * hand-written loop that keeps no durable state, and a Weir flow with stores, results and positions in one Kafka
 * transaction an epoch, in turn. What each has written is read again, committed records only, and compared.
 */

import { digestOf } from './support/digest.js'
import { createTopic, deleteTopic, loadTopic } from './support/load.js'
import { withKafka } from './support/servers.js'
import { compareThroughput } from './support/throughput.js'

const events = Number(process.env['EVENTS'] ?? 1_000_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)
/** So few in a window that most users have one only: a million events make about 860 K window keys. */
const perSecond = 1_500

await withKafka(async (brokers) => {
  const topic = `exactly-once-${Date.now()}`
  const resultsOf = (run: string) => `${topic}-results-${run}`
  console.log(`loading ${events} events …`)
  await loadTopic(brokers, topic, events, perSecond)
  let expected: string | undefined
  await compareThroughput(
    'exactly-once',
    rounds,
    (run) => ({ BROKERS: brokers, TOPIC: topic, RESULTS: resultsOf(run), EVENTS: String(events), RUN: run }),
    {
      wanted: 0.85,
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
