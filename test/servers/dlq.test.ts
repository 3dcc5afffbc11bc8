import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lastValueFrom } from 'rxjs'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { call, type Message } from '../../src/kafka/client.js'
import { KafkaDeadLetters, messageFor } from '../../src/kafka/dead-letters.js'
import { LetterMarks } from '../../src/kafka/letter-marks.js'
import type { OutgoingMessage } from '../../src/kafka/producer.js'
import { extentOf, messagesIn } from '../../src/kafka/whole-topic.js'
import { type Header, headerOf, StreamRecord, WeirError } from '../../src/model/index.js'
import { foreignLetters } from '../support/foreign-letters/foreign-letters.js'
import { weirIn } from '../support/weir.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { fresh, makeTopic, produceAll, sharedServer } from './kafka-support.js'

const missing = requireKafka()
const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))

describe.skipIf(missing !== undefined)(
  `dead letters in real Kafka${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    const shared = sharedServer(
      () =>
        KafkaCluster.start({
          settings: { 'log.retention.check.interval.ms': '200', 'log.initial.task.delay.ms': '100' },
        }),
      missing !== undefined,
    )
    let cwd: string
    let app: string
    let orders: string
    let letters: string

    beforeAll(() => {
      cwd = mkdtempSync(join(tmpdir(), 'weir-dlq-'))
      return () => rmSync(cwd, { recursive: true })
    })

    /** A flow that reads a topic of three partitions, and what it could not take. */
    async function shop(): Promise<void> {
      app = fresh('shop')
      orders = await makeTopic(shared.connection, `${app}.orders`, { partitions: 3 })
      letters = await makeTopic(shared.connection, `${app}.billing.dead-letters`)
      writeFileSync(
        join(cwd, `${app}.config.ts`),
        `import { consoleSink, defineConfig, flow, json, kafka, map } from 'weirflow'
        const schema = { '~standard': { version: 1, vendor: 'test', validate: (value: any) =>
          typeof value.amount === 'number' ? { value } : { issues: [{ message: 'expected a number', path: ['amount'] }] } } } as const
        export default defineConfig({
          app: '${app}', connections: { kafka: kafka({ brokers: '${shared.server.bootstrap}' }) },
          flows: { billing: flow(
            kafka.source({ topic: '${orders}', group: 'g' }), json(schema as never), map((order: any) => order), consoleSink(),
          ) },
        })`,
      )
    }

    const dlq = (...argv: string[]) => weirIn(cwd, ['dlq', ...argv, '--config', `${app}.config.ts`])

    const produce = (messages: readonly OutgoingMessage[]) => produceAll(shared.connection, messages)

    async function all(topic: string): Promise<Message[]> {
      const found: Message[] = []
      for await (const messages of messagesIn(shared.connection, await extentOf(shared.connection, topic)))
        found.push(...messages)
      return found
    }

    /** Readers see what was committed when its markers are written, which is a moment later. */
    const soon = (count: number, topic = orders) =>
      vi.waitFor(
        async () => {
          const found = await all(topic)
          expect(found).toHaveLength(count)
          return found
        },
        { timeout: 60_000, interval: 100 },
      )

    interface Failed {
      readonly partition?: number
      readonly key?: string | null
      readonly timestamp?: number
      readonly headers?: readonly Header[]
      readonly code?: 'WEIR_RECORD_INVALID' | 'WEIR_RECORD_MALFORMED'
      readonly stage?: string
    }

    const time = Math.floor(Date.now() / 1_000) * 1_000 - 60_000
    const timeOf = (offset: number) => new Date(time + offset).toISOString()

    /** A letter as Weir writes it, of a record that was read at that offset. */
    function letter(value: string, offset: number, failed: Failed = {}): OutgoingMessage {
      const { partition = 0, key = 'ann', timestamp = time + offset, headers = [], stage = 'json' } = failed
      const bytes = Buffer.from(value)
      const origin = { topic: orders, partition, offset, key, value: bytes, timestamp, headers }
      const record = new StreamRecord(key, bytes, timestamp, headers, origin)
      const error = new WeirError(failed.code ?? 'WEIR_RECORD_INVALID', `validating a record: amount of ${value}`)
      return messageFor({ record, error, flow: 'billing', stage, attempts: 1 }, letters, app)
    }

    const content = ({ partition, key, value, timestamp, headers = [] }: Message) => ({
      partition,
      key: key === null ? null : String(key),
      value: String(value),
      timestamp,
      headers: headers.map((header) => Object.entries(header).map(([name, held]) => `${name}=${String(held)}`)).flat(),
    })

    test('ls counts them by kind and lists the newest; show tells all of one', async () => {
      await shop()
      expect((await dlq('ls')).stdout).toBe('no dead letters\n')
      await produce([
        letter('{"amount":"1"}', 5, { headers: [{ trace: 'abc' }] }),
        letter('{"amount":', 6, { code: 'WEIR_RECORD_MALFORMED', key: 'bob' }),
        letter('{"amount":"3"}', 7, { key: null, partition: 2 }),
      ])
      const listed = await dlq('ls')
      expect(listed.code).toBe(0)
      expect(listed.stdout).toContain('3 letters waiting')
      const lines = listed.stdout.replaceAll(/ +/g, ' ')
      expect(lines).toContain(`\n2 billing json WEIR_RECORD_INVALID ${timeOf(7)}`)
      expect(lines).toContain(`\n1 ${letters}-0@2 ${timeOf(7)} WEIR_RECORD_INVALID – `)
      const few = JSON.parse((await dlq('ls', '--json', '--code', 'WEIR_RECORD_MALFORMED', '--key', 'bob')).stdout)
      expect(few).toMatchObject({
        waiting: 1,
        groups: [{ flow: 'billing', stage: 'json', code: 'WEIR_RECORD_MALFORMED', letters: 1 }],
        letters: [{ number: 1, at: `${letters}-0@1`, from: `${orders}-0@6`, key: 'bob' }],
      })
      for (const filters of [
        ['--flow', 'other'],
        ['--stage', 'map'],
        ['--since', timeOf(60_000)],
        ['--until', timeOf(0)],
      ])
        expect((await dlq('ls', ...filters)).stdout).toBe('no dead letters\n')

      const shown = await dlq('show', `${letters}-0@0`)
      expect(shown.stdout).toContain(`${orders}-0@5`)
      expect(shown.stdout).toContain('JSON, 14 bytes')
      expect(shown.stdout).toContain('{\n  "amount": "1"\n}')
      expect(shown.stdout).toContain('validating a record: amount of {"amount":"1"}')
      expect(shown.stdout).toContain('trace: abc')
      expect((await dlq('show', '2')).stdout).toContain('text, 10 bytes')
      expect(JSON.parse((await dlq('show', '1', '--key', 'ann', '--json')).stdout)).toMatchObject({
        at: `${letters}-0@0`,
        state: 'waiting',
        origin: { topic: orders, partition: 0, offset: 5 },
        value: { format: 'JSON' },
      })
      expect(await dlq('show', `${letters}-0@9`)).toMatchObject({ code: 2 })
      expect(await dlq('show', 'letter')).toMatchObject({ code: 2 })
    })

    test('a record is written again as it was read, once, where it was', async () => {
      await shop()
      const headers = [{ trace: Buffer.from([1]) }]
      await produce([
        letter('{"amount":1}', 5, { partition: 2, headers }),
        letter('{"amount":"2"}', 6, { partition: 1, key: null }),
        letter('{"amount":3}', 7, { partition: 9 }),
      ])
      const dry = await dlq('replay', '--dry-run')
      expect(dry.stdout).toContain(`rejected by 'billing': WEIR_RECORD_INVALID`)
      expect(dry.stdout).toContain("held to 'billing' (json, map) as of now; nothing was written")
      expect(dry.stdout).toContain('3 records would be written')
      expect(await all(orders)).toEqual([])
      const { code, stdout } = await dlq('replay')
      expect(code).toBe(0)
      expect(stdout).toContain('3 records written')
      const written = await soon(3)
      expect(written.map(content)).toEqual(
        expect.arrayContaining([
          {
            partition: 2,
            key: 'ann',
            value: '{"amount":1}',
            timestamp: time + 5,
            headers: ['trace=\u0001', `weir.correlation-id=${orders}-2@5`, 'weir.replays=1'],
          },
          expect.objectContaining({ partition: 1, key: null, value: '{"amount":"2"}' }),
        ]),
      )
      const again = await dlq('replay')
      expect(again.stdout).toContain('replayed before (--again takes it all the same)')
      expect(again.stdout).toContain('0 records written')
      expect((await dlq('ls')).stdout).toContain('3 letters replayed')
      expect((await dlq('show', `${letters}-0@0`)).stdout).toMatch(/state +replayed \S+ to \S+\.orders/)
      await dlq('replay', `${letters}-0@0`, '--again')
      expect((await soon(4)).filter(({ value }) => String(value) === '{"amount":1}')).toHaveLength(2)
    })

    test('what has failed again and again, what is cut, and what was read nowhere stays where it is', async () => {
      await shop()
      const cut = letter('{"amo', 6)
      await produce([
        letter('1', 5, { headers: [{ 'weir.replays': '3' }] }),
        { ...cut, headers: [...cut.headers, { 'weir.cut': 'value' }, { 'weir.value.bytes': '2000000' }] },
        letter('2', -1),
        { ...letter('3', 8), headers: [] },
      ])
      const { stdout } = await dlq('replay')
      expect(stdout).toContain('replayed 3 times, and failed again (--max-attempts 4 takes it)')
      expect(stdout).toContain('cut (value): what is left is not the record')
      expect(stdout).toMatch(/2 +its record was read nowhere: name a topic with --to/)
      expect(stdout).toContain('0 records written')
      expect((await dlq('replay', '--to', `${app}.nowhere`)).code).toBe(2)
      await dlq('replay', '--max-attempts', '4')
      const [first] = await soon(1)
      expect(headerOf((first?.headers ?? []) as never, 'weir.replays')).toBe('4')
      const to = await makeTopic(shared.connection, `${app}.mended`)
      await dlq('replay', '--to', to)
      expect((await soon(2, to)).map(({ value }) => String(value))).toEqual(['2', '3'])
    })

    test('two letters of one record, which a failed epoch leaves, are one replay, whichever is asked for', async () => {
      await shop()
      await produce([letter('1', 5), letter('1', 5), letter('2', 6), letter('2', 6)])
      expect((await dlq('replay', `${letters}-0@1`)).stdout).toContain('1 record written')
      const told = (await dlq('replay')).stdout
      expect(told).toMatch(/2 +another letter of the same record was replayed/)
      expect(told).toContain('1 record written')
      expect((await soon(2)).map(({ value }) => String(value)).sort()).toEqual(['1', '2'])
    })

    test('a transform changes records, leaves some out, and a limit ends it', async () => {
      await shop()
      writeFileSync(
        join(cwd, 'mend.ts'),
        `import type { LetterTransform } from 'weirflow'
        const mend: LetterTransform = (record, { code }) => {
          const { amount } = JSON.parse(String(record.value)) as { amount: string }
          return amount === '2' ? undefined : { ...record, key: 'mended', value: { amount: Number(amount), code } }
        }
        export default mend`,
      )
      await produce([1, 2, 3, 4].map((amount) => letter(`{"amount":"${amount}"}`, amount)))
      const dry = await dlq('replay', '--transform', 'mend.ts', '--dry-run')
      expect(dry.stdout).not.toContain('rejected')
      const { stdout } = await dlq('replay', '--transform', 'mend.ts', '--limit', '2')
      expect(stdout).toContain('1         left out by the transform')
      expect(stdout).toContain('2 records written')
      const written = await soon(2)
      expect(new Set(written.map(({ partition }) => partition)).size).toBe(1)
      expect(written.map(content)).toMatchObject(
        [1, 3].map((amount) => ({ key: 'mended', value: `{"amount":${amount},"code":"WEIR_RECORD_INVALID"}` })),
      )
      expect(await dlq('replay', '--transform', 'none.ts')).toMatchObject({ code: 2 })
      writeFileSync(join(cwd, 'broken.ts'), 'export default () => { throw new Error("no") }')
      const broken = await dlq('replay', '--transform', 'broken.ts')
      expect(broken.code).toBe(1)
      expect(broken.said).toContain(`transforming letter ${letters}-0@1: no`)
      expect(broken.said).toContain('0 records written')
    })

    test.each(foreignLetters())(
      'letters of $by go back to where their records were read',
      async ({ letters: made }) => {
        const about = made.map(({ headers }) => Object.fromEntries(headers.flatMap((header) => Object.entries(header))))
        await shop()
        // Their times are old.
        const config = { 'retention.ms': '-1' }
        // Their headers name it.
        await makeTopic(shared.connection, 'orders', { partitions: 3, config })
        const before = (await all('orders')).length
        const dlt = await makeTopic(shared.connection, `${app}.orders.DLT`, { config })
        await produce(made.map((one) => ({ ...one, topic: dlt, value: Buffer.from(one.value ?? '') })))
        const listed = JSON.parse((await dlq('ls', '--topic', dlt, '--json')).stdout)
        expect(listed.waiting).toBe(made.length)
        const places = listed.letters.map(({ from }: { from: string }) => from)
        expect(places.sort()).toEqual(['orders-1@0', 'orders-2@0'])
        for (const letter of listed.letters) {
          expect(letter.code).toMatch(/(Exception|Error)$/)
          const shown = JSON.parse((await dlq('show', letter.at, '--topic', dlt, '--json')).stdout)
          expect(shown.origin).toMatchObject({ topic: 'orders', offset: 0 })
          expect(shown.message).not.toBe('')
        }
        expect(about.every((headers) => 'trace' in headers)).toBe(true)
        await dlq('replay', '--topic', dlt)
        const written = (await soon(before + made.length, 'orders')).map(content).slice(-made.length)
        expect(written).toEqual(
          expect.arrayContaining([
            expect.objectContaining({
              partition: 1,
              key: 'ann',
              value: '{"amount":"much"}',
              timestamp: 1_700_000_000_001,
            }),
            expect.objectContaining({ partition: 2, key: 'bob', value: 'no object', timestamp: 1_700_000_000_002 }),
          ]),
        )
        // Those of its record, and none that told of its failure.
        for (const { headers } of written)
          expect(headers.map((header) => header.split('=')[0])).toEqual([
            'trace',
            'weir.correlation-id',
            'weir.replays',
          ])
      },
    )

    test('what letters hold is told, and obeyed by no terminal', async () => {
      await shop()
      const binary = '\u001b]0;owned\u0007\u001b[2J\r\b'
      const text = '\u009b31m\u202eevil\u007f'
      const hex = (of: string) => `0x${Buffer.from(of).toString('hex')}`
      const made = letter(`{"amount":"${text}"}`, 5, { key: binary, stage: `${binary}${text}` })
      await produce([
        { ...made, headers: [...made.headers, { [`${binary}${text}`]: binary }, { more: text }] },
        { ...made, key: text, value: Buffer.from(binary) },
      ])
      const commands = [['ls'], ['ls', '--json'], ['show', '1'], ['show', '2', '--json'], ['replay', '--dry-run']]
      for (const argv of [...commands, ['show', '2'], ['show', '1', '--json']]) {
        const { stdout, said } = await dlq(...argv)
        expect(stdout).not.toBe('')
        expect(`${stdout}${said}`.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
      }
      const shown = JSON.parse((await dlq('show', `${letters}-0@0`, '--json')).stdout)
      expect(shown).toMatchObject({ key: hex(binary), stage: `${binary}${text}` })
      expect(JSON.parse(shown.value.text)).toEqual({ amount: text })
      expect(shown.headers).toContainEqual({ name: `${binary}${text}`, value: hex(binary) })
      expect(shown.headers).toContainEqual({ name: 'more', value: text })
      expect(JSON.parse((await dlq('show', `${letters}-0@1`, '--json')).stdout)).toMatchObject({ key: text })
    })

    test('records go through one flow alone, by its retry topic', async () => {
      await shop()
      const text = readFileSync(join(cwd, `${app}.config.ts`), 'utf8')
      expect(await dlq('replay', '--through', 'billing')).toMatchObject({ code: 2 })
      const retried = text
        .replace('map }', 'map, retry }')
        .replace('(order: any) => order', "(order: any) => order, { onError: retry({ tiers: ['1m'] }) }")
        .replace('flows:', "checkpoints: 'kafka', flows:")
      writeFileSync(join(cwd, `${app}-retry.config.ts`), retried)
      const through = (flow: string, ...more: string[]) =>
        weirIn(cwd, ['dlq', 'replay', '--through', flow, ...more, '--config', `${app}-retry.config.ts`])
      const tier = await makeTopic(shared.connection, `${app}.billing.retry.1m`, { partitions: 3 })
      await produce([
        letter('{"amount":1}', 5, { partition: 2, headers: [{ trace: 'abc' }] }),
        letter('{"amount":"2"}', 6),
      ])
      expect(await through('nobody')).toMatchObject({ code: 2 })
      expect(await through('billing', '--to', orders)).toMatchObject({ code: 2 })
      const dry = (await through('billing', '--dry-run')).stdout
      expect(dry).toContain(`rejected by 'billing': WEIR_RECORD_INVALID`)
      expect((await through('billing', `${letters}-0@0`)).stdout).toContain('1 record written')
      const [written] = await soon(1, tier)
      const { headers = [], value, key } = written as Message
      expect([String(key), String(value)]).toEqual(['ann', '{"amount":1}'])
      expect(headerOf(headers as never, 'trace')).toBe('abc')
      const facts = JSON.parse(headerOf(headers, 'weir.retry') ?? '')
      expect(facts).toMatchObject({ topic: orders, partition: 2, offset: 5, timestamp: time + 5, attempts: 0 })
      expect(facts.due).toBeLessThanOrEqual(Date.now())
      expect(await all(orders)).toEqual([])
    })

    test('drop says what it drops, and marks it', async () => {
      await shop()
      await produce([letter('1', 5), letter('2', 6, { key: 'bob' })])
      const asked = await dlq('drop', '--key', 'bob')
      expect(asked).toMatchObject({ code: 2 })
      expect(asked.said).toContain('1 letter to drop')
      expect(asked.said).toContain('say it with --yes')
      expect((await dlq('drop', '--key', 'bob', '--yes')).stdout).toContain('1 letter marked as dropped')
      expect((await dlq('ls')).stdout).toContain('1 letter waiting, 1 letter dropped (--all shows them)')
      expect((await dlq('drop', '--key', 'bob', '--yes')).stdout).toContain('0 letters to drop')
      expect((await dlq('replay')).stdout).toContain('1 record written')
      expect((await soon(1)).map(({ value }) => String(value))).toEqual(['1'])
    })

    test('a topic of letters that was made anew begins without marks', async () => {
      await shop()
      await produce([letter('1', 5)])
      await dlq('replay')
      await soon(1)
      const client = new (await import('@confluentinc/kafka-javascript')).default.Producer({
        'metadata.broker.list': shared.server.bootstrap,
      })
      await call((done) => client.connect({}, done as never))
      const admin = (await import('@confluentinc/kafka-javascript')).default.AdminClient.createFrom(client)
      await call((done) => admin.deleteTopic(letters, 60_000, done as never))
      await vi.waitFor(async () => expect(await extentOf(shared.connection, letters)).toEqual([]), { timeout: 60_000 })
      await makeTopic(shared.connection, letters)
      client.disconnect()
      await produce([letter('2', 6)])
      expect((await dlq('ls')).stdout).toContain('1 letter waiting')
      await dlq('replay')
      expect((await soon(2)).map(({ value }) => String(value)).sort()).toEqual(['1', '2'])
    })

    test('letters of old records, which have their times, outlive the retention of topics', async () => {
      await shop()
      const old = letter('1', 5, { timestamp: Date.parse('2020-01-31') })
      const sink = new KafkaDeadLetters(shared.connection, `${app}.old`)
      await lastValueFrom(sink.open(), { defaultValue: undefined })
      await produce([old, { ...old, topic: `${app}.old` }])
      await vi.waitFor(async () => expect(await extentOf(shared.connection, letters)).toMatchObject([{ start: 1 }]), {
        timeout: 60_000,
        interval: 200,
      })
      expect(await all(`${app}.old`)).toHaveLength(1)
      await lastValueFrom(sink.close(), { defaultValue: undefined })
    })

    const count = 10_000

    /** Replays in a process of its own, whose transform waits at one record until a file is there. */
    function hanging(at: number): ChildProcess {
      writeFileSync(
        join(cwd, `${app}.hang.ts`),
        `import { existsSync } from 'node:fs'
        let seen = 0
        export default async (record: object) => {
          if (++seen === ${at}) console.error('waiting')
          while (seen >= ${at} && !existsSync('${app}.go')) await new Promise((resolve) => setTimeout(resolve, 20))
          return record
        }`,
      )
      const argv = [command, 'dlq', 'replay', '--transform', `${app}.hang.ts`, '--config', `${app}.config.ts`]
      const child = spawn(process.execPath, argv, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      return child
    }

    const said = (child: ChildProcess, text: string) =>
      new Promise<void>((resolve, reject) => {
        let all = ''
        const heard = (data: unknown) => {
          all += String(data)
          if (all.includes(text)) resolve()
        }
        child.stdout?.on('data', heard)
        child.stderr?.on('data', heard)
        // Behind all that it has said.
        child.once('close', (code) => reject(new Error(`it ended with ${code}: ${all}`)))
      })

    test('of 10,000 letters whose replay is killed halfway each is replayed once', async () => {
      await shop()
      await produce(
        Array.from({ length: count }, (_, index) =>
          letter(String(index), index, { partition: index % 3, key: `${index}` }),
        ),
      )
      const killed = hanging(5_500)
      await said(killed, 'waiting')
      killed.kill('SIGKILL')
      await new Promise((resolve) => killed.once('exit', resolve))
      // What was in the last transaction has not happened.
      const rest = await dlq('replay')
      const before = Number(/^([\d,]+) +replayed before/m.exec(rest.stdout)?.[1]?.replaceAll(',', ''))
      expect(before).toBeGreaterThan(0)
      expect(before).toBeLessThan(5_500)
      expect(rest.stdout).toContain(`${(count - before).toLocaleString('en')} records written`)
      const values = (await soon(count)).map(({ value }) => Number(String(value)))
      expect(new Set(values).size).toBe(count)
      const marks = new LetterMarks(shared.connection, letters)
      await marks.read(await extentOf(shared.connection, letters))
      expect(Array.from({ length: count }, (_, offset) => marks.of({ partition: 0, offset })).every(Boolean)).toBe(true)
    })

    test('of two replays at once the first can write no more', async () => {
      await shop()
      await produce(Array.from({ length: 100 }, (_, index) => letter(String(index), index)))
      const first = hanging(50)
      await said(first, 'waiting')
      expect((await dlq('replay')).stdout).toContain('100 records written')
      const ended = new Promise((resolve) => first.once('exit', resolve))
      const told = said(first, '0 records written, each marked')
      writeFileSync(join(cwd, `${app}.go`), '')
      await told
      expect(await ended).toBe(1)
      expect(await soon(100)).toHaveLength(100)
    })
  },
)
