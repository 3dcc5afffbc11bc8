import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Subject } from 'rxjs'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Signal } from '../../src/cli/io.js'
import { main } from '../../src/cli/main.js'
import type { ArchiveRow } from '../../src/codecs/archive/file-format.js'
import { avroFormat } from '../../src/codecs/avro/avro-format.js'
import { kafkaHeaders, MessageReader } from '../../src/codecs/cloudevents/index.js'
import { parquetFormat } from '../../src/codecs/parquet/parquet-format.js'
import type { Message } from '../../src/kafka/client.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import type { OutgoingMessage } from '../../src/kafka/producer.js'
import { ReplayWriter } from '../../src/kafka/replay-writer.js'
import { type Header, StreamRecord } from '../../src/model/index.js'
import { rowOf, versionReader } from '../../src/sinks/archive/rows.js'
import { writeArchive } from '../support/archive-folder.js'
import { plainRow } from '../support/archive-rows.js'
import { weirIn } from '../support/weir.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, produceAll, sharedServer } from './kafka-support.js'
import { settingsOfTopic } from './topic-tools.js'

const bin = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))
const versionOf = versionReader()
const missing = requireKafka()

describe.skipIf(missing !== undefined)(`replaying to real Kafka${missing === undefined ? '' : ` (${missing})`}`, () => {
  const shared = sharedServer(
    // Records of these tests are old, and what reads them may be slow.
    () => KafkaCluster.start({ settings: { 'log.retention.ms': '-1' } }),
    missing !== undefined,
  )
  const reader = new MessageReader({ data: 'raw', depth: 100, bigIntegers: 'reject' })
  let cwd: string
  let folder: string
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'weir-replay-'))
    return () => rmSync(cwd, { recursive: true })
  })

  /** An archive of its own in a folder of its own, which the configuration names. */
  function archive(): string {
    const name = fresh('replay')
    folder = join(cwd, name)
    writeFileSync(
      join(cwd, `${name}.config.ts`),
      `import { archive, cloudEvents, defineConfig, flow, kafka } from 'weirflow'
      export default defineConfig({
        app: '${name}', checkpoints: 'kafka', connections: { kafka: kafka({ brokers: '${shared.server.bootstrap}' }) },
        flows: { archive: flow(
          kafka.source({ topic: 'events', group: 'g' }), cloudEvents.decode({ data: 'raw' }),
          archive.sink({ store: { backend: 'file', path: '${name}' } }),
        ) },
      })`,
    )
    return name
  }

  async function replay(name: string, argv: readonly string[]) {
    return weirIn(cwd, ['archive', 'replay', ...argv, '--config', `${name}.config.ts`])
  }

  /** The same on a terminal, where it is stopped when the bar shows that so many records were read. */
  async function stopped(name: string, argv: readonly string[], records: number) {
    const signals$ = new Subject<Signal>()
    let said = ''
    const stderr = {
      isTTY: true,
      write: (text: string) => {
        said += text
        const read = Number(/\(([\d,]+) of /.exec(text)?.[1]?.replaceAll(',', ''))
        if (read >= records) signals$.next('SIGINT')
      },
    }
    const stdout = { write: (text: string) => void (said += text) }
    const startWorker = () => {
      throw new Error('no process is started here')
    }
    const all = ['archive', 'replay', ...argv, '--config', `${name}.config.ts`]
    return { code: await main(all, { cwd, env: { NO_COLOR: '1' }, stdout, stderr, signals$, startWorker }), said }
  }

  const produce = (messages: readonly OutgoingMessage[]) => produceAll(shared.connection, messages)

  /** All that is committed in a topic, by partition. */
  async function messagesIn(topic: string, partitions = 3): Promise<Message[][]> {
    const log = new LogReader(await shared.connection.settings())
    await log.connect()
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 }))
    const found: Message[][] = all.map(() => [])
    log.assign(all)
    await log.read(
      (message) => found[message.partition]?.push(message),
      () => all.every((one) => log.hasEnded(one)),
    )
    await log.close()
    return found
  }

  /** The same of so many messages: readers see what was committed when its markers are written, which is a moment later. */
  const soon = (count: number, topic: string, partitions = 2) =>
    vi.waitFor(
      async () => {
        const found = await messagesIn(topic, partitions)
        expect(found.flat()).toHaveLength(count)
        return found
      },
      { timeout: 60_000, interval: 200 },
    )

  /** What is compared: all but where it lies. */
  const content = ({ key, value, timestamp, headers = [] }: Message) => ({ key, value, timestamp, headers })

  const json = { 'content-type': Buffer.from('application/cloudevents+json; charset=utf-8') }
  const own = { 'x-trace': Buffer.from([0, 255]) }
  const attributes = { id: '1', source: '/s', specversion: '1.0', type: 't' }
  const structured = (more: object = {}, headers: Header[] = [json]) => ({
    value: Buffer.from(JSON.stringify({ ...attributes, ...more })),
    headers,
  })
  const ce = (name: string, value: string) => ({ [`ce_${name}`]: Buffer.from(value) })
  const inBinary = (value: Buffer | null, contentType?: string) => ({
    value,
    headers: [
      own,
      ...Object.entries(attributes).map(([name, value]) => ce(name, value)),
      ce('count', '42'),
      ...(contentType === undefined ? [] : [{ 'content-type': Buffer.from(contentType) }]),
      own,
    ],
  })
  const kinds = [
    structured({ count: 42, flag: true, text: '42', data: { a: 1 } }),
    structured({ data_base64: Buffer.from([0, 1, 255]).toString('base64'), datacontenttype: 'image/png' }, [
      own,
      json,
      own,
    ]),
    structured({ subject: 'ÿ→𝄞', time: '2024-02-29T23:59:59.123456789+05:30' }, []),
    structured({ dataschema: 'https://example.com/order/v2.json', data: null }),
    inBinary(Buffer.from('{"a":1}'), 'application/json'),
    inBinary(Buffer.from('text'), 'text/plain'),
    inBinary(Buffer.from([0, 255]), 'application/octet-stream'),
    inBinary(Buffer.from('bytes of no type')),
    inBinary(null),
    {
      value: Buffer.from(
        JSON.stringify(
          ['a', 'b', 'c'].map((id) => ({ ...attributes, id, ...(id === 'b' ? { dataschema: 'urn:x:v2' } : {}) })),
        ),
      ),
      headers: [{ 'content-type': Buffer.from('application/cloudevents-batch+json') }],
    },
  ]

  /** Archives a topic as the sink would: a folder for each version, with files of so many records. */
  async function archived(topic: string, most = 7): Promise<void> {
    for (const messages of await messagesIn(topic)) {
      const folders = new Map<string, ArchiveRow[]>()
      for (const { offset, partition, key, value, timestamp, headers = [] } of messages) {
        const read = reader.read(value, kafkaHeaders(headers))
        for (const event of 'members' in read ? read.members.map((member) => member.event) : [read]) {
          const origin = {
            topic,
            partition,
            offset,
            key: key as never,
            timestamp: timestamp ?? -1,
            headers: headers as never,
          }
          const row = rowOf(new StreamRecord(null, event, 0, [], origin))
          folders.set(versionOf(row), [...(folders.get(versionOf(row)) ?? []), row])
        }
      }
      let files = 0
      for (const rows of folders.values())
        for (let start = 0; start < rows.length; ) {
          let end = Math.min(rows.length, start + most)
          while (rows[end]?.offset === rows[end - 1]?.offset) end++
          const format = files++ % 2 === 0 ? parquetFormat('zstd') : avroFormat('snappy')
          await writeArchive(
            folder,
            rows.slice(start, end).map((row) => ({ ...row, time: row.time })),
            { format },
          )
          start = end
        }
    }
  }

  test('each record is written again as it was: value, key, headers, time, and order by partition', async () => {
    const name = archive()
    const topic = await makeTopic(shared.connection, fresh('events'), { partitions: 3 })
    const keys = [null, Buffer.from('key'), Buffer.from([255, 0]), Buffer.alloc(1).subarray(0, 0)]
    await produce(
      Array.from({ length: 120 }, (_, index) => ({
        topic,
        partition: index % 3,
        key: keys[index % 4] ?? null,
        timestamp: 1_700_000_000_000 + index,
        ...(kinds[index % kinds.length] as (typeof kinds)[0]),
      })),
    )
    await archived(topic)
    expect((await replay(name, [topic, '--to', `${topic}.copy`, '--dry-run'])).said).toContain(
      '120 records would be written',
    )
    const { code, said } = await replay(name, [topic, '--to', `${topic}.copy`])
    expect(said).toMatch(/^0 +40 +48 +0 to 39 /m)
    expect(said).toContain(`120 records written to ${topic}.copy in 1 transaction`)
    expect(code).toBe(0)
    const [sent, copied] = [await messagesIn(topic), await soon(120, `${topic}.copy`, 3)]
    const events = (messages: Message[]) =>
      messages.map(content).map(({ value, headers, ...rest }) => {
        const read = reader.read(value, kafkaHeaders(headers))
        return {
          ...rest,
          headers,
          read: 'members' in read ? read.members.map(({ event }) => event).sort(byId) : read,
        }
      })
    expect(copied.map(events)).toEqual(sent.map(events))
    const binary = ({ headers = [] }: Message) => headers.some((header) => 'ce_id' in header)
    expect(copied.flat().filter(binary).map(content)).toEqual(sent.flat().filter(binary).map(content))
  })

  const byId = (one: unknown, other: unknown) => ((one as { id: string }).id < (other as { id: string }).id ? -1 : 1)
  const ids = (messages: Message[][]) =>
    messages.map((some) => some.map(({ value }) => (JSON.parse(String(value)) as { id: string }).id))

  /** Two partitions with so many plain events each. */
  async function plain(records: number, topic: string): Promise<string[][]> {
    return Promise.all(
      [0, 1].map(async (partition) => {
        const rows = Array.from({ length: records }, (_, offset) => plainRow(offset, { topic, partition, data: '{}' }))
        for (let start = 0; start < records; start += 4_000)
          await writeArchive(folder, rows.slice(start, start + 4_000))
        return rows.map(({ id }) => id)
      }),
    )
  }

  test('what is interrupted goes on where it was, and nothing is written twice', async () => {
    const name = archive()
    const topic = fresh('events')
    const sent = await plain(9_000, topic)
    const to = `${topic}.copy`
    const first = await stopped(name, [topic, '--to', to], 2_000)
    expect(first.said).toMatch(/\rrecords █*░+ \d+ % \([\d,]+ of 18,000\)/)
    expect(first.said).toContain('stopped before the end: the same command goes on there')
    expect(first.code).toBe(130)
    const begun = Number(/([\d,]+) records? written/.exec(first.said)?.[1]?.replaceAll(',', ''))
    expect(begun).toBeGreaterThan(0)
    expect(begun).toBeLessThan(18_000)
    await soon(begun, to)
    const rest = await replay(name, [topic, '--to', to])
    expect(rest.code).toBe(0)
    expect(rest.said).toContain('it went on behind what an earlier run has written')
    expect(ids(await soon(18_000, to))).toEqual(sent)
    const nothing = await replay(name, [topic, '--to', to])
    expect(nothing.said).toContain('0 records written')
    expect(nothing.said).toContain('all of it was written before')
    const other = await replay(name, [topic, '--to', to, '--offsets', '1@0-4'])
    expect(other.said).toContain('5 records written')
    const again = await stopped(name, [topic, '--to', to, '--again'], 2_000)
    expect(again.code).toBe(130)
    expect(await replay(name, [topic, '--to', to])).toMatchObject({ code: 0 })
    expect(ids(await soon(36_005, to))).toEqual([
      [...(sent[0] ?? []), ...(sent[0] ?? [])],
      [...(sent[1] ?? []), ...(sent[1]?.slice(0, 5) ?? []), ...(sent[1] ?? [])],
    ])
  })

  test('what is killed in the midst of it goes on where it was, as often as that happens', async () => {
    const name = archive()
    const topic = fresh('events')
    const sent = await plain(30_000, topic)
    const to = `${topic}.copy`
    const argv = ['archive', 'replay', topic, '--to', to, '--config', `${name}.config.ts`]
    const committed = async () => (await messagesIn(to, 2).catch(() => [])).flat().length
    let before = 0
    for (let killed = 0; killed < 2; killed++) {
      const child = spawn(process.execPath, [bin, ...argv], { cwd, stdio: 'ignore' })
      const exited = once(child, 'exit')
      onTestFinished(() => void child.kill('SIGKILL'))
      // With a part of the next transaction written, most likely.
      await vi.waitFor(async () => expect(await committed()).toBeGreaterThan(before), {
        timeout: 130_000,
        interval: 20,
      })
      child.kill('SIGKILL')
      expect(await exited).toEqual([null, 'SIGKILL'])
      before = await committed()
    }
    expect(before).toBeLessThan(60_000)
    const { code, said } = await replay(name, [topic, '--to', to])
    expect([code, said]).toEqual([0, expect.stringContaining('it went on behind what an earlier run has written')])
    expect(ids(await soon(60_000, to))).toEqual(sent)
    // Of old records brokers would throw away all within minutes.
    expect(settingsOfTopic(shared.server.bootstrap, to)).toMatchObject({ 'retention.ms': '-1' })
  })

  test('who is taken over from can neither commit nor be seen', async () => {
    const topic = fresh('copy')
    const message = (value: string) => ({
      partition: 0,
      key: null,
      value: Buffer.from(value),
      timestamp: 1,
      headers: [],
    })
    const [first, second] = [0, 1].map(() => new ReplayWriter(shared.connection, topic, topic)) as [
      ReplayWriter,
      ReplayWriter,
    ]
    onTestFinished(async () => {
      await first.close()
      await second.close()
    })
    expect(await first.partitions(2)).toBe(2)
    expect(await first.open(2)).toEqual(new Map())
    await first.write(message('one'))
    await first.commit(new Map([[0, 1]]))
    await first.write(message('lost'))
    expect(await second.open(2)).toEqual(new Map([[0, 1]]))
    await second.write(message('two'))
    await second.commit(new Map([[0, 2]]))
    await expect(first.commit(new Map([[0, 99]]))).rejects.toMatchObject({ code: 'WEIR_SINK_FAILED' })
    expect((await soon(2, topic)).flat().map(({ value }) => String(value))).toEqual(['one', 'two'])
  })

  test('a topic of fewer partitions is refused before anything is written', async () => {
    const name = archive()
    const topic = fresh('events')
    await plain(10, topic)
    const to = await makeTopic(shared.connection, fresh('small'), { partitions: 1 })
    const { code, said } = await replay(name, [topic, '--to', to])
    expect(code).toBe(2)
    expect(said).toContain(`'${to}' has 1 partition, and there are records of partition 1: give it 2 or more`)
    expect((await messagesIn(to, 1)).flat()).toEqual([])
  })
})
