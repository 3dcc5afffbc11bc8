import { describe, expect, test } from 'vitest'
import { type Api, correlationOf, decodeAnswer, encodeRequest } from '../../src/kafka/fetch/protocol/api.js'
import { apiVersions } from '../../src/kafka/fetch/protocol/api-versions.js'
import { describeGroups } from '../../src/kafka/fetch/protocol/describe-groups.js'
import { fetch } from '../../src/kafka/fetch/protocol/fetch.js'
import { findCoordinator } from '../../src/kafka/fetch/protocol/find-coordinator.js'
import { listOffsets } from '../../src/kafka/fetch/protocol/list-offsets.js'
import { MalformedError } from '../../src/kafka/fetch/protocol/malformed.js'
import { metadata } from '../../src/kafka/fetch/protocol/metadata.js'
import { saslAuthenticate } from '../../src/kafka/fetch/protocol/sasl-authenticate.js'
import { saslHandshake } from '../../src/kafka/fetch/protocol/sasl-handshake.js'

/** Headers and messages as the classes of Kafka 4.1.1's own Java client write them. */
const golden: Record<string, string> = {
  'apiVersions request v0': '001200000000002a000477656972',
  'apiVersions response v0': '0000002a000000000002000100040012001200000004',
  'apiVersions request v3': '001200030000002a000477656972000977656972666c6f7706302e312e3000',
  'apiVersions response v3': [
    '0000002a0000030001000400120000120000000400000000070201080000000000000009021702116d657461646174612e76',
    '657273696f6e001b000100',
  ].join(''),
  'apiVersions-unsupported response v0': '0000002a002300000001001200000002',
  'metadata request v7': '000300070000002a0004776569720000000200066f7264657273000bc3bc72737072c3bc6e676500',
  'metadata response v7': [
    '0000002a0000000b00000002000000010009612e6578616d706c6500002384000465752d31000000020009622e6578616d70',
    '6c6500002385ffff00076b726166742d310000000200000002000000066f7264657273000000000200000000000000000001',
    '0000000500000002000000010000000200000001000000010000000100000002000500000001ffffffffffffffff00000001',
    '00000002000000000000000000030004676f6e650000000000',
  ].join(''),
  'saslHandshake request v1': '001100010000002a000477656972000d534352414d2d5348412d353132',
  'saslHandshake response v1': '0000002a0021000000020005504c41494e000d534352414d2d5348412d323536',
  'saslAuthenticate request v1': '002400010000002a0004776569720000000400750070',
  'saslAuthenticate response v1': '0000002a003a00026e6f00000003653d780000034630b8a000',
  'listOffsets request v2': [
    '000200020000002a000477656972ffffffff010000000100066f72646572730000000200000000fffffffffffffffe000000',
    '03fffffffffffffffe',
  ].join(''),
  'listOffsets response v2': [
    '0000002a000000050000000100066f726465727300000002000000000000ffffffffffffffff000000012a05f20700000003',
    '0006ffffffffffffffffffffffffffffffff',
  ].join(''),
  'findCoordinator request v2': '000a00020000002a00047765697200106f72646572732ec3bc72737072756e6700',
  'findCoordinator response v2': '0000002a00000005000f00046e6f6e65000000030009612e6578616d706c6500002384',
  'describeGroups request v4': '000f00040000002a0004776569720000000200066f7264657273000676697369747300',
  'describeGroups response v4': [
    '0000002a0000000500000002000000066f72646572730006537461626c650008636f6e73756d65720012636f6f7065726174',
    '6976652d737469636b790000000200036d2d3100036f6e6500047765697200092f31302e302e302e31000000020102000000',
    '1e00030000000100066f7264657273000000020000000000000003ffffffff00036d2d32ffff00047765697200092f31302e',
    '302e302e32000000000000000080000000001000067669736974730000000000000000000080000000',
  ].join(''),
  'fetch request v11': [
    '0001000b0000002a000477656972ffffffff000001f400000001032000000100000000ffffffff0000000100066f72646572',
    '73000000020000000000000005000000012a05f207ffffffffffffffff0010000000000003ffffffff0000000000000000ff',
    'ffffffffffffff0001000000000000000465752d31',
  ].join(''),
  'fetch response v11': [
    '0000002a000000050000000000000000000100066f726465727300000002000000000000000000012a05f20a000000012a05',
    'f2090000000000000003000000020020000000000001000000012a05f2080000000000000004000000000000001100000002',
    '0000004600000000000000000000003affffffff02716a618900000000000000000000000003e800000000000003e8ffffff',
    'ffffffffffffffffffffff0000000110000000026b02760000000003004affffffffffffffffffffffffffffffffffffffff',
    'ffffffffffffffffffffffffffffffff',
  ].join(''),
  'fetch request v12': [
    '0001000c0000002a00047765697200ffffffff000001f400000001032000000100000000ffffffff02076f72646572730300',
    '00000000000005000000012a05f20700000004ffffffffffffffff001000000000000003ffffffff0000000000000000ffff',
    'ffffffffffffffffffff000100000000010565752d3100',
  ].join(''),
  'fetch response v12': [
    '0000002a000000000500000000000002076f726465727303000000000000000000012a05f20a000000012a05f20900000000',
    '00000003030020000000000001000000012a05f2080000000000000000040000000000000011000000000247000000000000',
    '00000000003affffffff02716a618900000000000000000000000003e800000000000003e8ffffffffffffffffffffffffff',
    'ff0000000110000000026b0276000000000003004affffffffffffffffffffffffffffffffffffffffffffffff00ffffffff',
    '0102000d00000003000000000000000c0001090000000200000006000000',
  ].join(''),
}

