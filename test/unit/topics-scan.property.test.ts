import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { scan } from '../../src/cli/topics/scan.js'
import type { Message } from '../../src/kafka/client.js'
import type { LogEnds } from '../../src/model/index.js'

interface Log {
  readonly messages: readonly Message[]
  readonly extents: readonly LogEnds[]
}

/** Partitions in the order of time, with offsets that have no record, and a mark on some. */
const log: fc.Arbitrary<Log> = fc
  .array(fc.array(fc.record({ step: fc.nat(50), gap: fc.nat(2), marked: fc.boolean() }), { maxLength: 60 }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((partitions) => {
    const messages: Message[] = []
    const extents = partitions.map((records, partition) => {
      let [offset, timestamp] = [3, 1_000]
      for (const { step, gap, marked } of records) {
        offset += gap
        timestamp += step
        messages.push({ topic: 't', partition, offset, timestamp, key: marked ? 'm' : null, value: null, size: 0 })
        offset++
      }
      return { topic: 't', partition, start: 3, end: offset + 1 }
    })
    return { messages, extents }
  })

test('the newest, or the oldest, of all partitions are found, however few are meant', async () => {
  await fc.assert(
    fc.asyncProperty(
      log,
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      fc.boolean(),
      async (all, limit, newestFirst, some) => {
        const isMeant = ({ key }: Message) => !some || key === 'm'
        const inside = (message: Message, { partition, start, end }: LogEnds) =>
          message.partition === partition && message.offset >= start && message.offset < end
        const read = (pieces: readonly LogEnds[]) =>
          Readable.from(pieces.map((piece) => all.messages.filter((one) => inside(one, piece))))
        const found = await scan({
          read,
          extents: all.extents,
          limit,
          newestFirst,
          keep: (message) => Promise.resolve(isMeant(message) ? message : undefined),
          isOver: () => false,
        })
        const times = all.messages.filter(isMeant).map(({ timestamp = -1 }) => timestamp)
        const sorted = times.sort((one, other) => (newestFirst ? other - one : one - other)).slice(0, limit)
        expect(found.map(({ timestamp }) => timestamp)).toEqual(sorted)
        expect(new Set(found).size).toBe(found.length)
      },
    ),
  )
})

test('nothing more is read than a piece of each partition where that is enough', async () => {
  let read = 0
  const extents = [0, 1].map((partition) => ({ topic: 't', partition, start: 0, end: 1_000_000 }))
  const found = await scan({
    read: (pieces) =>
      Readable.from(
        pieces.map(({ partition, start, end }) => {
          read += end - start
          const offsets = Array.from({ length: end - start }, (_, index) => start + index)
          return offsets.map((offset) => ({ topic: 't', partition, offset, timestamp: offset, value: null, size: 0 }))
        }),
      ),
    extents,
    limit: 5,
    newestFirst: true,
    keep: ({ partition, offset }) => Promise.resolve(`${partition}@${offset}`),
    isOver: () => false,
  })
  expect(found).toHaveLength(5)
  expect(found[0]).toMatch(/@999999$/)
  expect(read).toBe(10)
})
