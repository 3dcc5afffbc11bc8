import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Message } from '../../src/kafka/client.js'
import { Pump } from '../../src/kafka/pump.js'

/** A client whose queue a test fills. It answers in a later turn of the event loop, as the real one does. */
class FakeClient {
  readonly queue: Message[] = []
  readonly asked: number[] = []
  paused = 0
  resumed = 0

  consume(count: number, done: (error: undefined, messages: readonly Message[]) => void): void {
    this.asked.push(count)
    setTimeout(() => done(undefined, this.queue.splice(0, count)), 0)
  }

  pause(): void {
    this.paused++
  }

  resume(): void {
    this.resumed++
  }

  put(from: number, to: number): void {
    for (let offset = from; offset < to; offset++) this.queue.push({ topic: 't', partition: 0, offset } as Message)
  }
}

let client: FakeClient
let pump: Pump

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval', 'performance'] })
  client = new FakeClient()
  pump = new Pump(client, { arrived: () => undefined, failed: () => undefined })
  pump.start()
})

afterEach(async () => {
  const stopped = pump.stop()
  await vi.advanceTimersByTimeAsync(10)
  await stopped
  vi.useRealTimers()
})

test('asks ten times a second while nothing comes, and at once when the client wakes it', async () => {
  pump.startReading()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(client.asked.length).toBeLessThan(15)
  client.put(0, 3)
  pump.wake()
  await vi.advanceTimersByTimeAsync(1)
  expect(pump.head?.messages.map(({ offset }) => offset)).toEqual([0, 1, 2])
})

test('what wakes it during a call is asked for right after it', async () => {
  await vi.advanceTimersByTimeAsync(10)
  pump.wake()
  pump.wake()
  client.put(0, 1)
  await vi.advanceTimersByTimeAsync(1)
  expect(pump.head?.messages).toHaveLength(1)
})

test('what was all there was is asked after again when the client wakes it, and what was not at once', async () => {
  await vi.advanceTimersByTimeAsync(1)
  const asked = () => client.asked.splice(0).length
  asked()
  client.put(0, 3)
  pump.wake()
  await vi.advanceTimersByTimeAsync(1)
  expect(asked()).toBe(1)
  pump.fill()
  expect(asked()).toBe(0)
  client.put(3, 1_500)
  pump.wake()
  pump.fill()
  await vi.advanceTimersByTimeAsync(1)
  expect(asked()).toBe(1)
  pump.shift()
  pump.fill()
  expect(asked()).toBe(1)
})

test('holds at most two chunks, however much there is', async () => {
  client.put(0, 10_000)
  pump.fill()
  await vi.advanceTimersByTimeAsync(1)
  pump.fill()
  await vi.advanceTimersByTimeAsync(1)
  pump.fill()
  await vi.advanceTimersByTimeAsync(1)
  expect(client.queue).toHaveLength(8_000)
})

test('pauses after two seconds without a reader, polls each second, and resumes for the next one', async () => {
  client.put(0, 5)
  pump.wake()
  await vi.advanceTimersByTimeAsync(1_500)
  expect(client.paused).toBe(0)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(client.paused).toBe(1)
  const before = client.asked.length
  await vi.advanceTimersByTimeAsync(5_000)
  expect(client.asked.slice(before)).toEqual([1, 1, 1, 1, 1])
  pump.startReading()
  expect(client.resumed).toBe(1)
})

test('an answer is heard within milliseconds, while chunks wait that nobody takes', async () => {
  client.put(0, 10_000)
  pump.fill()
  await vi.advanceTimersByTimeAsync(1)
  pump.fill()
  await vi.advanceTimersByTimeAsync(5_000)
  const before = client.asked.length
  let answer = () => {}
  const heard = pump.hearing(new Promise<void>((resolve) => (answer = resolve)))
  await vi.advanceTimersByTimeAsync(50)
  expect(client.asked.length - before).toBeGreaterThan(10)
  expect(new Set(client.asked.slice(before))).toEqual(new Set([1]))
  answer()
  await heard
  await vi.advanceTimersByTimeAsync(10)
  const after = client.asked.length
  await vi.advanceTimersByTimeAsync(500)
  expect(client.asked).toHaveLength(after)
})

test('an action that must not meet a call waits for the one under way, and no other begins', async () => {
  client.put(0, 2)
  pump.wake()
  const during = pump.quietly(() => {
    const asked = client.asked.length
    pump.fill()
    pump.keep(() => false)
    return client.asked.length - asked
  })
  await vi.advanceTimersByTimeAsync(1)
  expect(await during).toBe(0)
  expect(pump.head).toBeUndefined()
})

test('keeps what is wanted, without what was emitted', async () => {
  client.put(0, 4)
  client.queue.push({ topic: 't', partition: 1, offset: 9 } as Message)
  await vi.advanceTimersByTimeAsync(200)
  const { head } = pump
  if (head !== undefined) head.next = 2
  pump.keep(({ partition }) => partition === 0)
  expect(pump.head?.messages.map(({ offset }) => offset)).toEqual([2, 3])
})

test('says that all there was is emitted, and not before the client has said so', async () => {
  pump.startReading()
  expect(pump.hasAll).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(pump.hasAll).toBe(true)
  client.put(0, 1_500)
  pump.wake()
  expect(pump.hasAll).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  pump.shift()
  // A full answer: there may be more.
  expect(pump.hasAll).toBe(false)
  pump.fill()
  await vi.advanceTimersByTimeAsync(1)
  expect(pump.hasAll).toBe(false)
  pump.shift()
  expect(pump.hasAll).toBe(true)
})
