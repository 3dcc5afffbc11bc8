import { describe, expect, test } from 'vitest'
import {
  type Message,
  messageBytes,
  pack,
  packed,
  type RecordMessage,
  type ToldMessage,
  unpack,
} from '../../src/engine/repartition/messages.js'
import { receive } from '../../src/engine/repartition/receive.js'
import { type CombinedRecord, PartialResult, type PartitionProgress, StreamRecord } from '../../src/model/index.js'
import { recordsOf, singleStage } from '../support/single-stage.js'

const internal = { topic: 'internal', partition: 0 }

/** What a task makes of what another one sent it; it begins with the state that these chunks hold. */
function receiving(
  chunks: readonly Uint8Array[] = [],
  inputs: string[][] = [['source']],
  progress?: Omit<PartitionProgress, 'position'>,
) {
  const { stores, time, context, scheduler } = singleStage('receive', 'partition')
  const operate = receive.build({ store: 'sources', idleForMs: 3_000, inputs }, context)
  stores.assign({ ...internal, generation: 1, sequence: 0 })
  for (const bytes of chunks) stores.restore(internal, { sequence: 1, bytes })
  time.assigned(0, [internal], 1)
  time.assign({ ...internal, generation: 1 }, progress && { position: 0, ...progress })
  let offset = 0
  const records = (...messages: Message[]): StreamRecord[] => {
    const given = messages.map(
      (message) => new StreamRecord<unknown>(null, pack(message), 0, [], { ...internal, offset: offset++ }),
    )
    return recordsOf(given, operate)
  }
  return {
    records,
    /** The values that these messages give. */
    values: (...messages: Message[]): unknown[] => records(...messages).map(({ value }) => value),
    watermark(): number {
      time.advance([{ ...internal, offset, end: offset }])
      const watermark = time.watermarkOf(internal)
      time.committed()
      return watermark
    },
    /** So many ms pass. */
    pass(ms: number): void {
      scheduler.frame += ms
    },
    chunks: () => stores.commit({ ...internal, offset }, {}).chunks,
  }
}

function record(offset: number, index: number, { partition = 0, generation = 1 } = {}): RecordMessage {
  const value = `${partition}@${offset}.${index}`
  const sent = { topic: 'source', partition, generation }
  return { kind: 'record', ...sent, offset, index, timestamp: 0, behindMs: 0, key: 'k', headers: [], value }
}

function told(partition: number, watermark: number, given: Partial<ToldMessage> = {}): ToldMessage {
  const sent = { topic: 'source', partition, generation: 2, position: 10, before: 0 }
  const reads = partition === 0 ? [given.topic ?? 'source'] : undefined
  return { kind: 'told', ...sent, watermark, idle: false, movedOnMs: 0, total: 2, reads, ...given }
}

describe('records under a new key', () => {
  test('come once each, however many were made of one and however often they are sent', () => {
    const { values } = receiving()
    expect(values(record(5, 0), record(5, 1), record(7, 0))).toEqual(['0@5.0', '0@5.1', '0@7.0'])
    expect(values(record(5, 0), record(5, 1), record(7, 0), record(7, 1))).toEqual(['0@7.1'])
    expect(values(record(7, 0, { generation: 2 }), record(8, 0, { generation: 2 }))).toEqual(['0@8.0'])
    expect(values(record(5, 0, { partition: 1 }))).toEqual(['1@5.0'])
  })

  test('of a topic that took the place of another are no repeats of those of the other', () => {
    const { values } = receiving()
    expect(values(record(500, 0), told(0, 100, { position: 501, idle: true }))).toEqual(['0@500.0'])
    const anew = told(0, 100, { generation: 3, position: 0, before: 501 })
    expect(values(anew, record(0, 0, { generation: 3 }), record(0, 0, { generation: 3 }))).toEqual(['0@0.0'])
    // Whoever still tells of the other topic is not heard any more.
    values(told(0, 700, { generation: 4, position: 600 }))
    expect(values(record(1, 0, { generation: 3 }))).toEqual(['0@1.0'])
  })

  test('of a topic that took the place of one that nobody had committed anything of are no repeats of those', () => {
    const { values } = receiving()
    const sent = [record(0, 0, { generation: 2 }), record(5, 0, { generation: 2 })]
    expect(values(told(0, 100, { id: 'one', position: 0 }), ...sent)).toEqual(['0@0.0', '0@5.0'])
    const anew = told(0, 100, { id: 'other', generation: 3, position: 0 })
    expect(values(anew, record(0, 0, { generation: 3 }), record(0, 0, { generation: 3 }))).toEqual(['0@0.0'])
  })

  test('come once each when the task begins anew', () => {
    const before = receiving()
    before.values(record(4, 0))
    const first = before.chunks()
    before.values(record(5, 0), record(5, 1))
    const again = receiving([...first, ...before.chunks()])
    expect(again.values(record(4, 0), record(5, 0), record(5, 1), record(6, 0))).toEqual(['0@6.0'])
  })
})

