import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { LogReader } from '../../src/kafka/log-reader.js'
import { cut, endless, HostileServer, moved, part, silent, status } from '../support/hostile-server.js'
import { until, Worker } from '../support/job.js'
import { type Faults, ReplayServer } from '../support/replay-server.js'
import { areCapturesHere, captured, invented, type Recorded } from '../support/wikimedia-captures.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh } from './kafka-support.js'
import { freePort } from './server-support.js'

const missing = requireKafka()
const because = missing === undefined ? '' : ` (${missing})`

interface Message {
  readonly key: string
  readonly value: string
}

describe.skipIf(missing !== undefined)(`wikimedia-ingest${because}`, () => {
  let kafka: KafkaCluster

  beforeAll(async () => {
    kafka = await KafkaCluster.start()
  })
  afterAll(() => kafka?.close())

  async function serve(events: readonly Recorded[], faults: Faults, more: object = {}): Promise<ReplayServer> {
    const server = await ReplayServer.start({ events, faults, seed: 7, ...more })
    onTestFinished(() => server.close())
    return server
  }

  async function ingest(url: string, topic: string): Promise<Worker> {
    const environment = {
      REDPANDA_BROKER: kafka.bootstrap,
      WIKIPEDIA_STREAM_URL: url,
      WIKIPEDIA_TOPIC: topic,
      WIKIPEDIA_IDLE_SEC: '1',
      WEIR_APP: topic,
      SERVER_PORT: String(await freePort()),
    }
    const worker = new Worker(environment, ['wikimedia-ingest'])
    worker.start()
    onTestFinished(() => worker.kill())
    return worker
  }

  /** All committed messages of a topic, in the order of each partition. */
  async function messages(topic: string, partitions: number): Promise<Message[]> {
    const reader = new LogReader({ 'metadata.broker.list': kafka.bootstrap })
    await reader.connect()
    const logs = Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 }))
    reader.assign(logs)
    const found: Message[] = []
    await reader.read(
      ({ key, value }) => found.push({ key: String(key), value: String(value) }),
      () => logs.every((log) => reader.hasEnded(log)),
    )
    await reader.close()
    return found
  }

  const written = async (topic: string) => (await messages(topic, 3).catch(() => [])).length

  function expected(events: readonly Recorded[]): Message[] {
    const all = events.map(({ data }) => ({ key: domainOf(data), value: data }))
    return all.filter(({ key }) => key !== 'canary').sort(byValue)
  }

  test.each([
    [
      'raw frames',
      () => (areCapturesHere ? captured('recentchange-2026-06-20.frames-001-192.sse') : invented(192)),
      [0.3, 0.7],
    ],
    ['a minute', () => (areCapturesHere ? captured('recentchange-2026-05-05.recv.ndjson.gz') : invented(2_500)), [0.5]],
  ])(
    'each change of %s is on the topic once, whatever the server does and though the worker is killed',
    async (_what, load, kills) => {
      const events = load()
      const faults = {
        drop: 4 / events.length,
        repeat: 0.05,
        delay: 0.05,
        garbage: 0.01,
        endless: 0.15,
        error: 0.1,
        redirect: 0.3,
        foreign: 0.07,
        silence: 0.07,
      }
      const server = await serve(events, faults, { pieceBytes: 4_000, speed: (events.at(-1)?.atMs ?? 0) / 6_000 })
      const topic = fresh('changes')
      const worker = await ingest(server.url, topic)
      const count = expected(events).length
      for (const part of kills) {
        await until(async () => (await written(topic)) >= count * part, `${part} of it is written`)
        await worker.kill()
        worker.start()
      }
      await until(async () => (await written(topic)) >= count, 'all of it is written')
      expect(await worker.stop()).toBe(0)

      expect((await messages(topic, 3)).sort(byValue)).toEqual(expected(events))
      const rejected = await messages(`${topic}.wikimedia-ingest.dead-letters`, 1)
      const garbage = rejected.map(({ value }) => value).filter((value) => value.startsWith('no JSON'))
      expect(server.garbage).toEqual(expect.arrayContaining(garbage))
      expect(rejected.every(({ value }) => value.startsWith('no JSON') || /^(data: )?x+$/.test(value))).toBe(true)
      expect(server.requests[0]?.userAgent).toMatch(/^weirflow\/\d+\.\d+\.\d+ \(.*wikimedia-ingest\)$/)
    },
  )

  test('a server that does all that it should not costs no change, and little memory', async () => {
    const broken = Buffer.from([0xc3, 0x28, 0xff, 0xf0, 0x9f, 0xa6])
    const events = invented(60)
      .filter(({ data }) => !data.includes('canary'))
      .map(({ id, data }, index) => ({
        id,
        // Within a name, so that what is left of it is JSON still.
        data: index % 7 === 3 ? Buffer.concat(halves(data, '"user":"').toSpliced(1, 0, broken)) : Buffer.from(data),
      }))
    const server = await HostileServer.start(events, [
      part(1_500, 1, 'end'),
      status(500),
      part(1_000, 3, 'break'),
      status(302, { location: '/loop' }),
      moved,
      endless('text/event-stream', 'data: '),
      part(1_800, 2, 'break'),
      endless('text/html', '<p>data: {}\n\n'),
      part(40, 1, 'end'),
      cut,
      part(2_000, 5, 'end'),
      silent,
      status(302, { location: 'file:///etc/hostname' }),
      part(1_000_000, 1_000, 'end'),
      status(204),
    ])
    onTestFinished(() => server.close())
    const topic = fresh('changes')
    const worker = await ingest(server.url, topic)
    let most = 0
    await until(() => {
      // It ends of itself soon after.
      if (worker.isRunning) most = worker.memory().most || most
      return server.asked.length > 12
    }, 'all but the last is tried')
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(400)
    expect(await worker.exit()).toBe(1)
    expect(worker.log.map(({ msg }) => msg).join('\n')).toContain('the server answered 204: the stream is over')
    expect(server.mostSent).toBeLessThan(24 << 20)
    const texts = events.map(({ data }) => ({ key: domainOf(String(data)), value: String(data) }))
    expect((await messages(topic, 3)).sort(byValue)).toEqual(texts.sort(byValue))
    const rejected = await messages(`${topic}.wikimedia-ingest.dead-letters`, 1)
    expect(rejected.map(({ value }) => /^data: x+$/.test(value) && value.length)).toEqual([16_384])
    // Each went on after the last event that had come whole.
    expect(server.asked.slice(1).every((id) => events.some((event) => event.id === id))).toBe(true)
  })

  test('a stream that can not be reached is waited for, in health and not ready', async () => {
    const events = invented(50)
    const server = await serve(events, {})
    const { url } = server
    await server.close()
    const worker = await ingest(url, fresh('changes'))
    await until(async () => (await worker.get('/ready')).text.includes('ECONNREFUSED'), 'it has tried')
    expect((await worker.get('/ready')).status).toBe(503)
    expect(await worker.get('/health')).toMatchObject({ status: 200 })
    expect((await worker.get('/ready')).text).toContain(`reading ${url}: connect ECONNREFUSED`)
    expect(await worker.stop()).toBe(0)
  })
})

function halves(text: string, after: string): Buffer[] {
  const at = text.indexOf(after) + after.length
  return [Buffer.from(text.slice(0, at)), Buffer.from(text.slice(at))]
}

function domainOf(data: string): string {
  return (JSON.parse(data) as Keyed).meta.domain
}

interface Keyed {
  readonly meta: { readonly domain: string }
}

function byValue(one: Message, other: Message): number {
  return one.value < other.value ? -1 : one.value > other.value ? 1 : 0
}
