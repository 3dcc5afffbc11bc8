import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { concat, lastValueFrom } from 'rxjs'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { avroType, avroWriter } from '../../src/codecs/avro/values.js'
import { changeProgress } from '../../src/engine/index.js'
import { KafkaCheckpoints } from '../../src/kafka/checkpoints.js'
import type { OutgoingMessage } from '../../src/kafka/producer.js'
import { KafkaProducer } from '../../src/kafka/producer.js'
import { TransactionWriter } from '../../src/kafka/transaction-writer.js'
import { wire } from '../support/registry.js'
import { type Said, weirIn } from '../support/weir.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, Member, makeTopic, sharedServer, sourceOf } from './kafka-support.js'

const missing = requireKafka()
const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))

describe.skipIf(missing !== undefined)(
  `topics and groups at hand${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    const shared = sharedServer(() => KafkaCluster.start(), missing !== undefined)
    let cwd: string
    beforeAll(() => {
      cwd = mkdtempSync(join(tmpdir(), 'weir-topics-'))
      return () => rmSync(cwd, { recursive: true })
    })

    const where = () => ['--brokers', shared.server.bootstrap]
    const topics = (...argv: string[]) => weirIn(cwd, ['topics', ...argv, ...where()])
    const groups = (...argv: string[]) => weirIn(cwd, ['groups', ...argv, ...where()])
    const piped = (input: string | Buffer, ...argv: string[]) =>
      weirIn(cwd, ['topics', ...argv, ...where()], {}, undefined, Readable.from([Buffer.from(input)]))
    const made = (partitions = 1, name = 'events') => makeTopic(shared.connection, fresh(name), { partitions })

    /** What was printed, one record a line. */
    const rows = ({ stdout }: Said) =>
      stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { offset: number; partition: number; value: unknown; key: string | null })
    const values = (said: Said) => rows(said).map(({ value }) => value)

    async function write(messages: readonly Omit<OutgoingMessage, 'headers'>[]): Promise<void> {
      const options = { deliveryTimeoutMs: 20_000, compression: 'lz4', lingerMs: 5, singly: false } as const
      const refused = (_: unknown, error: unknown) => {
        throw error as Error
      }
      const producer = new KafkaProducer(await shared.connection.settings(), options, { refused })
      await producer.connect()
      for (const message of messages) producer.produce({ ...message, headers: [] }, undefined)
      await producer.flush()
      await producer.close()
    }

    const hour = 3_600_000
    const begin = Math.floor(Date.now() / 1_000) * 1_000 - hour
    /** `{"n":0}`, … a second after the other, or as long. */
    const numbered = (
      topic: string,
      count: number,
      partition = 0,
      stepMs = 1_000,
    ): Omit<OutgoingMessage, 'headers'>[] =>
      Array.from({ length: count }, (_, n) => ({
        topic,
        partition,
        key: String(n % 10),
        value: Buffer.from(`{"n":${n}}`),
        timestamp: begin + n * stepMs,
      }))

    /** A process of its own, and what it has said until now. */
    function started(argv: readonly string[]) {
      const child = spawn(process.execPath, [command, ...argv, ...where()], { cwd, stdio: ['pipe', 'pipe', 'pipe'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      const said = { stdout: '', stderr: '' }
      child.stdout.on('data', (data) => (said.stdout += String(data)))
      child.stderr.on('data', (data) => (said.stderr += String(data)))
      return { child, said }
    }

    const ended = (child: ChildProcess) =>
      new Promise<number | NodeJS.Signals | null>((resolve) =>
        child.once('close', (code, signal) => resolve(code ?? signal)),
      )

    test('a record is produced, and browsed as it is', async () => {
      const topic = await made(3)
      const put = await topics('produce', topic, '{"eventType":"user_signup"}', '--key', '7', '--header', 'trace=a=b')
      expect(put).toMatchObject({ code: 0, stdout: `1 record written to topic '${topic}'\n` })
      const [record] = rows(await topics('browse', topic, '--json'))
      expect(record).toMatchObject({
        topic,
        offset: 0,
        key: '7',
        value: { eventType: 'user_signup' },
        headers: [{ name: 'trace', value: 'a=b' }],
      })
      const told = await topics('show', `${topic}-${record?.partition}@0`)
      expect(told.stdout).toMatch(/key +7\n/)
      expect(told.stdout).toContain('{\n  "eventType": "user_signup"\n}')
      expect(told.stdout).toContain('trace: a=b')
      expect((await topics('show', `${topic}-0@99`)).said).toContain(`there is no record ${topic}-0@99`)
    })

    test('lines of the input are records, with keys and tombstones', async () => {
      const topic = fresh('lines')
      const made = ['--create', '2', '--parse-key', '--separator', ':', '--null', '-']
      expect(await piped('a:{"n":1}\nb:x:y\r\na:-\nc:', 'produce', topic, ...made)).toMatchObject({
        code: 0,
        stdout: `4 records written to topic '${topic}'\n`,
      })
      const found = rows(await topics('browse', topic, '--from', 'earliest', '--limit', 'all', '--json'))
      expect(found.map(({ key, value }) => [key, value]).sort()).toEqual([
        ['a', null],
        ['a', { n: 1 }],
        ['b', 'x:y'],
        ['c', ''],
      ])
      expect(new Set(found.filter(({ key }) => key === 'a').map(({ partition }) => partition)).size).toBe(1)
      const broken = await piped('d:1\nno key\ne:2\n', 'produce', topic, '--parse-key', '--separator', ':')
      expect(broken).toMatchObject({ code: 2, stdout: `1 record written to topic '${topic}'\n` })
      expect(broken.stderr).toContain('line 2: it has no ":" behind a key; what was before it is written')
    })

    test('a record that the brokers refuse is told, by its line, and the others are written', async () => {
      const topic = await made()
      const lines = ['one', 'x'.repeat(2_000_000), 'three']
      const told = await piped(lines.join('\n'), 'produce', topic)
      expect(told).toMatchObject({ code: 1, stdout: `2 records written to topic '${topic}'\n` })
      expect(told.stderr).toContain('line 2 is not written')
      expect(values(await topics('browse', topic, '--from', '0', '--json'))).toEqual(['one', 'three'])
    })

    test('many lines are all there, each key in its order, also where brokers refuse what they came with', async () => {
      const topic = await makeTopic(shared.connection, fresh('many'), {
        partitions: 2,
        config: { 'max.message.bytes': '20000' },
      })
      const line = (n: number) => `${n % 7}:${n === 5_000 ? 'x'.repeat(30_000) : n}`
      const lines = Array.from({ length: 12_000 }, (_, n) => line(n))
      const told = await piped(lines.join('\n'), 'produce', topic, '--parse-key', '--separator', ':')
      expect(told).toMatchObject({ code: 1, stdout: `11,999 records written to topic '${topic}'\n` })
      expect(told.stderr.match(/line \d+ is not written/g)).toEqual(['line 5001 is not written'])
      const found = rows(await topics('browse', topic, '--from', 'earliest', '--limit', 'all', '--json'))
      expect(found).toHaveLength(11_999)
      for (let key = 0; key < 7; key++) {
        const of = found.filter((record) => record.key === String(key)).sort((one, other) => one.offset - other.offset)
        const sent = lines.flatMap((_, n) => (n % 7 === key && n !== 5_000 ? [n] : []))
        expect(of.map(({ value }) => value)).toEqual(sent)
      }
    })

    test('the newest come first; a range is read from where it begins; each filter leaves out what is not meant', async () => {
      const topic = await made(2)
      await write([...numbered(topic, 50), ...numbered(topic, 30, 1)])
      const n = async (...argv: string[]) =>
        values(await topics('browse', topic, '--json', ...argv)).map((value) => (value as { n: number }).n)
      expect(await n('--limit', '3')).toEqual([49, 48, 47])
      expect((await topics('browse', topic)).stdout.trim().split('\n')).toHaveLength(20)
      expect(await n('--from', '10', '--partition', '1', '--limit', '3')).toEqual([10, 11, 12])
      expect(await n('--key', '7', '--limit', '3')).toEqual([47, 37, 27])
      expect(await n('--key', '7', '--partition', '1')).toEqual([27, 17, 7])
      expect(await n('--grep', '"n":4')).toEqual([49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 4, 4])
      const at = (second: number) => new Date(begin + second * 1_000).toISOString()
      expect(await n('--since', at(20), '--until', at(22), '--from', 'earliest')).toEqual([20, 20, 21, 21])
      expect(await n('--since', at(47))).toEqual([49, 48, 47])
      expect(await n('--until', at(1))).toEqual([0, 0])
      expect(await n('--since', '1m')).toEqual([])
      expect(await n('--partition', '1', '--from', 'earliest', '--limit', 'all')).toHaveLength(30)
      expect((await topics('browse', topic, '--partition', '2')).said).toContain('the topic has partitions 0 to 1')
    })

    test('a time is found by the brokers, and not by reading', async () => {
      const topic = await made()
      await write(numbered(topic, 100_000, 0, 10))
      const since = new Date(begin + 999_500).toISOString()
      const none = await topics('browse', topic, '--since', since, '--grep', 'no such text')
      expect(none).toMatchObject({ code: 0, stdout: '', stderr: 'no record is like that (50 read)\n' })
    })

    test('what a transaction has aborted, or not ended, is not there', async () => {
      const topic = await made()
      const transaction = async (value: string) => {
        const writer = new TransactionWriter(shared.connection, fresh('id'), 'testing')
        await writer.open()
        await writer.write({ topic, partition: 0, key: null, value: Buffer.from(value), timestamp: begin, headers: [] })
        return writer
      }
      const committed = await transaction('committed')
      await committed.commit()
      await committed.close()
      const aborted = await transaction('aborted')
      // What was not sent yet is never there.
      const records = async () => JSON.parse((await topics('ls', topic, '--json')).stdout)[0].records
      await expect.poll(records).toBe(3)
      expect(values(await topics('browse', topic, '--json', '--from', 'earliest'))).toEqual(['committed'])
      await aborted.close()
      await expect
        .poll(async () => values(await topics('browse', topic, '--json', '--from', 'earliest')))
        .toEqual(['committed'])
      const all = await topics('browse', topic, '--json', '--from', 'earliest', '--uncommitted')
      expect(values(all)).toEqual(['committed', 'aborted'])
    })

    test('values of a registry are decoded, a megabyte is cut, and no control character is passed on', async () => {
      const schemas: Record<string, object> = {
        '/schemas/ids/1': {
          schema: JSON.stringify({ type: 'record', name: 'E', fields: [{ name: 'n', type: 'long' }] }),
        },
        '/schemas/ids/2': { schema: '{}', schemaType: 'JSON' },
      }
      const registry = createServer(({ url = '' }, response) => {
        const found = schemas[url.replace(/\?.*$/, '')]
        response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' })
        response.end(JSON.stringify(found ?? { error_code: 40403, message: 'none' }))
      })
      await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void registry.close())
      const named = ['--registry', `http://127.0.0.1:${(registry.address() as AddressInfo).port}`]
      const topic = await makeTopic(shared.connection, fresh('mixed'), { config: { 'max.message.bytes': '3000000' } })
      const type = avroType({ type: 'record', name: 'E', fields: [{ name: 'n', type: 'long' }] })
      const bytes = [
        avroWriter(type, 1)({ n: 5 }),
        wire(2, { n: 6 }),
        wire(9, { n: 7 }),
        Buffer.alloc(1_048_576, 0xfe),
        Buffer.from('\u001b[31mred\u009b0m'),
      ]
      await write(bytes.map((value) => ({ topic, partition: 0, key: null, value, timestamp: begin })))
      const shown = (await topics('browse', topic, '--from', '0', ...named)).stdout
      const lines = shown.trimEnd().split('\n')
      expect(lines).toHaveLength(5)
      expect(lines[0]).toMatch(/ {2}\{"n":5\}$/)
      expect(lines[1]).toMatch(/ {2}\{"n":6\}$/)
      expect(lines[2]).toContain('the registry has none of that id')
      expect(lines[3]).toContain('… (1,048,576 bytes: --full shows all)')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
      expect(shown.replaceAll('\n', '')).not.toMatch(/[\0-\x1f\x7f-\x9f]/)
      expect((await topics('browse', topic, '--grep', '"n":5', '--json', ...named)).stdout).toContain('"format":"Avro"')
      expect((await topics('show', `${topic}-0@3`)).stdout).toContain('1,044,480 bytes more')
      expect((await topics('show', `${topic}-0@0`)).stdout).toContain('name its registry with --registry')
    })

    test('topics are listed and shown, and one that was mistyped is guessed', async () => {
      const topic = await made(3, 'listed')
      await write(numbered(topic, 10, 1))
      expect((await topics('ls', topic)).stdout).toMatch(/^topic +partitions +copies +records\nlisted\S+ +3 +1 +10\n$/)
      expect(JSON.parse((await topics('ls', topic, '--json')).stdout)).toEqual([
        { topic, partitions: 3, replicas: 1, lagging: 0, records: 10 },
      ])
      expect((await topics('ls')).stdout).not.toContain('__consumer_offsets')
      const newest = new Date(begin + 9_000).toISOString()
      expect((await topics('show', topic)).stdout).toMatch(
        new RegExp(`\\n1 +0 +10 +10 +${newest} +broker \\d+ +1 of 1\\n`),
      )
      const mistyped = await topics('browse', `${topic}s`)
      expect(mistyped).toMatchObject({ code: 2, said: expect.stringContaining(`did you mean '${topic}'?`) })
      expect((await topics('produce', 'nothing-like-it', 'x')).code).toBe(2)
      expect((await topics('browse', 'no such name')).code).toBe(2)
      expect((await topics('produce', topic, 'x', '--partition', '3')).said).toContain('the last one is 2')
    })

    test('tail follows until it is told to stop, and shows what came before only when asked', async () => {
      const topic = await made()
      await topics('produce', topic, 'before')
      const { child, said } = started(['topics', 'tail', topic, '--json'])
      // It begins at the end that there is when it begins.
      await expect
        .poll(
          async () => {
            await topics('produce', topic, 'now')
            return said.stdout
          },
          { timeout: 60_000, interval: 500 },
        )
        .toContain('"value":"now"')
      expect(said.stdout).not.toContain('before')
      child.kill('SIGINT')
      expect(await ended(child)).toBe(0)
      expect(said.stderr).not.toMatch(/error|warning/i)
      expect(values(await topics('tail', topic, '--from', 'earliest', '--limit', '2', '--json'))).toEqual([
        'before',
        'now',
      ])
    })

    test('whoever reads no further ends it quietly', async () => {
      const topic = await made()
      await write(numbered(topic, 50_000, 0, 10))
      for (const argv of [
        ['browse', topic, '--from', 'earliest', '--limit', 'all'],
        ['tail', topic, '--from', 'earliest'],
      ]) {
        const { child, said } = started(['topics', ...argv])
        const exit = ended(child)
        await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
        child.stdout.destroy()
        expect(await exit).toBe(0)
        expect(said.stderr).not.toMatch(/error|warning/i)
      }
    })

    test('groups are listed with what they have not read, in records and in time', async () => {
      const topic = await made(2)
      const group = fresh('readers')
      await write([...numbered(topic, 20), ...numbered(topic, 5, 1)])
      expect((await groups('ls', group)).stdout).toBe(`no group has '${group}' in its name\n`)
      const dry = await groups('reset', group, '--topic', topic, '--to', '15', '--partition', '0', '--dry-run')
      expect(dry.stdout).toMatch(/-0 +– +→ +15\nnothing was moved\n$/)
      expect((await groups('show', group)).code).toBe(2)
      await groups('reset', group, '--topic', topic, '--to', '15', '--partition', '0', '--yes')
      await groups('reset', group, '--topic', topic, '--to', 'latest', '--partition', '1', '--yes')
      const [listed] = JSON.parse((await groups('ls', group, '--json')).stdout)
      expect(listed).toMatchObject({ group, state: 'empty', members: 0, topics: [topic], records: 5 })
      const age = Date.now() - begin - 15_000
      expect(Math.abs(listed.behindMs - age)).toBeLessThan(30_000)
      const shown = (await groups('show', group)).stdout
      expect(shown).toMatch(/-0 +15 +20 +5 +(59|1 h)/)
      expect(shown).toMatch(/-1 +5 +5 +0 +– +–\n/)
      expect((await groups('show', `${group}x`)).said).toContain(`did you mean '${group}'?`)
    })

    test('who has read all but the marker of a transaction is not behind', async () => {
      const topic = await made()
      const group = fresh('marked')
      const writer = new TransactionWriter(shared.connection, fresh('id'), 'testing')
      await writer.open()
      await writer.write({ topic, partition: 0, key: null, value: Buffer.from('1'), timestamp: begin, headers: [] })
      await writer.commit()
      await writer.close()
      await groups('reset', group, '--topic', topic, '--to', '1', '--yes')
      await expect
        .poll(async () => JSON.parse((await groups('ls', group, '--json')).stdout)[0])
        .toMatchObject({ records: 0 })
      await groups('reset', group, '--to', 'earliest', '--yes')
      expect(JSON.parse((await groups('ls', group, '--json')).stdout)[0]).toMatchObject({ records: 2 })
    })

    test('a stopped group is moved, as far as is asked for, and one with members is not', async () => {
      const topic = await made()
      const group = fresh('moved')
      await write(numbered(topic, 20))
      const to = async (where: string, ...more: string[]) =>
        (await groups('reset', group, '--topic', topic, '--to', where, '--yes', ...more)).stdout
      expect(await to('12')).toMatch(/-0 +– +→ +12\n1 position moved of group/)
      expect(await to('-5')).toMatch(/12 +→ +7 +5 again\n/)
      expect(await to('+100')).toMatch(/7 +→ +20 +13 passed over\n/)
      expect(await to(new Date(begin + 4_000).toISOString())).toMatch(/20 +→ +4 /)
      expect(await to('4')).toMatch(/4 +→ +4 +stays\nnothing to move\n/)
      expect((await groups('reset', group, '--to', '21', '--yes')).said).toContain('has no offset 21: it begins at 0')
      expect((await groups('reset', group, '--to', '3')).said).toContain('nobody is here to ask: say it with --yes')
      expect((await groups('reset', group, '--to', '3', '--partition', '1')).said).toContain(
        'has no position in partition 1',
      )
      const member = new Member(sourceOf(shared.connection, { topic, group }))
      onTestFinished(() => member.leave())
      await member.until(() => member.partitions === 1, 'it has a partition')
      expect((await groups('show', group)).stdout).toMatch(/stable, 1 member\n[^]* test at 127\.0\.0\.1\n/)
      const refused = await groups('reset', group, '--to', 'earliest', '--yes')
      expect(refused).toMatchObject({
        code: 2,
        said: expect.stringContaining('has 1 member (test at 127.0.0.1): stop them'),
      })
    })

    test('positions of a flow are moved where they are kept', async () => {
      const topic = await made()
      const app = fresh('shop')
      await write(numbered(topic, 20))
      writeFileSync(
        join(cwd, `${app}.config.ts`),
        `import { aggregate, consoleSink, count, defineConfig, flow, kafka, recordKey } from 'weirflow'
        export default defineConfig({
          app: '${app}', checkpoints: 'kafka',
          connections: { kafka: kafka({ brokers: '${shared.server.bootstrap}' }) },
          flows: { counts: flow(
            kafka.source({ topic: '${topic}', group: '${app}.readers' }),
            aggregate('counts', { by: recordKey, of: count() }), consoleSink(),
          ) },
        })`,
      )
      const checkpoints = new KafkaCheckpoints(shared.connection)
      const held = { task: `${app}.counts`, topic, partition: 0 } as never
      await lastValueFrom(
        concat(
          checkpoints.open(),
          changeProgress(checkpoints, held, () => ({ position: 9 })),
        ),
      )
      const weir = (...argv: string[]) => weirIn(cwd, [...argv, '--config', `${app}.config.ts`])
      const moved = await weir('groups', 'reset', `${app}.readers`, '--to', '-4', '--yes')
      expect(moved.said).toMatch(/-0 +9 +→ +5 +4 again\n1 position moved of flow 'counts', in its checkpoint store/)
      expect((await weir('state', 'counts')).stdout).toMatch(/-0 +5 /)
      expect((await weir('groups', 'reset', 'counts', '--to', 'latest', '--dry-run')).stdout).toMatch(/5 +→ +20 /)
      expect((await weir('state', 'counts')).stdout).toMatch(/-0 +5 /)
      expect((await weir('topics', 'ls')).stdout).toMatch(new RegExp(`\\n${topic} +1 +1 +20\\n`))
    })

    test('what is written and moved by hand is written down before and after, and nothing of a record', async () => {
      const topic = await made()
      const [app, deeds] = [fresh('shop'), fresh('deeds')]
      const configure = (file: string, audit: string) =>
        writeFileSync(
          join(cwd, `${app}.${file}.ts`),
          `import { consoleSink, defineConfig, flow, kafka } from 'weirflow'
          export default defineConfig({
            app: '${app}', audit: { topic: '${audit}' },
            connections: { kafka: kafka({ brokers: '${shared.server.bootstrap}' }) },
            flows: { reading: flow(kafka.source({ topic: '${topic}', group: 'g' }), consoleSink()) },
          })`,
        )
      configure('config', deeds)
      configure('broken', '__consumer_offsets')
      const weir = (...argv: string[]) => weirIn(cwd, [...argv, '--config', `${app}.config.ts`])
      const put = ['topics', 'produce', topic, 'confidential', '--key', 'private']
      expect(await weir(...put)).toMatchObject({ code: 0, stderr: '' })
      await weir('groups', 'reset', `${app}.moved`, '--topic', topic, '--to', '0', '--dry-run')
      await weir('groups', 'reset', `${app}.moved`, '--topic', topic, '--to', '0', '--yes')
      const { stdout } = await topics('browse', deeds, '--from', '0', '--json')
      expect(stdout).not.toMatch(/confidential|private/)
      const events = rows({ stdout } as Said).map(({ value }) => value as Record<string, string>)
      const produced = { source: `weir/${app}`, type: 'weir.audit.topics.produce', subject: topic }
      const actor = { name: expect.stringMatching(/^.+@.+$/) }
      expect(events).toMatchObject([
        { ...produced, specversion: '1.0', data: { actor, phase: 'began' } },
        { ...produced, data: { actor, phase: 'ended', outcome: 'done', records: 1 } },
        { type: 'weir.audit.groups.reset', subject: `${app}.moved`, data: { phase: 'began', asked: { to: '0' } } },
        { type: 'weir.audit.groups.reset', data: { phase: 'ended', outcome: 'done', positions: 1 } },
      ])
      expect(new Set(events.map(({ correlationid }) => correlationid)).size).toBe(2)
      // What can't be written down is not done.
      expect((await weirIn(cwd, [...put, '--config', `${app}.broken.ts`])).code).toBe(1)
      expect(rows(await topics('browse', topic, '--json'))).toHaveLength(1)
    })
  },
)
