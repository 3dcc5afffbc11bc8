/** The same files as a flow: each event in exactly one of them, whatever crashes. */
import { existsSync, readdirSync } from 'node:fs'
import { lastValueFrom } from 'rxjs'
import { archive, cloudEvents, defineConfig, flow, kafka } from 'weirflow'
import { engineOf } from '../support/engine.js'
import { report } from '../support/report.js'
import { pause } from '../support/stopwatch.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '', FILES = '', ROWS_PER_FILE = '0', STORE } = process.env
const total = Number(EVENTS)

const config = defineConfig({
  app: `bench-${RUN}`,
  connections: { kafka: kafka({ brokers: BROKERS }) },
  checkpoints: 'kafka',
  flows: {
    archive: flow(
      kafka.source({ topic: TOPIC, group: `archive-weir-${RUN}` }),
      cloudEvents.decode({ data: 'raw' }),
      archive.sink({
        store: STORE === undefined ? { backend: 'file', path: FILES } : JSON.parse(STORE),
        maxRecords: Number(ROWS_PER_FILE),
      }),
    ),
  },
})

report({ recordsPerSecond: Math.round((total / (await archived())) * 1_000) })
process.exit(0)

/**
 * How long it takes from the first record until all are in files, ms. When all are committed the flow is told to end, and so
 * cuts those files that still wait for more. Resolves when it has: the process can't end while a client disconnects.
 */
async function archived(): Promise<number> {
  let committed = 0
  const engine = engineOf(config, { epoch: ({ records }) => (committed += records) })
  const counts = () => engine.status().flatMap(({ stages }) => stages)
  const ended = lastValueFrom(engine.run(), { defaultValue: undefined })
  const done = async () => {
    let began = 0
    do {
      began = performance.now()
      await pause(1)
    } while (!counts().some(({ out }) => out > 0))
    // The next epoch runs then, in which the sink is told that the flow ends.
    while (committed < total) await pause(5)
    engine.stop()
    while (stored() !== total) await pause(2)
    return performance.now() - began
  }
  const [ms] = await Promise.all([done(), ended.then(() => engine.close())])
  return ms
}

/** How many events are in files, by their names. */
function stored(): number {
  const folder = `${FILES}/${TOPIC}`
  if (!existsSync(folder)) return 0
  const counts = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(
    (name) => /_count(\d+)\./.exec(name)?.[1],
  )
  return counts.reduce((sum, count = '0') => sum + Number(count), 0)
}
