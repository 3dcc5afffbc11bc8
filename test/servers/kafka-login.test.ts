import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { selfSigned } from '../support/certificates.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, fresh, Member, openSink, sinkOf, sourceOf } from './kafka-support.js'

const trusted = selfSigned()

describe.skipIf(requireKafka() !== undefined)('a Kafka broker that', { timeout: 60_000 }, () => {
  const topic = fresh('topic')
  const members: Member[] = []
  const connections: KafkaConnection[] = []
  let kafka: KafkaCluster

  beforeAll(async () => {
    kafka = await KafkaCluster.start({ secured: `${trusted.key}${trusted.cert}` })
    await openSink(sinkOf(opened(kafka.bootstrap), { topic, partitions: 1 }))
  }, 240_000)
  afterAll(async () => {
    for (const member of members) member.leave()
    await Promise.all(connections.map((connection) => connection.close()))
    await kafka?.close()
  })

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
    await member.until(() => member.error !== undefined, 'it is refused', 20_000)
    const written = await openSink(sinkOf(opened(brokers, more), { topic })).then(
      () => undefined,
      (error: unknown) => error,
    )
    return [member.error, written]
  }

  const sasl = (password: string) => ({ sasl: { mechanism: 'PLAIN', username: 'weir', password } })

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
    const errors = await refusals(kafka[port], more)
    for (const error of errors) {
      expect(error).toMatchObject({ message: expect.stringMatching(what), hint: expect.stringMatching(hint) })
      expect(String(error)).not.toContain('does not answer')
    }
  })

  test.each([
    ['knows the login', 'login', sasl('right')],
    ['has the trusted certificate', 'tls', { ssl: { ca: trusted.cert } }],
  ] as const)('%s is read', async (_, port, more) => {
    const member = joined(opened(kafka[port], more))
    await member.until(() => member.changes.length > 0, 'it is assigned', 20_000)
    expect(member.error).toBeUndefined()
  })

  test('sees two processes of one name tells the one that it throws out, once', async () => {
    const group = fresh('group')
    const first = joined(opened(kafka.bootstrap), { instance: 'twin' }, group)
    await first.until(() => first.changes.length > 0, 'it is assigned', 20_000)
    const second = joined(opened(kafka.bootstrap), { instance: 'twin' }, group)
    await first.until(() => first.error !== undefined, 'it is thrown out', 30_000)
    expect(first.error).toMatchObject({
      code: 'WEIR_SOURCE_REFUSED',
      remedy: 'stop',
      message: expect.stringContaining('another process of the same name joined the group'),
      hint: expect.stringContaining('WEIR_INSTANCE_ID'),
    })
    expect(second.error).toBeUndefined()
  })
})