describe('how far source partitions have come', () => {
  test('is not waited for of partitions that a topic made anew no longer has, once nothing is left of them', () => {
    const { values, watermark } = receiving()
    values(told(0, 100, { id: 'one' }), told(1, 50, { id: 'one' }))
    expect(watermark()).toBe(50)
    const anew = { id: 'other', generation: 3, position: 0, before: 11 }
    values(told(0, 700, { ...anew, total: 2 }))
    expect(watermark()).toBe(50)
    values(told(0, 700, { ...anew, total: 1, partitions: 1 }))
    expect(watermark()).toBe(700)
    // Who still reads what is gone is not heard; the topic may get the partition back.
    values(told(1, 60, { id: 'one' }), record(3, 0, { partition: 1, generation: 2 }))
    values(told(0, 800, { ...anew, total: 1 }))
    expect(watermark()).toBe(800)
    values(told(0, 900, { ...anew, total: 2 }), told(1, 850, { ...anew, before: 0 }))
    expect(watermark()).toBe(850)
  })

  test('is waited for of partitions that are of yet another topic, whoever thinks that they are gone', () => {
    const { values, watermark } = receiving()
    values(told(0, 100, { id: 'one' }), told(1, 50, { id: 'one' }))
    values(told(1, 150, { id: 'third', generation: 4, position: 0, before: 22 }))
    values(told(0, 700, { id: 'other', generation: 3, position: 0, before: 11, total: 1, partitions: 1 }))
    expect(watermark()).toBe(150)
  })

  test('is not waited for of partitions that are gone with a topic of which the first one was never read', () => {
    const { values, watermark, pass } = receiving()
    values(told(0, 100, { id: 'one' }), told(1, 50, { id: 'one' }))
    values(told(1, 150, { id: 'second', generation: 4, position: 0, before: 22 }))
    const anew = { id: 'third', generation: 3, position: 0, before: 11, total: 1 }
    values(told(0, 700, { ...anew, partitions: 1 }))
    expect(watermark()).toBe(150)
    pass(3_001)
    values(told(0, 800, anew))
    expect(watermark()).toBe(800)
    // The topic may get the partition back.
    values(told(0, 900, { ...anew, total: 2, partitions: 2 }), told(1, 850, { ...anew, generation: 5, before: 23 }))
    expect(watermark()).toBe(850)
  })

  test('is not held up by what comes late of a topic that is gone', () => {
    const { values, watermark } = receiving()
    values(told(0, 100, { id: 'one', position: 30, total: 1 }))
    const anew = { id: 'other', generation: 3, position: 0, before: 31, total: 1, idle: true }
    values(told(0, 100, { ...anew, movedOnMs: 20 }))
    const late = { topic: 'source', partition: 0, generation: 2, last: 29, segment: 0, key: null, version: 1, saved: 1 }
    expect(values({ kind: 'partial', ...late }, record(28, 0, { generation: 2 }))).toEqual([])
    values(told(0, 100, { ...anew, movedOnMs: 30 }))
    expect(watermark()).toBe(130)
  })

  test('is not known before each of them has told', () => {
    const { values, watermark } = receiving()
    values(told(0, 100))
    expect(watermark()).toBe(Number.NEGATIVE_INFINITY)
    values(told(1, 500))
    expect(watermark()).toBe(100)
  })

  test('stays known when the task begins anew', () => {
    const before = receiving()
    before.values(told(0, 50), told(1, 500))
    const first = before.chunks()
    before.values(told(0, 100, { position: 11 }))
    expect(receiving([...first, ...before.chunks()]).watermark()).toBe(100)
  })

  test.each<[string, Partial<ToldMessage>, number]>([
    ['an older generation', { generation: 1, position: 99 }, 100],
    ['an earlier position', { position: 9 }, 100],
    ['a later position', { position: 11 }, 500],
    ['a later generation', { generation: 3, position: 0 }, 500],
  ])('as %s tells it', (_, given, expected) => {
    const { values, watermark } = receiving()
    values(told(0, 100), told(1, 500))
    watermark()
    values(told(0, 100, { ...given, idle: true }))
    expect(watermark()).toBe(expected)
  })

  test('is as it is told after time was set back, and what was told before no longer holds', () => {
    const before = receiving()
    before.values(told(0, 90_000), told(1, 90_000))
    const { values, watermark } = receiving(before.chunks(), undefined, { watermark: 70, timeSets: 1 })
    expect(watermark()).toBe(70)
    values(told(0, 100, { generation: 3, timeSets: 1 }))
    expect(watermark()).toBe(70)
    values(told(1, 80, { generation: 3, timeSets: 1 }), told(1, 90_000, { generation: 3, position: 11 }))
    expect(watermark()).toBe(80)
    values(told(1, 100, { generation: 3, position: 12, timeSets: 1 }))
    expect(watermark()).toBe(100)
  })

  test('is not known before one partition of every input has told', () => {
    const { values, watermark } = receiving([], [['source'], ['other', 'third']])
    values(told(0, 100), told(1, 500))
    expect(watermark()).toBe(Number.NEGATIVE_INFINITY)
    values(told(0, 300, { topic: 'third', total: 1 }))
    expect(watermark()).toBe(100)
  })

  test('counts the partitions of each input by itself', () => {
    const { values, watermark } = receiving([], [['source'], ['other']])
    for (const partition of [0, 1, 2]) values(told(partition, 100))
    values(told(0, 200, { topic: 'other', total: 2 }))
    expect(watermark()).toBe(Number.NEGATIVE_INFINITY)
  })

  test('is not known before what is left of a topic that is no longer read was sent on', () => {
    const before = receiving([], [['gone'], ['source']])
    const both = { total: 1, reads: ['gone', 'source'] }
    before.values(told(0, 300, { ...both, reads: undefined }), told(0, 100, { ...both, topic: 'gone' }))
    expect(before.watermark()).toBe(100)
    const { values, watermark } = receiving(before.chunks())
    values(told(0, 400, { total: 1, reads: undefined }))
    expect(watermark()).toBe(Number.NEGATIVE_INFINITY)
    values(told(0, 500, { total: 1 }))
    expect(watermark()).toBe(500)
    // Nobody waits for what is still told of it.
    values(told(1, 50, { ...both, topic: 'gone' }), told(0, 600, { total: 1 }))
    expect(watermark()).toBe(600)
  })

  test('is not known while somebody reads again what nobody had read, for more of it is left then', () => {
    const before = receiving()
    const again = { topic: 'again', reads: undefined }
    before.values(told(0, 400, { total: 1 }), told(0, 50, { ...again, total: 1 }))
    const { values, watermark } = receiving(before.chunks())
    expect(watermark()).toBe(Number.NEGATIVE_INFINITY)
    values(told(0, 50, { ...again, generation: 3, total: 0, idle: true }))
    expect(watermark()).toBe(Number.NEGATIVE_INFINITY)
    values(told(0, 500, { total: 1 }))
    expect(watermark()).toBe(500)
  })

  test('is not known by what was told when more topics were read, of which nothing has come yet', () => {
    const { values, watermark } = receiving()
    values(told(0, 400, { total: 1, reads: ['source', 'gone'] }))
    expect(watermark()).toBe(Number.NEGATIVE_INFINITY)
  })

  test('is where the slowest has moved on to when all are idle; what never brought anything has no say', () => {
    const { values, watermark } = receiving()
    values(told(0, 100), told(1, Number.NEGATIVE_INFINITY))
    watermark()
    const idle = { idle: true, position: 11 }
    values(told(0, 100, { ...idle, movedOnMs: 40 }), told(1, Number.NEGATIVE_INFINITY, idle))
    expect(watermark()).toBe(140)
    values(told(0, 100, { ...idle, movedOnMs: 70 }), told(1, 20, { ...idle, movedOnMs: 3 }))
    expect(watermark()).toBe(140)
    values(told(1, 160, { ...idle, movedOnMs: 3 }))
    expect(watermark()).toBe(163)
  })

  test('is not told to be idle by a message that may be old: one that was there before this task had read to the end', () => {
    const { values, watermark } = receiving()
    const idle = told(0, 100, { idle: true })
    values(idle, told(1, 500))
    expect(watermark()).toBe(100)
    values(idle)
    expect(watermark()).toBe(500)
  })

  test('is idle by the clock of whoever hears it: what time messages bear does not count', () => {
    const { values, watermark, pass } = receiving()
    values(told(0, 100), told(1, 500))
    watermark()
    pass(3_600_000)
    values(told(0, 100, { idle: true }))
    expect(watermark()).toBe(500)
    values(told(1, 600))
    pass(3_001)
    values(told(1, 700))
    expect(watermark()).toBe(500)
    values(told(0, 650, { idle: false }), told(1, 800))
    expect(watermark()).toBe(650)
  })

  test('never goes back', () => {
    const { values, watermark } = receiving()
    values(told(0, 100), told(1, 500))
    values(told(0, 60, { generation: 3, position: 0 }))
    expect(watermark()).toBe(100)
  })
})