const bytesOf = (name: string) => Buffer.from(golden[name]!, 'hex')

const versionsOf = (api: Api<never, unknown>) => {
  const [oldest, newest] = api.versions
  return Array.from({ length: newest - oldest + 1 }, (_, index) => oldest + index)
}

const fetchRequest = {
  maxWaitMs: 500,
  minBytes: 1,
  maxBytes: 52_428_800,
  rack: 'eu-1',
  topics: [
    {
      topic: 'orders',
      partitions: [
        { partition: 0, leaderEpoch: 5, offset: 5_000_000_007, lastFetchedEpoch: 4, maxBytes: 1_048_576 },
        { partition: 3, leaderEpoch: -1, offset: 0, lastFetchedEpoch: -1, maxBytes: 65_536 },
      ],
    },
  ],
}

describe('requests are, byte by byte, what the Java client sends', () => {
  const cases: [name: string, version: number, Api<never, unknown>, request: unknown][] = [
    ['apiVersions', 0, apiVersions, { software: 'weirflow', version: '0.1.0' }],
    ['apiVersions', 3, apiVersions, { software: 'weirflow', version: '0.1.0' }],
    ['metadata', 7, metadata, { topics: ['orders', 'ürsprünge'] }],
    ['saslHandshake', 1, saslHandshake, { mechanism: 'SCRAM-SHA-512' }],
    ['saslAuthenticate', 1, saslAuthenticate, { bytes: Buffer.from('\0u\0p') }],
    ['listOffsets', 2, listOffsets, { topics: [{ topic: 'orders', partitions: [0, 3] }] }],
    ['findCoordinator', 2, findCoordinator, { group: 'orders.ürsprung' }],
    ['describeGroups', 4, describeGroups, { groups: ['orders', 'visits'] }],
    ['fetch', 11, fetch, fetchRequest],
    ['fetch', 12, fetch, fetchRequest],
  ]

  test.each(cases)('%s %i', (name, version, api, request) => {
    const frame = encodeRequest(api, version, 42, 'weir', request as never)
    expect(frame.readInt32BE(0)).toBe(frame.length - 4)
    expect(frame.toString('hex', 4)).toBe(golden[`${name} request v${version}`])
  })

  test('also where they are longer than what the writer begins with', () => {
    const topics = Array.from({ length: 300 }, (_, index) => `topic-${index}-${'ü'.repeat(200)}`)
    const frame = encodeRequest(metadata, 7, 1, 'weir', { topics })
    expect(frame.length).toBeGreaterThan(120_000)
    expect(topics.every((topic) => frame.includes(topic))).toBe(true)
  })
})

