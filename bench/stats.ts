/**
 * How soon a view answers: `GET /stats?top=20` of `weir run wikimedia-stats`, asked 1,000 times a second while changes
 * flow. Requests go out when they are due, whether or not the ones before have been answered, and each is timed from
 * then.
 */
import { spawn } from 'node:child_process'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'
import { freePort } from '../test/servers/server-support.js'
import { changeText } from './support/changes.js'
import { quantile } from './support/contest.js'
import { createTopic } from './support/load.js'
import { withKafka } from './support/servers.js'
import { pause, writeSteadily } from './support/stopwatch.js'

const seconds = Number(process.env['SECONDS'] ?? 20)
const requestsPerSecond = Number(process.env['REQUESTS'] ?? 1_000)
const changesPerSecond = Number(process.env['CHANGES'] ?? 100)
const root = fileURLToPath(new URL('..', import.meta.url))
const agent = new Agent({ keepAlive: true, maxSockets: 64 })

interface Answered {
  readonly status: number
  readonly text: string
}

await withKafka(async (brokers) => {
  const topic = `changes-${Date.now()}`
  await createTopic(brokers, topic)
  const port = await freePort()
  const worker = spawn(process.execPath, ['bin/weir.js', 'run', 'wikimedia-stats'], {
    cwd: root,
    env: {
      ...process.env,
      KAFKA_BROKERS: brokers,
      WEIR_APP: topic,
      WIKIPEDIA_TOPIC: topic,
      SERVER_PORT: String(port),
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const writing = new AbortController()
  const written = writeSteadily(brokers, topic, {
    partitions: 3,
    perSecond: changesPerSecond,
    signal: writing.signal,
    text: changeText,
  })
  try {
    const url = `http://127.0.0.1:${port}/stats?top=20`
    const total = async () => totalOf(await ask(url).catch(() => undefined))
    while ((await total()) === 0) await pause(200)
    await pause(5_000)
    const before = await total()
    const times = await load(url)
    const counted = (await total()) - before
    const told = [0.5, 0.99, 1].map((part) => quantile(times, part).toFixed(1))
    console.log(
      `stats: ${requestsPerSecond} requests/s beside ${Math.round(counted / seconds)} changes/s in the view's 20 busiest sites: ` +
        `p50 ${told[0]} ms, p99 ${told[1]} ms, longest ${told[2]} ms, all answered with 200`,
    )
  } finally {
    writing.abort()
    await written
    worker.kill('SIGKILL')
    agent.destroy()
  }
})

/** How long each answer took, ms. Errors when one is none. */
async function load(url: string): Promise<number[]> {
  const asked: Promise<number>[] = []
  const began = performance.now()
  for (let number = 0; number < requestsPerSecond * seconds; await pause(1)) {
    for (; number < ((performance.now() - began) / 1_000) * requestsPerSecond; number++) {
      const dueAt = began + (number / requestsPerSecond) * 1_000
      asked.push(
        ask(url).then(({ status }) => {
          if (status !== 200) throw new Error(`GET ${url} was answered with ${status}`)
          return performance.now() - dueAt
        }),
      )
    }
  }
  return Promise.all(asked)
}

function ask(url: string): Promise<Answered> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', reject)
    }).on('error', reject)
  })
}

function totalOf(answered: Answered | undefined): number {
  if (answered?.status !== 200) return 0
  const { by_domain } = JSON.parse(answered.text) as { readonly by_domain: Readonly<Record<string, number>> }
  return Object.values(by_domain).reduce((sum, count) => sum + count, 0)
}
