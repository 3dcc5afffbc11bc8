import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { type ClientSettings, codes } from '../../src/kafka/client.js'
import { BrokerConnection } from '../../src/kafka/fetch/connection.js'
import { laneSettings } from '../../src/kafka/fetch/lane-settings.js'
import { fetch } from '../../src/kafka/fetch/protocol/fetch.js'
import { metadata } from '../../src/kafka/fetch/protocol/metadata.js'
import { answering, answerTo, FakeBroker, keys, type Manner } from '../support/fake-broker.js'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function broker(manners: Readonly<Record<number, Manner>> = {}): Promise<FakeBroker> {
  const started = await FakeBroker.start()
  closing.push(() => started.close())
  return Object.assign(started, { manners: { ...manners } })
}

function connectionTo(address: { port: number }, client: ClientSettings = {}): BrokerConnection {
  const settings = laneSettings({ 'metadata.broker.list': `127.0.0.1:${address.port}`, 'client.id': 'test', ...client })
  const connection = new BrokerConnection(settings.brokers[0]!, settings)
  closing.push(() => connection.close())
  return connection
}

async function connected(address: { port: number }, client?: ClientSettings) {
  const connection = connectionTo(address, client)
  await connection.connect()
  return connection
}

const topicsOf = (connection: BrokerConnection, topic = 'topic', timeoutMs = 5_000) =>
  connection.request(metadata, { topics: [topic] }, timeoutMs).then(({ topics }) => topics.map((one) => one.topic))

const silence: Manner = () => undefined
/** Says what was asked for. */
const echo: Manner = (question) => question.socket.write(echoed(question))
const echoed = ({ id, body }: { id: number; body: Buffer }, more = '') =>
  answerTo(id, (to) => {
    to.int32(0)
    to.array([], () => undefined)
    to.string(null)
    to.int32(-1)
    to.array([body.toString('utf8', 6, 6 + body.readInt16BE(4)) + more], (topic) => {
      to.int16(3)
      to.string(topic)
      to.bool(false)
      to.array([], () => undefined)
    })
  })