describe('answers are read as the Java client writes them', () => {
  test.each([0, 3])('ApiVersions %i', (version) => {
    const read = decodeAnswer(apiVersions, version, bytesOf(`apiVersions response v${version}`))
    const apis = [
      { key: 1, oldest: 4, newest: 18 },
      { key: 18, oldest: 0, newest: 4 },
    ]
    expect(read).toEqual({ error: 0, apis })
  })

  test.each([
    ['in version 0', bytesOf('apiVersions-unsupported response v0')],
    ['in a form that is none, as the mock cluster', Buffer.from('0000002a0023010012000000020000000', 'hex')],
  ])('ApiVersions of a broker that does not know the version, and says so %s', (_, answer) => {
    expect(decodeAnswer(apiVersions, 3, answer)).toEqual({ error: 35, apis: [] })
  })

  test('FindCoordinator', () => {
    const read = decodeAnswer(findCoordinator, 2, bytesOf('findCoordinator response v2'))
    expect(read).toEqual({ throttleMs: 5, error: 15, node: 3, host: 'a.example', port: 9092 })
  })

  test('DescribeGroups, with a member that is given nothing yet, and a group that another broker coordinates', () => {
    const partitions = [0, 3].map((partition) => ({ topic: 'orders', partition }))
    const members = [
      { instance: 'one', client: 'weir', host: '/10.0.0.1', partitions },
      { instance: null, client: 'weir', host: '/10.0.0.2', partitions: [] },
    ]
    expect(decodeAnswer(describeGroups, 4, bytesOf('describeGroups response v4'))).toEqual({
      throttleMs: 5,
      groups: [
        { error: 0, group: 'orders', state: 'Stable', members },
        { error: 16, group: 'visits', state: '', members: [] },
      ],
    })
  })

  test('Metadata', () => {
    expect(decodeAnswer(metadata, 7, bytesOf('metadata response v7'))).toEqual({
      throttleMs: 11,
      brokers: [
        { id: 1, host: 'a.example', port: 9092, rack: 'eu-1' },
        { id: 2, host: 'b.example', port: 9093, rack: null },
      ],
      clusterId: 'kraft-1',
      controller: 2,
      topics: [
        {
          topic: 'orders',
          error: 0,
          partitions: [
            { partition: 0, error: 0, leader: 1, leaderEpoch: 5, replicas: [1, 2] },
            { partition: 1, error: 5, leader: -1, leaderEpoch: -1, replicas: [2] },
          ],
        },
        { topic: 'gone', error: 3, partitions: [] },
      ],
    })
  })

  test('ListOffsets', () => {
    expect(decodeAnswer(listOffsets, 2, bytesOf('listOffsets response v2'))).toEqual({
      throttleMs: 5,
      partitions: [
        { topic: 'orders', partition: 0, error: 0, offset: 5_000_000_007 },
        { topic: 'orders', partition: 3, error: 6, offset: -1 },
      ],
    })
  })

  test('the steps of a login', () => {
    expect(decodeAnswer(saslHandshake, 1, bytesOf('saslHandshake response v1'))).toEqual({
      error: 33,
      mechanisms: ['PLAIN', 'SCRAM-SHA-256'],
    })
    expect(decodeAnswer(saslAuthenticate, 1, bytesOf('saslAuthenticate response v1'))).toEqual({
      error: 58,
      message: 'no',
      bytes: Buffer.from('e=x'),
      lifetimeMs: 3_600_000_000_000,
    })
  })

  test.each([11, 12])('Fetch %i', (version) => {
    const answer = bytesOf(`fetch response v${version}`)
    expect(correlationOf(answer)).toBe(42)
    const { partitions, ...rest } = decodeAnswer(fetch, version, answer)
    expect(rest).toEqual({ throttleMs: 5, error: 0 })
    expect(partitions).toMatchObject([
      {
        ...{ topic: 'orders', partition: 0, error: 0, preferredReplica: 2 },
        ...{ highWatermark: 5_000_000_010, lastStableOffset: 5_000_000_009, logStart: 3 },
        aborted: [
          { producer: 9_007_199_254_740_993n, first: 5_000_000_008 },
          { producer: 4n, first: 17 },
        ],
        diverging: undefined,
      },
      {
        ...{ topic: 'orders', partition: 3, error: 74, preferredReplica: -1 },
        ...{ highWatermark: -1, lastStableOffset: -1, logStart: -1, aborted: [] },
        diverging: version === 12 ? { epoch: 3, end: 12 } : undefined,
      },
    ])
    expect(partitions.map(({ records }) => records.length)).toEqual([70, 0])
    expect(partitions[0]!.records.buffer).toBe(answer.buffer)
  })
})

describe('an answer that is none', () => {
  const answers: [name: string, version: number, Api<never, unknown>][] = [
    ['apiVersions', 0, apiVersions],
    ['apiVersions', 3, apiVersions],
    ['metadata', 7, metadata],
    ['saslHandshake', 1, saslHandshake],
    ['saslAuthenticate', 1, saslAuthenticate],
    ['listOffsets', 2, listOffsets],
    ['fetch', 11, fetch],
    ['fetch', 12, fetch],
  ]

  test.each(answers)('is told where it ends too early: %s %i', (name, version, api) => {
    const whole = bytesOf(`${name} response v${version}`)
    // What follows the list in newer versions nobody needs.
    const needed = api === apiVersions ? 4 + 2 + (version === 3 ? 1 + 2 * 7 : 4 + 2 * 6) : whole.length
    for (let length = 4; length < needed; length++)
      expect(() => decodeAnswer(api, version, whole.subarray(0, length)), `${length} bytes`).toThrow(MalformedError)
    expect(() => correlationOf(whole.subarray(0, 3))).toThrow(MalformedError)
  })

  test.each(answers)('is told or read as something else where a byte is wrong: %s %i', (name, version, api) => {
    const whole = bytesOf(`${name} response v${version}`)
    for (let at = 4; at < whole.length; at++) {
      for (const wrong of [0, 0x7f, 0x80, 0xff]) {
        const bytes = Buffer.from(whole)
        bytes[at] = wrong
        expect(outcome(() => decodeAnswer(api, version, bytes))).toMatch(/^(read|MalformedError)$/)
      }
    }
  })

  test.each(versionsOf(fetch))('does not have a great number of items made that it does not hold: %i', (version) => {
    const answer = bytesOf(`fetch response v${version}`)
    const at = answer.indexOf('orders') - (version === 11 ? 6 : 2)
    if (version === 11) answer.writeInt32BE(0x7f_ff_ff_ff, at)
    else answer[at] = 0xff
    expect(() => decodeAnswer(fetch, version, answer)).toThrow(MalformedError)
  })
})

function outcome(run: () => unknown): string {
  try {
    run()
    return 'read'
  } catch (error) {
    return (error as Error).constructor.name
  }
}
