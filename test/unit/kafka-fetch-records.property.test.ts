import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MalformedError } from '../../src/kafka/fetch/protocol/malformed.js'
import { type DecodedRecords, decodeRecords } from '../../src/kafka/fetch/record-batch.js'
import {
  encodeBatch,
  type LoggedBatch,
  type LoggedRecord,
  marker,
  recordsShown,
  signed,
} from '../support/record-batches.js'

const options = { maxBytes: 1 << 20 }
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const nullable = fc.option(bytes, { nil: null })
const header = fc.tuple(fc.string({ maxLength: 12, unit: 'grapheme' }), nullable)
const time = fc.oneof(
  fc.integer({ min: -1, max: 2 ** 44 }),
  fc.maxSafeInteger().map((large) => Math.floor(large / 4)),
)

/** What somebody does to a log. */
const step = fc.record({
  /** 0: not in a transaction. */
  producer: fc.nat(3),
  /** Whether this is the end of its transaction, and which one. */
  ends: fc.option(fc.constantFrom('commit', 'abort'), { nil: undefined, freq: 2 }),
  records: fc.array(
    fc.record({ timestamp: time, key: nullable, value: nullable, headers: fc.array(header, { maxLength: 3 }) }),
    { minLength: 1, maxLength: 5 },
  ),
  /** Which ones the cleaner has left. */
  left: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  isCleaned: fc.boolean(),
  appendTime: fc.option(time, { nil: undefined }),
  leaderEpoch: fc.nat(9),
})

interface Log {
  readonly batches: LoggedBatch[]
  /** What readers of committed records see. */
  readonly seen: LoggedRecord[]
  readonly aborted: { readonly producer: bigint; readonly first: number; readonly last: number }[]
}

/** The log that comes of these steps; whoever has not ended its transaction aborts it at last. */
function logOf(steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): Log {
  const log: Log = { batches: [], seen: [], aborted: [] }
  const open = new Map<number, { readonly first: number; readonly records: LoggedRecord[] }>()
  let next = 0
  const end = (producer: number, isCommit: boolean) => {
    const transaction = open.get(producer)
    if (transaction === undefined) return
    open.delete(producer)
    if (isCommit) log.seen.push(...transaction.records)
    else log.aborted.push({ producer: BigInt(producer), first: transaction.first, last: next })
    log.batches.push(marker(next++, producer, isCommit))
  }
  for (const { producer, ends, records, left, isCleaned, appendTime, leaderEpoch } of steps) {
    if (ends !== undefined) {
      end(producer, ends === 'commit')
      continue
    }
    const base = next
    next += records.length
    const all = records.map((record, index) => ({ ...record, offset: base + index }))
    const kept = all.filter((_, index) => !isCleaned || left[index])
    const of = producer === 0 ? {} : { producer, isTransactional: true }
    log.batches.push({ base, last: next - 1, records: kept, appendTime, leaderEpoch, ...of })
    const asSeen = kept.map((record) => ({ ...record, timestamp: appendTime ?? record.timestamp }))
    if (producer === 0) log.seen.push(...asSeen)
    else
      open.set(producer, {
        first: open.get(producer)?.first ?? base,
        records: [...(open.get(producer)?.records ?? []), ...asSeen],
      })
  }
  for (const producer of [...open.keys()]) end(producer, false)
  log.seen.sort((one, other) => one.offset - other.offset)
  return log
}

test('whoever reads a log response by response, cut anywhere, sees what was committed, once and in order', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 30 }),
      fc.array(fc.nat(2_000), { minLength: 1, maxLength: 5 }),
      fc.nat(20),
      (steps, sizes, start) => {
        const { batches, seen, aborted } = logOf(steps)
        const end = (batches.at(-1)?.last ?? -1) + 1
        const from = Math.min(start, end)
        const encoded = batches.map(encodeBatch)
        let [next, size] = [from, 0]
        const read: LoggedRecord[] = []
        for (let question = 0; next < end; question++) {
          const first = batches.findIndex(({ last }) => last >= next)
          size = Math.max(size, sizes[question % sizes.length]!)
          const response = Buffer.concat(encoded.slice(first)).subarray(0, size)
          // As brokers do: of all transactions that reach into what is asked for, in no order.
          const listed = aborted.filter(({ last }) => last >= next)
          const decoded = decodeRecords(response, next, listed, options) as DecodedRecords
          read.push(...recordsShown(decoded))
          expect(decoded.next).toBeGreaterThanOrEqual(next)
          size = decoded.next > next ? 0 : Math.max(decoded.wanted, 1)
          next = decoded.next
        }
        expect(read).toEqual(seen.filter(({ offset }) => offset >= from))
        expect(next).toBe(end)
      },
    ),
    { numRuns: 300 },
  )
})

const change = fc.record({ at: fc.nat(), to: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)) })

test('bytes that are wrong are told, or read as something else: never as bytes of another batch', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 4 }),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (steps, changes, isSigned) => {
        const { batches } = logOf(steps)
        const [first] = batches
        fc.pre(first !== undefined)
        const batch = encodeBatch(first)
        // The checksum is right again where it shall not help.
        const reach = isSigned ? 21 : 0
        for (const { at, to } of changes) batch[reach + (at % (batch.length - reach))] = to
        if (isSigned) signed(batch)
        // Memory of its own: keys are copies, and in none of it.
        const all = Buffer.from(Uint8Array.from(Buffer.concat([batch, ...batches.slice(1).map(encodeBatch)])).buffer)
        const decoded = await outcome(() => decodeRecords(all, 0, [], options))
        if (decoded instanceof Error) return
        for (const { value, offset, key, headers } of recordsShown(decoded)) {
          if (offset > first.last) continue
          for (const part of [key, value, ...headers.map(([, held]) => held)]) {
            if (part === null || part.buffer !== all.buffer) continue
            expect(part.byteOffset - all.byteOffset + part.length).toBeLessThanOrEqual(batch.length)
          }
        }
      },
    ),
    { numRuns: 3_000 },
  )
})

test('bytes of nobody are told', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (random) => {
      const decoded = await outcome(() => decodeRecords(Buffer.from(random), 0, [], options))
      if (!(decoded instanceof Error)) expect(decoded.records).toEqual([])
    }),
    { numRuns: 1_000 },
  )
})

async function outcome<T>(run: () => T | Promise<T>): Promise<T | MalformedError> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof MalformedError) return error
    throw error
  }
}