describe('a connection to a broker', () => {
  test('has its questions answered, several of which are on their way at once', async () => {
    const held: Buffer[] = []
    const fake = await broker({
      [keys.metadata]: (question) => {
        held.push(echoed(question))
        if (held.length === 3) question.socket.write(Buffer.concat(held))
      },
    })
    const connection = await connected(fake)
    const answers = await Promise.all(['a', 'b', 'c'].map((topic) => topicsOf(connection, topic)))
    expect(answers).toEqual([['a'], ['b'], ['c']])
    expect(fake.asked).toEqual([keys.versions, keys.versions, 3, 3, 3])
    expect(fake.questions.slice(2).map(({ version, id }) => [version, id])).toEqual([3, 4, 5].map((id) => [7, id]))
  })

  test.each([1, 3, 7, 1_000])('puts answers together that come in pieces of %s bytes', async (size) => {
    const fake = await broker({
      [keys.metadata]: async (question) => {
        fake.manners[keys.metadata] = silence
        const next = { ...question, id: question.id + 1 }
        const bytes = Buffer.concat([echoed(question, 'x'.repeat(3_000)), echoed(next)])
        for (let at = 0; at < bytes.length; at += size) {
          question.socket.write(bytes.subarray(at, at + size))
          // So that pieces are apart on their way, at the beginning at least.
          if (at < 100 || size > 100) await sleep(1)
        }
      },
    })
    const connection = await connected(fake)
    const [long, next] = await Promise.all([topicsOf(connection, 'long'), topicsOf(connection, 'next')])
    expect(long[0]).toHaveLength(3_004)
    expect(next).toEqual(['long'])
  })

  const mostBytes = { 'receive.message.max.bytes': 10_000 }
  const number = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(value)
    return bytes
  }
  const lies: [string, Manner, number, RegExp][] = [
    ['of a length that is too large', ({ socket }) => socket.write(number(10_001)), codes.badMessage, /10001 bytes/],
    ['of a negative length', ({ socket }) => socket.write(number(-1)), codes.badMessage, /of -1 bytes/],
    ['of no length', ({ socket }) => socket.write(Buffer.alloc(400)), codes.badMessage, /of 0 bytes/],
    ['of other words', ({ socket }) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), codes.badMessage, /Kafka/],
    [
      'to another question',
      (question) => question.socket.write(echoed({ ...question, id: 77 })),
      codes.badMessage,
      /answered question 77, where \d+ was next/,
    ],
    [
      'that ends too early',
      ({ id, socket }) => socket.write(answerTo(id, (to) => to.int32(0))),
      codes.badMessage,
      /ends before/,
    ],
    [
      'that is cut in the middle',
      (question) => question.socket.end(echoed(question).subarray(0, 20)),
      codes.transport,
      /closed by peer/,
    ],
    ['that is a reset', ({ socket }) => socket.resetAndDestroy(), codes.transport, /ECONNRESET|closed by peer/],
    ['that never comes', () => undefined, codes.timedOut, /no answer to Metadata in 300 ms/],
    [
      'that stops half way',
      (question) => question.index === 3 && question.socket.write(echoed(question).subarray(0, 20)),
      codes.timedOut,
      /no answer to Metadata in 300 ms/,
    ],
  ]

  test.each(lies)('is lost by an answer %s, and all that was asked fails', async (_, manner, code, message) => {
    const fake = await broker({ [keys.metadata]: echo })
    const connection = await connected(fake, mostBytes)
    await topicsOf(connection)
    fake.manners[keys.metadata] = manner
    const lost: unknown[] = []
    connection.onLost = (error) => lost.push(error)
    const answers = await Promise.allSettled([
      connection.request(metadata, { topics: ['topic'] }, code === codes.timedOut ? 300 : 30_000),
      connection.request(metadata, { topics: ['topic'] }, 30_000),
    ])
    const error = expect.objectContaining({ code, message: expect.stringMatching(message), broker: fake.bootstrap })
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(answers[0]).toMatchObject({ reason: error })
    expect(lost).toEqual([error])
    expect(connection.isOpen).toBe(false)
    await expect(topicsOf(connection)).rejects.toEqual(error)
    await expect.poll(() => fake.open).toBe(0)
  })

  test('is lost by an answer that nobody asked for', async () => {
    const fake = await broker({
      [keys.metadata]: (question) => question.socket.write(Buffer.concat([echoed(question), echoed(question)])),
    })
    const connection = await connected(fake)
    expect(await topicsOf(connection)).toEqual(['topic'])
    await expect.poll(() => connection.isOpen).toBe(false)
  })

  test('has what is late answered in time', async () => {
    const fake = await broker({ [keys.metadata]: (question) => sleep(400).then(() => echo(question)) })
    const connection = await connected(fake)
    expect(await topicsOf(connection)).toEqual(['topic'])
    expect(connection.isOpen).toBe(true)
  })

  test('fails what is asked when it is closed, and tells nobody that it was lost', async () => {
    const fake = await broker({ [keys.metadata]: () => undefined })
    const connection = await connected(fake)
    connection.onLost = () => expect.fail('it was closed')
    const asked = topicsOf(connection)
    connection.close()
    await expect(asked).rejects.toMatchObject({ message: 'the connection was closed' })
    await expect.poll(() => fake.open).toBe(0)
  })

  const spoken = (...apis: (readonly [number, number, number])[]): Manner =>
    answering((to, { version }) => {
      to.int16(version === 0 ? 0 : 35)
      to.array(apis, (numbers) => numbers.forEach((number) => to.int16(number)))
    })

  test('speaks the newest version that both know, and says so where there is none', async () => {
    const fake = await broker({ [keys.versions]: spoken([3, 0, 12], [1, 0, 10]), [keys.metadata]: echo })
    const connection = await connected(fake)
    expect(await topicsOf(connection)).toEqual(['topic'])
    const nothing = { maxWaitMs: 0, minBytes: 0, maxBytes: 1, rack: '', topics: [] }
    await expect(connection.request(fetch, nothing, 1_000)).rejects.toMatchObject({
      code: codes.badMessage,
      message: 'of Fetch it speaks 0 to 10, and this process 11 to 12',
    })
    expect(await topicsOf(connection)).toEqual(['topic'])
  })

  const strangers: [string, Manner, ClientSettings, number, RegExp][] = [
    [
      'is silent',
      silence,
      { 'socket.connection.setup.timeout.ms': 300 },
      codes.timedOut,
      /nothing came of it in 300 ms/,
    ],
    ['hangs up at the first word', ({ socket }) => socket.end(), {}, codes.hungUp, /closed.*requesting ApiVersion/],
    [
      'answers in TLS',
      ({ socket }) => socket.end(Buffer.from('15030300020246', 'hex')),
      {},
      codes.ssl,
      /connecting to a SSL listener/,
    ],
  ]

  test.each(strangers)('tells of one that %s', async (_, manner, client, code, message) => {
    const fake = await broker({ [keys.versions]: manner })
    const error = { code, message: expect.stringMatching(message), broker: fake.bootstrap }
    await expect(connected(fake, client)).rejects.toMatchObject(error)
    await expect.poll(() => fake.open).toBe(0)
  })

  test('tells of one that hangs up at the first question, as one does that wants a login', async () => {
    const fake = await broker({ [keys.metadata]: ({ socket }) => socket.end() })
    const error = { code: codes.hungUp, message: expect.stringMatching(/in state UP/) }
    await expect(connected(fake).then((connection) => topicsOf(connection))).rejects.toMatchObject(error)
  })

  test('tells where nobody is', async () => {
    const fake = await broker()
    const { port } = fake
    await fake.close()
    closing.pop()
    const error = { code: codes.transport, message: expect.stringMatching(/ECONNREFUSED/) }
    await expect(connected({ port })).rejects.toMatchObject(error)
  })

  test('is closed while it is made', async () => {
    const fake = await broker({ [keys.versions]: silence })
    const connection = connectionTo(fake)
    const connecting = connection.connect()
    await expect.poll(() => fake.asked).toEqual([keys.versions])
    connection.close()
    await expect(connecting).rejects.toMatchObject({ message: 'the connection was closed' })
    await expect.poll(() => fake.open).toBe(0)
  })
})
