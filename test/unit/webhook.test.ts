import type { ServerResponse } from 'node:http'
import { concat, lastValueFrom, NEVER, type Observable } from 'rxjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { compile, defineConfig, flow, generate, printTopology, secret, webhook } from '../../src/index.js'
import { Batch, describeError, StreamRecord, silentLogger, systemClock, type WeirError } from '../../src/model/index.js'
import { Ids } from '../../src/sinks/webhook/ids.js'
import { Signature } from '../../src/sinks/webhook/signature.js'
import { webhookSink } from '../../src/sinks/webhook.js'
import { MemoryCheckpoints } from '../../src/state/index.js'
import { testRecord } from '../../src/testing/index.js'
import { SinkHarness } from '../contracts/sink-harness.js'
import { batchOf, recordsOf } from '../contracts/sinks.contract.js'
import { cut, half, isSigned, never, Receiver, status, twice } from '../support/receiver.js'

const whsec = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

let receiver: Receiver
beforeAll(async () => {
  receiver = await Receiver.start()
})
beforeEach(() => receiver.reset())
afterAll(() => receiver.close())

function open(options: Readonly<Record<string, unknown>> = {}): SinkHarness {
  return new SinkHarness({
    definition: webhookSink,
    connection: { address: 'none', close: () => Promise.resolve() },
    checkpoints: new MemoryCheckpoints(),
    options: { url: receiver.url, timeout: 5_000, retries: 2, ...options },
    joins: false,
  })
}

/** Posts an epoch of these records. */
async function post(records$: Observable<StreamRecord>, options: Readonly<Record<string, unknown>> = {}) {
  const harness = open(options)
  await harness.open()
  await lastValueFrom(harness.epoch(records$), { defaultValue: undefined })
  return harness
}

const ids = () => receiver.received.map(({ headers }) => headers['webhook-id'])
const bodies = () => receiver.received.map(({ body }) => JSON.parse(body) as unknown)
const refusal = (epoch: Promise<unknown>) =>
  epoch.then(
    () => undefined,
    (error: unknown) => error as WeirError,
  )