describe('a record ahead of its partial result', () => {
  const asRead = { key: Buffer.from('k'), value: Buffer.from('{}'), timestamp: 7, headers: [{ id: '1' }] }
  const ahead = (offset: number): Message => {
    const sent = { topic: 'source', partition: 0, generation: 2, offset, segment: 0, key: 'ann' }
    return { kind: 'ahead', ...sent, headers: asRead.headers, asRead }
  }

  test('comes as its source read it, with what was told before', () => {
    const { values } = receiving()
    const [come] = values(told(0, 100, { idle: true }), told(1, 500), ahead(10)) as CombinedRecord[]
    expect(come).toMatchObject({ segment: 0, key: 'ann', told: { position: 10, watermark: 100, sentTo: 10 } })
    expect(come?.record).toMatchObject({ key: asRead.key, value: asRead.value, headers: asRead.headers })
    expect(come?.record.origin).toEqual({ topic: 'source', partition: 0, offset: 10, ...asRead })
  })

  test('has its partition waited for until that is told to be idle behind it', () => {
    const { values, watermark } = receiving()
    // Only what comes once all is read is taken for new.
    watermark()
    values(told(0, 100, { idle: true }), told(1, 500))
    expect(watermark()).toBe(500)
    values(ahead(10), told(1, 600, { position: 12 }))
    expect(watermark()).toBe(500)
    values(told(0, 100, { idle: true, position: 11 }))
    expect(watermark()).toBe(600)
  })
})

