import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { compile } from '../../src/engine/index.js'
import { flow, kafka as kafkaOf } from '../../src/index.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { selfSigned } from '../support/certificates.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, Member, openSink, recordOf, sinkOf, sourceOf, writeAll } from './kafka-support.js'

const trusted = selfSigned()

describe.skipIf(requireKafka() !== undefined)('a Kafka broker that', () => {
  const topic = fresh('topic')
  const members: Member[] = []
  const connections: KafkaConnection[] = []
  let kafka: KafkaCluster

  beforeAll(async () => {
    kafka = await KafkaCluster.start({
      listeners: { tls: { tls: trusted }, login: { logins: ['PLAIN'] } },
      users: { weir: 'right' },
    })
    await openSink(sinkOf(opened(kafka.bootstrap), { topic, partitions: 1 }))
  })
  afterAll(async () => {
    for (const member of members) member.leave()
    await Promise.all(connections.map((connection) => connection.close()))
    await kafka?.close()
  })

  const brokersOf = (port: 'bootstrap' | 'login' | 'tls') => (port === 'bootstrap' ? kafka.bootstrap : kafka.at(port))

  function opened(brokers: string, more: object = {}): KafkaConnection {
    const connection = connect(brokers, more)
    connections.push(connection)
    return connection
  }

  function joined(connection: KafkaConnection, context: object = {}, group = fresh('group')): Member {
    const member = new Member(sourceOf(connection, { topic, group, from: 'earliest' }, context))
    members.push(member)
    return member
  }

  /** What a source and a sink say of a connection. */
  async function refusals(brokers: string, more: object) {
    const member = joined(opened(brokers, more))
    await member.until(() => member.error !== undefined, 'it is refused')
    const written = await openSink(sinkOf(opened(brokers, more), { topic })).then(
      () => undefined,
      (error: unknown) => error,
    )
    return [member.error, written]
  }

  const sasl = (password: string) => ({ sasl: { mechanism: 'PLAIN', username: 'weir', password } as const })

  test.each([
    ['refuses a password', 'login', sasl('wrong'), /refused the login/, /username and password/],
    ['has a certificate that nobody trusts', 'tls', { ssl: true }, /TLS.*certificate verify failed/, /the ca of/],
    [
      'has another certificate than the trusted',
      'tls',
      { ssl: { ca: selfSigned().cert } },
      /certificate verify failed/,
      /ca/,
    ],
    ['wants TLS of a client that has none', 'tls', {}, /hung up/, /wants TLS does that: set/],
    ['speaks no TLS with a client that does', 'bootstrap', { ssl: true }, /could not agree on TLS/, /ssl option/],
  ] as const)('%s is told at once with the reason', async (_, port, more, what, hint) => {
    const errors = await refusals(brokersOf(port), more)
    for (const error of errors) {
      expect(error).toMatchObject({ message: expect.stringMatching(what), hint: expect.stringMatching(hint) })
      expect(String(error)).not.toContain('does not answer')
    }
  })

  test.each([
    ['knows the login', 'login', sasl('right')],
    ['has the trusted certificate', 'tls', { ssl: { ca: trusted.cert } }],
  ] as const)('%s is read', async (_, port, more) => {
    const member = joined(opened(brokersOf(port), more))
    await member.until(() => member.changes.length > 0, 'it is assigned')
    expect(member.error).toBeUndefined()
  })

  describe('allows some topics only', () => {
    const [open, readable, hidden] = [fresh('open'), fresh('readable'), fresh('hidden')]

    beforeAll(async () => {
      const admin = opened(kafka.bootstrap)
      for (const name of [open, readable, hidden]) await openSink(sinkOf(admin, { topic: name, partitions: 1 }))
      await Promise.all([kafka.allow('weir', 'Describe', readable), kafka.allow('other', 'All', hidden)])
    })

    test.each([() => readable, () => hidden])(
      'a fixed one that it does not is told of when it is opened',
      async (of) => {
        const sink = sinkOf(opened(kafka.at('login'), sasl('right')), { topic: of() })
        await expect(openSink(sink)).rejects.toMatchObject({
          message: expect.stringMatching(new RegExp(`writing topic '${of()}'.*does not allow it`)) as string,
          hint: "Check the rights of the connection's user.",
        })
      },
    )

    test.each(['at-least-once', 'exactly-once'] as const)(
      'who names another is dead-lettered, %s',
      async (guarantee) => {
        const [source, letters] = [fresh('source'), fresh('letters')]
        const values = ['good 0', ...[readable, hidden].flatMap((name) => Array<string>(10).fill(name)), 'good 1']
        const feed = sinkOf(opened(kafka.bootstrap), { topic: source, partitions: 1 })
        await openSink(feed)
        await writeAll(
          feed,
          values.map((value) => recordOf(value)),
        )
        const named = (value: Buffer | null) => (String(value).startsWith('good') ? open : String(value))
        const declared = flow(kafkaOf.source({ topic: source, from: 'earliest' }), kafkaOf.sink({ topic: named }))
        const asked = guarantee === 'exactly-once' ? { guarantee, checkpoints: 'kafka' } : {}
        const flows = { rights: declared.with({ attempts: 3, deadLetters: letters, ...asked }) }
        const connections = { kafka: kafkaOf({ brokers: kafka.at('login'), ...sasl('right') }) }
        const { engine } = runningEngine(compile({ app: fresh('app'), connections, flows }, { environment: {} }))
        await vi.waitFor(
          () => {
            const [status] = engine.status()
            expect(status?.stages.at(-1), JSON.stringify(status?.error)).toMatchObject({ rejected: 20 })
            expect(status?.partitions[0]?.offset).toBeGreaterThanOrEqual(22)
            expect(status?.state).not.toBe('failed')
          },
          { timeout: 90_000, interval: 100 },
        )
      },
    )
  })

  test('sees two processes of one name tells the one that it throws out, once', async () => {
    const group = fresh('group')
    const first = joined(opened(kafka.bootstrap), { instance: 'twin' }, group)
    await first.until(() => first.changes.length > 0, 'it is assigned')
    const second = joined(opened(kafka.bootstrap), { instance: 'twin' }, group)
    await first.until(() => first.error !== undefined, 'it is thrown out')
    expect(first.error).toMatchObject({
      code: 'WEIR_SOURCE_REFUSED',
      remedy: 'stop',
      message: expect.stringContaining('another process of the same name joined the group'),
      hint: expect.stringContaining('WEIR_INSTANCE_ID'),
    })
    expect(second.error).toBeUndefined()
  })
})