describe('a request', () => {
  test('has the headers of Standard Webhooks, and of what it was made of', async () => {
    const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`
    const record = testRecord(
      { a: 1 },
      { headers: [{ traceparent }, { tracestate: 'a=1' }, { 'weir.correlation-id': 'c-1' }] },
    )
    const before = Math.floor(Date.now() / 1_000)
    await post(concat([record]), { secret: whsec })
    const [{ path, headers, body } = never as never] = receiver.received
    expect([path, body]).toEqual(['/hook', '{"a":1}'])
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': '7',
      'webhook-id': expect.stringMatching(/^msg_[\w-]{32}$/),
      'idempotency-key': headers['webhook-id'],
      'x-correlation-id': 'c-1',
      traceparent,
      tracestate: 'a=1',
    })
    expect(Number(headers['webhook-timestamp'])).toBeGreaterThanOrEqual(before)
  })

  test('is signed as the example of the specification is', () => {
    // https://github.com/standard-webhooks: the secret, id, time and body of its libraries' tests.
    const headers = new Signature([whsec]).headersOf(
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      Buffer.from('{"test": 2432232314}'),
      1_614_265_330_000,
    )
    expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  })

  test('is signed by each secret while one takes the place of another, and by none without', async () => {
    await post(recordsOf([1]), { secret: [whsec, other] })
    await post(recordsOf([1]))
    const [signed, bare] = receiver.received as [never, never]
    expect([isSigned(signed, whsec), isSigned(signed, other)]).toEqual([true, true])
    expect((bare as { headers: object }).headers).not.toHaveProperty('webhook-signature')
  })

  test('has the time of its own try, and a signature that fits that', async () => {
    receiver.next((response) => void setTimeout(() => response.writeHead(503).end(), 200))
    await post(recordsOf([1]), { secret: whsec })
    expect(receiver.received.map((one) => isSigned(one, whsec))).toEqual([true, true])
    expect(new Set(ids()).size).toBe(1)
  })

  test('has further headers, which may say another type, and a login from the URL', async () => {
    const url = receiver.url.replace('//', '//ann:s%20cret@')
    await post(recordsOf([1]), { url, headers: { 'Content-Type': 'application/x+json', 'X-Team': 'data' } })
    expect(receiver.received[0]?.headers).toMatchObject({
      'content-type': 'application/x+json',
      'x-team': 'data',
      authorization: `Basic ${Buffer.from('ann:s cret').toString('base64')}`,
    })
  })

  test('carries what `body` makes, and is known by what `id` makes, if a header takes that', async () => {
    const id = (text: string) => text
    const body = (text: string) => ({ text })
    await post(recordsOf(['plain-1', 'with.stop', 'plain-1']), { id, body, concurrency: 1 })
    expect(bodies()).toEqual([{ text: 'plain-1' }, { text: 'with.stop' }, { text: 'plain-1' }])
    expect(ids()).toEqual(['plain-1', expect.stringMatching(/^msg_/), 'plain-1'])
  })
})

describe('what a request is known by', () => {
  test('is the same when the epoch is read again, and another for each record of one place', async () => {
    const both = [testRecord('a'), testRecord('b'), testRecord('c', { offset: 1 })]
    await post(concat(both), { concurrency: 1 })
    await post(concat(both), { concurrency: 1 })
    const [first, again] = [ids().slice(0, 3), ids().slice(3)]
    expect(new Set(first).size).toBe(3)
    expect(again).toEqual(first)
  })

  test('is another one for each result of many records, which have no place, and the same when that is read again', async () => {
    const result = (key: string | null, endsAt: number, value: unknown) =>
      new StreamRecord(key, value, endsAt, [], { topic: 'counts', partition: -1, offset: -1 })
    const results = [result('ann', 1_000, 1), result('ann', 2_000, 1), result('bob', 2_000, 1), result('bob', 2_000, 2)]
    for (const one of results) await post(concat([one]))
    await post(concat(results), { concurrency: 1 })
    const [each, again] = [ids().slice(0, 4), ids().slice(4)]
    expect(new Set(each).size).toBe(4)
    expect(again).toEqual(each)
  })

  test('is another one in another flow', () => {
    const idIn = (flow: string) => new Ids({ app: 'app', flow, stage: 'webhook.sink' }, undefined).of(testRecord(1))
    expect(idIn('one')).not.toBe(idIn('other'))
  })

  test('an `id` that is no text is the fault of its record', async () => {
    const { rejected } = await post(recordsOf([1, 2]), { id: (value: number) => (value === 1 ? undefined : 'x') })
    expect(rejected.map(({ record }) => record.value)).toEqual([1])
    expect(bodies()).toEqual([2])
  })
})

describe('what is tried again', () => {
  test.each([
    ['500', status(500)],
    ['503', status(503)],
    ['408', status(408)],
    ['425', status(425)],
    ['429 without a time', status(429)],
    ['a connection that is cut', cut],
    ['half of a head', half('head')],
    ['half of a body of 500', half('body', 500)],
    ['no answer', never],
    ['a redirect', status(307, { location: '/elsewhere' })],
  ])('%s, then 204', async (_, manner) => {
    receiver.next(manner)
    const { rejected } = await post(recordsOf([1]), { timeout: manner === never ? 1_000 : 5_000 })
    expect(rejected).toEqual([])
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hook', '/hook'])
    expect(new Set(ids()).size).toBe(1)
  })

  test.each([
    ['two answers at once', twice],
    ['half of a body of 200', half('body', 200)],
  ])('%s: it was taken, and what follows is', async (_, manner) => {
    receiver.next(manner)
    await post(recordsOf([1, 2, 3]), { concurrency: 1 })
    expect([...new Set(bodies())]).toEqual([1, 2, 3])
    expect(new Set(ids()).size).toBe(3)
  })

  test('a body that goes on for ever is read no further than it has to be', async () => {
    receiver.next((response) => {
      response.writeHead(200)
      const piece = Buffer.alloc(65_536, 'x')
      const more = () => {
        while (response.write(piece)) if (response.destroyed) return
      }
      response.on('drain', more)
      more()
    })
    await post(recordsOf([1, 2]), { concurrency: 1 })
    expect(bodies()).toEqual([1, 2])
  })

  test.each([
    ['500', status(500), 'WEIR_SINK_FAILED'],
    ['a redirect', status(301, { location: '/elsewhere' }), 'WEIR_SINK_FAILED'],
    ['no answer', never, 'WEIR_SINK_UNREACHABLE'],
    ['no connection', cut, 'WEIR_SINK_UNREACHABLE'],
  ])('%s for good ends the epoch with an error to retry, after so many tries', async (_, manner, code) => {
    receiver.always(manner)
    const error = await refusal(post(recordsOf([1]), { timeout: manner === never ? 300 : 5_000 }))
    expect(error).toMatchObject({ code, remedy: 'retry', culprit: 'system' })
    expect(receiver.received).toHaveLength(3)
  })

  test('nobody who listens', async () => {
    const gone = await Receiver.start()
    const { url } = gone
    await gone.close()
    const error = await refusal(post(recordsOf([1]), { url, retries: 0 }))
    expect(error).toMatchObject({ code: 'WEIR_SINK_UNREACHABLE', message: expect.stringContaining('ECONNREFUSED') })
  })

  test('while it does, the flow is in trouble, and no longer when it was taken', async () => {
    const { task, context } = taskOf({ retries: 5 })
    let answer = () => {}
    receiver.next(status(500), (response) => (answer = () => void response.writeHead(500).end()))
    const done = lastValueFrom(task.write(recordsOf([1])), { defaultValue: undefined })
    await expect
      .poll(() => task.trouble?.()?.message)
      .toBe(`posting to ${new URL(receiver.url).origin}: it answered 500`)
    await expect.poll(() => receiver.received.length).toBe(2)
    answer()
    await done
    expect(task.trouble?.()).toBe(undefined)
    expect(context.warned.filter((line) => line.includes('trying again'))).toHaveLength(2)
  })
})

describe('Retry-After', () => {
  test.each([
    ['in seconds', () => ({ 'retry-after': '1' })],
    [
      'as a date of its own clock, which is wrong',
      () => ({ date: 'Tue, 01 Jan 2019 00:00:00 GMT', 'retry-after': 'Tue, 01 Jan 2019 00:00:01 GMT' }),
    ],
  ])('%s is waited for, by those behind as well', async (_, headers) => {
    receiver.next(status(429, headers()))
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    const records = keys.map((key, offset) => testRecord(key, { key, offset }))
    await post(concat(records), { concurrency: 1 })
    const [first, ...later] = receiver.received.map(({ at }) => at) as [number, ...number[]]
    expect(later).toHaveLength(6)
    expect(Math.min(...later) - first).toBeGreaterThan(950)
  })

  test('that asks for a day is waited for no longer than may be', async () => {
    receiver.next(status(503, { 'retry-after': '86400' }))
    await post(recordsOf([1]), { longestPause: 400 })
    const [first = 0, second = 0] = receiver.received.map(({ at }) => at)
    expect(second - first).toBeGreaterThan(390)
  })

  test('a pause holds in the next epoch, if this one fails', async () => {
    receiver.next(status(429, { 'retry-after': '1' }))
    const { task } = taskOf({ retries: 0 })
    await expect(lastValueFrom(task.write(recordsOf([1])))).rejects.toMatchObject({ code: 'WEIR_SINK_FAILED' })
    await lastValueFrom(task.write(recordsOf([1])), { defaultValue: undefined })
    const [first = 0, second = 0] = receiver.received.map(({ at }) => at)
    expect(second - first).toBeGreaterThan(950)
  })
})

describe('what is the fault of a record', () => {
  test.each([400, 401, 404, 410, 413, 422])('%d is not tried again, and rejects it', async (code) => {
    receiver.next(status(code, {}, '{"error":"no such\nfield"}'))
    const { rejected } = await post(recordsOf(['a', 'b']), { concurrency: 1 })
    expect(bodies()).toEqual(['a', 'b'])
    expect(rejected.map(({ record, error }) => [record.value, error.code])).toEqual([['a', 'WEIR_RECORD_REFUSED']])
    const { origin } = new URL(receiver.url)
    expect(rejected[0]?.error.message).toBe(
      `posting to ${origin}: it answered ${code}: {"error":"no such\\u000afield"}`,
    )
  })

  test('a body that is too large is not sent', async () => {
    const { rejected } = await post(recordsOf(['x'.repeat(99), 'y']), { maxBytes: 100 })
    expect(rejected.map(({ error }) => error.code)).toEqual(['WEIR_RECORD_TOO_LARGE'])
    expect(bodies()).toEqual(['y'])
  })

  test('of a batch that is refused only those are rejected that are at fault', async () => {
    receiver.always((response, { body }) => response.writeHead(/bad/.test(body) ? 400 : 200).end())
    const values = ['a', 'bad', 'b', 'c', 'd', 'bad', 'e']
    const { rejected } = await post(recordsOf([batchOf(values)]), { each: 'batch' })
    expect(rejected.map(({ record }) => record.origin.offset)).toEqual([1, 5])
    const taken = bodies().filter((body) => !JSON.stringify(body).includes('bad'))
    expect(taken.flat()).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('a batch that is too large goes in parts', async () => {
    await post(recordsOf([batchOf(['x'.repeat(40), 'y'.repeat(40), 'z'.repeat(40)])]), { each: 'batch', maxBytes: 100 })
    expect(bodies().map((body) => (body as string[]).map(([letter]) => letter))).toEqual([['x', 'y'], ['z']])
  })
})

describe('order and number', () => {
  test('those of a key follow each other, and not more than so many run at once', async () => {
    receiver.always((response) => void setTimeout(() => response.writeHead(204).end(), 1 + Math.random() * 4))
    const records = Array.from({ length: 300 }, (_, offset) => {
      const key = `k${offset % 17}`
      return testRecord({ key, offset }, { key, offset })
    })
    await post(concat(records), { concurrency: 5 })
    const seen = new Map<string, number>()
    for (const { key, offset } of bodies() as { key: string; offset: number }[]) {
      expect(offset).toBeGreaterThan(seen.get(key) ?? -1)
      seen.set(key, offset)
    }
    expect(receiver.received).toHaveLength(300)
    expect(receiver.mostAtOnce).toBeGreaterThan(1)
    expect(receiver.mostAtOnce).toBeLessThanOrEqual(5)
  })

  test('a key whose record is tried again holds its own up, and no other lane', async () => {
    receiver.always((response, { body }) => response.writeHead(body === '"a1"' && ids().length < 4 ? 500 : 204).end())
    const records = ['a1', 'a2', 'b1', 'b2', 'c1', 'd1', 'e1', 'f1'].map((value, offset) =>
      testRecord(value, { key: value[0] ?? '', offset }),
    )
    await post(concat(records), { retries: 9 })
    const values = bodies() as string[]
    expect(values.lastIndexOf('a1')).toBeLessThan(values.indexOf('a2'))
    expect([...new Set(values)].sort()).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'd1', 'e1', 'f1'])
  })

  test('records without a key are spread', async () => {
    const waiting: ServerResponse[] = []
    receiver.always((response) => {
      // As many as come at once, and whoever comes too many.
      if (waiting.push(response) % 4 === 0)
        setTimeout(() => {
          for (const held of waiting.splice(0)) held.writeHead(204).end()
        }, 50)
    })
    await post(concat(Array.from({ length: 8 }, (_, offset) => testRecord(offset, { offset }))))
    expect(receiver.mostAtOnce).toBe(4)
  })

  test('connections are kept', async () => {
    await post(recordsOf(Array.from({ length: 50 }, (_, index) => index)))
    expect(receiver.sockets.size).toBeLessThanOrEqual(2)
  })

  test('a batch is one request, an array, and so is a single value beside it', async () => {
    await post(recordsOf([batchOf([1, 2, 3]), 4, new Batch()]), { each: 'batch' })
    expect(bodies()).toEqual([[1, 2, 3], [4]])
    expect(new Set(ids()).size).toBe(2)
  })

  test('an epoch that is left gives its request up', async () => {
    receiver.always(never)
    const harness = open({ timeout: 60_000 })
    await harness.open()
    const closed = new Promise((resolve) => receiver.always((response) => void response.once('close', resolve)))
    const left = harness.epoch(concat(recordsOf([1]), NEVER)).subscribe()
    await expect.poll(() => receiver.received.length).toBe(1)
    left.unsubscribe()
    await closed
  })
})

describe('secrets', () => {
  const url = () => `${receiver.url}/T0000/B1111/verysecrettoken?key=anothersecret`
  const hidden = /verysecrettoken|anothersecret|B1111|Bearer abcdef|abcdefgh/

  test('are in no error, no log and no dead letter, whatever the receiver repeats', async () => {
    const echo = (code: number) =>
      receiver.next((response, { path, headers }) =>
        response.writeHead(code).end(`no ${path}; ${String(headers.authorization)}`),
      )
    const { task, context } = taskOf({ url: url(), headers: { authorization: 'Bearer abcdefgh' }, retries: 1 })
    echo(500)
    echo(422)
    await lastValueFrom(task.write(recordsOf([1])), { defaultValue: undefined })
    echo(500)
    echo(500)
    const error = await refusal(lastValueFrom(task.write(recordsOf([2]))))
    const told = [...context.warned, ...context.rejected.map(describeError), describeError(error)]
    expect(told).toHaveLength(4)
    for (const text of told) expect(text).not.toMatch(hidden)
    expect(told[0]).toContain('it answered 500: no [secret]; [secret]')
  })

  test('are in no graph, nor in what is told of options that do not hold', () => {
    const declared = (options: object) =>
      defineConfig({
        app: 'app',
        checkpoints: 'memory',
        connections: {},
        flows: { told: flow(generate({ rate: 1, value: () => 1 }), webhook.sink({ url: url(), ...options })) },
      })
    expect(printTopology(compile(declared({}), { environment: {} }))).toContain(new URL(receiver.url).origin)
    expect(printTopology(compile(declared({}), { environment: {} }))).not.toMatch(hidden)
    const faults = [
      { secret: 'whsec_verysecrettoken!' },
      { headers: { 'webhook-id': 'anothersecret' } },
      { url: 'verysecrettoken' },
    ]
    for (const fault of faults) {
      const told = refused(() => compile(declared(fault), { environment: {} }))
      expect(told).toMatch(/secret|headers|url/)
      expect(told).not.toMatch(hidden)
    }
  })

  test.each([
    ['too short', Buffer.alloc(23).toString('base64')],
    ['too long', Buffer.alloc(65).toString('base64')],
    ['no base64', 'whsec_not base64 but long enough, I would say'],
  ])('a secret that is %s is refused', (_, text) => {
    expect(webhookSink.options.safeParse({ url: receiver.url, secret: text }).success).toBe(false)
  })

  test('may come from the environment', () => {
    const sink = webhook.sink({ url: secret('HOOK_URL'), secret: secret('HOOK_SECRET').optional() })
    expect(sink.definition.name).toBe('webhook.sink')
  })
})

test('its metrics tell answers by their kind', async () => {
  const { task } = taskOf({})
  receiver.next(status(500), status(429), status(200), status(404), status(302))
  await lastValueFrom(task.write(recordsOf([1, 2, 3])), { defaultValue: undefined })
  const counts = task.metrics?.().map(({ labels, value }) => [labels?.['answer'], value])
  expect(Object.fromEntries(counts as [string, number][])).toEqual({
    '2xx': 2,
    '3xx': 1,
    '4xx': 1,
    '429': 1,
    '5xx': 1,
    none: 0,
  })
})

function taskOf(options: Readonly<Record<string, unknown>>) {
  const context = { warned: [] as string[], rejected: [] as unknown[] }
  const given = webhookSink.options.parse({ url: receiver.url, timeout: 5_000, retries: 2, ...options })
  const task = webhookSink.build(given, {
    app: 'app',
    flow: 'flow',
    stage: 'webhook.sink',
    clock: systemClock,
    log: { ...silentLogger, warn: (...args: unknown[]) => void context.warned.push(String(args.at(-1))) },
    reject: (_: unknown, error: unknown) => void context.rejected.push(error),
  } as never)
  return { task, context }
}

function refused(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return describeError(error)
  }
  throw new Error('it was not refused')
}
