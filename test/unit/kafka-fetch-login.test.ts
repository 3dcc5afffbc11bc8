import { createHmac, pbkdf2Sync } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { codes } from '../../src/kafka/client.js'
import { BrokerConnection } from '../../src/kafka/fetch/connection.js'
import type { Exchange } from '../../src/kafka/fetch/exchange.js'
import { laneSettings } from '../../src/kafka/fetch/lane-settings.js'
import { tokenLogin } from '../../src/kafka/fetch/login.js'
import { metadata } from '../../src/kafka/fetch/protocol/metadata.js'
import { scram } from '../../src/kafka/fetch/scram.js'
import { answering, answerTo, FakeBroker, keys, type Manner, type Question } from '../support/fake-broker.js'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** What a client says, where a broker says this. */
async function said(exchange: Exchange, ...answers: readonly string[]): Promise<(string | undefined)[]> {
  const words = [(await exchange.next()).value?.toString()]
  for (const answer of answers) words.push((await exchange.next(Buffer.from(answer))).value?.toString())
  return words
}

/** The examples of RFC 7677, and of RFC 5802 with the larger hash, whose numbers other libraries give. */
describe('SCRAM', () => {
  const nonce = 'rOprNGfwEbeRWgbNEkqO'
  const both = `${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`
  const challenge = `r=${both},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
  const login = { hash: 'sha256', username: 'user', password: 'pencil' } as const
  const proof = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
  const proven = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

  test('says what the RFC says', async () => {
    expect(await said(scram(login, nonce), challenge, proven)).toEqual([
      `n,,n=user,r=${nonce}`,
      `c=biws,r=${both},p=${proof}`,
      undefined,
    ])
  })

  test('escapes what parts its words', async () => {
    expect(await said(scram({ ...login, username: 'a=b,c' }, nonce))).toEqual([`n,,n=a=3Db=2Cc,r=${nonce}`])
  })

  test('has a nonce of its own each time', async () => {
    const [[one], [other]] = [await said(scram(login)), await said(scram(login))]
    expect(one).toMatch(/^n,,n=user,r=[A-Za-z0-9+/]{32}$/)
    expect(one).not.toBe(other)
  })

  test('takes names and passwords as they are, which SASLprep would change, as Kafka does', async () => {
    const password = 'pass\u00a0word \u2168'
    const [salt, r] = [Buffer.from('salt'), 'abcd']
    const ask = `r=${r},s=${salt.toString('base64')},i=4096`
    const key = createHmac('sha512', pbkdf2Sync(password, salt, 4_096, 64, 'sha512'))
      .update('Server Key')
      .digest()
    const words = `n=\u00aa,r=abc,${ask},c=biws,r=${r}`
    const answer = `v=${createHmac('sha512', key).update(words).digest('base64')}`
    const [first, , end] = await said(scram({ hash: 'sha512', username: '\u00aa', password }, 'abc'), ask, answer)
    expect([first, end]).toEqual(['n,,n=\u00aa,r=abc', undefined])
  })

  test.each([
    ['a nonce of another', `r=x${both},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, /nonce/],
    ['no more than our nonce', `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, /nonce/],
    ['no salt', `r=${both},i=4096`, /no salt/],
    ['few iterations', `r=${both},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095`, /4095 iterations, of 4096 to/],
    ['iterations without end', `r=${both},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999`, /999999999 iterations/],
    ['iterations that are none', `r=${both},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4e9`, /4e9 iterations/],
    ['an extension', `m=x,${challenge}`, /an extension/],
    ['nothing', '', /nonce/],
  ])('does not go on with %s', async (_, answer, message) => {
    await expect(said(scram(login, nonce), answer)).rejects.toThrow(message)
  })

  test.each([
    ['the proof of another password', 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5='.replace('n/dB', 'n/dC')],
    ['half a proof', proven.slice(0, 20)],
    ['no proof', ''],
  ])('takes a broker that shows %s for an impostor', async (_, answer) => {
    await expect(said(scram(login, nonce), challenge, answer)).rejects.toThrow(/does not know the password itself/)
  })

  test('tells what the broker says against it', async () => {
    await expect(said(scram(login, nonce), challenge, 'e=invalid-proof')).rejects.toThrow(/invalid-proof/)
  })
})

describe('OAUTHBEARER', () => {
  const exchange = (given: object) => tokenLogin(() => Promise.resolve({ tokenValue: 'abc.def.', ...given })).begin()

  test('shows a token, and what else is to be known', async () => {
    expect(await said(exchange({ extensions: { tenant: 'x=1', Cluster: 'y' } }), '')).toEqual([
      'n,,\x01auth=Bearer abc.def.\x01tenant=x=1\x01Cluster=y\x01\x01',
      undefined,
    ])
  })

  test('lets the broker say its reason', async () => {
    expect(await said(exchange({}), '{"status":"invalid_token"}')).toEqual([expect.any(String), '\x01'])
  })

  test.each([
    [{ tokenValue: '' }, /no token/],
    [{ tokenValue: 'abc\x01auth=Bearer other' }, /no token/],
    [{ extensions: { auth: 'other' } }, /'auth'/],
    [{ extensions: { name: 'a\x01auth=Bearer other' } }, /'name'/],
    [{ extensions: { 'na me': '' } }, /'na me'/],
  ])('never says more than that: %j', async (given, message) => {
    const error = { code: codes.unusable, message: expect.stringMatching(message) }
    await expect(said(exchange(given))).rejects.toMatchObject(error)
  })

  test('tells why there is no token', async () => {
    const login = tokenLogin(() => Promise.reject(new Error('the issuer is down')))
    const error = { code: codes.unusable, message: expect.stringMatching(/token.*: the issuer is down/) }
    await expect(said(login.begin())).rejects.toMatchObject(error)
  })
})

describe('a login', () => {
  const handshake = answering((to) => {
    to.int16(0)
    to.array(['PLAIN'], (name) => to.string(name))
  })
  const authenticated = (lifetimeMs: number, error = 0, message: string | null = null): Manner =>
    answering((to) => {
      to.int16(error)
      to.string(message)
      to.bytesOf(Buffer.alloc(0))
      to.int64(lifetimeMs)
    })

  async function connected(manners: Readonly<Record<number, Manner>>) {
    const fake = await FakeBroker.start()
    closing.push(() => fake.close())
    fake.manners = { [keys.handshake]: handshake, [keys.authenticate]: authenticated(0), ...manners }
    const settings = laneSettings({
      'metadata.broker.list': fake.bootstrap,
      'security.protocol': 'SASL_PLAINTEXT',
      'sasl.mechanism': 'PLAIN',
      'sasl.username': 'ann',
      'sasl.password': 'secret',
    })
    const connection = new BrokerConnection(settings.brokers[0]!, settings)
    closing.push(() => connection.close())
    await connection.connect()
    return { fake, connection, ask: () => connection.request(metadata, { topics: [] }, 5_000) }
  }

  test('comes before everything else', async () => {
    const { fake, ask } = await connected({})
    await ask()
    expect(fake.asked.slice(2)).toEqual([keys.handshake, keys.authenticate, keys.metadata])
    expect(fake.questions[3]?.body.subarray(4).toString()).toBe('\0ann\0secret')
  })

  test('that is refused tells the reason of the broker, and not the password', async () => {
    const refused = connected({ [keys.authenticate]: authenticated(0, 58, 'Invalid username or password') })
    const error = { code: codes.authentication, message: 'SASL PLAIN: Invalid username or password' }
    await expect(refused).rejects.toMatchObject(error)
  })

  test('is made anew before it ends, and what is asked meanwhile waits, whatever is on its way', async () => {
    const waiting: Question[] = []
    const { fake, connection, ask } = await connected({ [keys.authenticate]: authenticated(1_400) })
    const usual = (question: Question) =>
      question.socket.write(answerTo(question.id, (to) => fake.describe(to, [{ id: 1, port: fake.port }])))
    let isHeld = false
    const hold: Manner = (question) => (isHeld ? waiting.push(question) : usual(question))
    fake.manners[keys.metadata] = hold
    await ask()
    isHeld = true
    const onItsWay = ask()
    await expect.poll(() => waiting.length).toBe(1)
    let greeting: Question | undefined
    fake.manners[keys.handshake] = (question) => {
      greeting = question
    }
    await expect.poll(() => greeting).toBeDefined()
    const meanwhile = ask()
    // A broker answers in the order in which it is asked.
    isHeld = false
    usual(waiting[0]!)
    await onItsWay
    expect(fake.asked.filter((key) => key === keys.metadata)).toHaveLength(2)
    handshake(greeting!)
    await meanwhile
    expect(fake.asked.slice(-3)).toEqual([keys.handshake, keys.authenticate, keys.metadata])
    expect([connection.isOpen, fake.connections]).toEqual([true, 1])
  })

  test('that can not be made anew is a connection lost, and no refusal yet', async () => {
    const { fake, connection } = await connected({ [keys.authenticate]: authenticated(1_400) })
    fake.manners[keys.authenticate] = authenticated(0, 58, 'Invalid username or password')
    const lost = new Promise((resolve) => {
      connection.onLost = resolve
    })
    expect(await lost).toMatchObject({ code: codes.transport, message: expect.stringMatching(/made anew.*Invalid/) })
  })
})
