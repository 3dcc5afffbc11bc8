/** The same counts in Kafka Streams, which runs in a process of its own; when it is done is seen by its group's offsets. */
import { readFileSync } from 'node:fs'
import { GroupProgress } from '../../test/servers/group-progress.js'
import { StreamsApp } from '../../test/servers/kafka-streams-app.js'
import { pause } from '../support/stopwatch.js'

const { BROKERS = '', TOPIC = '', RESULTS = '', EVENTS = '0', RUN = '', THREADS = '1' } = process.env

const id = `streams-${RUN}`
const settings = {
  'processing.guarantee': 'exactly_once_v2',
  'commit.interval.ms': 1_000,
  'num.stream.threads': THREADS,
}
const job = { id, topic: TOPIC, results: RESULTS, sizeMs: 10_000, graceMs: 5_000 }
const app = await StreamsApp.start(BROKERS, job, { settings, optimized: true })
const progress = await GroupProgress.of(BROKERS, id)
while ((await progress.behind(TOPIC, 3)) > 0) await pause(20)
const ms = Date.now() - app.beganAt!
const rssMiB = Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${app.pid}/status`, 'utf8'))?.[1]) / 1_024)
await progress.close()
const dropped = await app.end()
const recordsPerSecond = Math.round((Number(EVENTS) / ms) * 1_000)
process.stdout.write(`${JSON.stringify({ recordsPerSecond, dropped, rssMiB })}\n`)