test('a record behind an internal topic stays where its message is, and knows where it was read', () => {
  const asRead = { key: null, value: Buffer.from('1'), timestamp: 7, headers: [] }
  const [come] = receiving().records({ ...record(5, 0), asRead })
  expect(come?.origin).toMatchObject({ ...internal, from: { topic: 'source', partition: 0, offset: 5, ...asRead } })
})

test('a large record is put together of its pieces', () => {
  const value = Buffer.alloc(1_200_000, 'x')
  const large = { ...record(5, 0), value: 'small', asRead: { key: 'k', value, timestamp: 0, headers: [] } }
  const pieces = packed(large, messageBytes.usual).map(unpack)
  expect(pieces.map(({ kind }) => kind)).toEqual(['piece', 'piece', 'piece'])
  const [come] = receiving().records(...pieces)
  expect(come?.value).toBe('small')
  expect(value.equals(come?.origin.from?.value as Buffer)).toBe(true)
})

test('a key that is larger than a message goes in pieces as well', () => {
  const key = 'k'.repeat(1_500_000)
  const pieces = packed({ ...record(5, 0), key }, messageBytes.least)
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(messageBytes.least + 100)
  const [come] = receiving().records(...pieces.map(unpack))
  expect(come?.key === key).toBe(true)
})

test('a large partial is put together of the pieces of one task, in their order', () => {
  const whole = '0123456789'.repeat(120_000)
  const piece = (index: number, generation: number): Message => {
    const sent = { topic: 'source', partition: 0, generation, last: 5, segment: 0, key: null, version: 1 }
    const pieces = packed({ kind: 'partial', ...sent, saved: whole }, messageBytes.usual)
    expect(pieces.length).toBe(3)
    return unpack(pieces[index] as Buffer)
  }
  const { values } = receiving()
  expect(values(piece(0, 2), piece(2, 2), piece(1, 1))).toEqual([])
  const [partial, ...others] = values(piece(1, 2), piece(0, 1), piece(2, 2))
  expect(others).toEqual([])
  expect(partial).toBeInstanceOf(PartialResult)
  expect(partial).toMatchObject({ saved: whole, generation: 2, last: 5 })
})
