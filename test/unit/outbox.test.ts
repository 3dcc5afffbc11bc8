import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { httpLimits } from '../../src/worker/http-limits.js'
import { Outbox } from '../../src/worker/outbox.js'

/** A caller who has so many bytes to read still. */
class Response extends EventEmitter {
  readonly closed = false
  readonly ballast = new Array(1_024).fill(0)

  constructor(public writableLength: number) {
    super()
  }

  destroy(): void {
    this.emit('close')
  }

  get itself(): ServerResponse {
    return this as unknown as ServerResponse
  }
}

function makeOutbox(now = () => 0): Outbox {
  return new Outbox({ ...httpLimits, unreadBytes: 100 }, now)
}

function send(outbox: Outbox, response: Response, body: Buffer): boolean {
  if (outbox.body(response.itself, body) === undefined) return false
  outbox.sent(response.itself, body)
  return true
}

describe('an outbox', () => {
  test('holds what its callers have not taken, and what several are sent once', () => {
    const outbox = makeOutbox()
    const [taken, waiting, other] = [new Response(0), new Response(60), new Response(60)]
    const body = Buffer.alloc(60)
    expect(send(outbox, taken, body)).toBe(true)
    expect(outbox.unreadBytes).toBe(0)
    expect([waiting, other].map((response) => send(outbox, response, body))).toEqual([true, true])
    expect(outbox.unreadBytes).toBe(60)
    expect(send(outbox, new Response(60), Buffer.alloc(60))).toBe(false)
    waiting.destroy()
    expect(outbox.unreadBytes).toBe(60)
    other.destroy()
    expect(outbox.unreadBytes).toBe(0)
    expect(send(outbox, new Response(60), Buffer.alloc(60))).toBe(true)
  })

  test('cuts off those who take nothing, whoever came and went between them', () => {
    let now = 0
    const outbox = new Outbox(httpLimits, () => now)
    const body = Buffer.alloc(10)
    const all = Array.from({ length: 9 }, () => new Response(10))
    for (const response of all) send(outbox, response, body)
    const cut: Response[] = []
    for (const response of all) response.once('close', () => cut.push(response))
    for (const index of [0, 8, 3]) all[index]?.destroy()
    for (const index of [1, 5]) all[index]!.writableLength = 0
    cut.length = 0
    now = httpLimits.stalledMs + 1
    expect(outbox.sweep()).toBe(4)
    expect(new Set(cut)).toEqual(new Set([2, 4, 6, 7].map((index) => all[index])))
    expect(outbox.sweep()).toBe(0)
  })

  // Its map was made anew again and again, and each table, once the first was old, held the answers under way at the time.
  test('lets go of answers without a collection of all memory', () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as (options: { type: 'minor' | 'major' }) => void
    const outbox = makeOutbox()
    const answer = () => {
      const response = new Response(10)
      send(outbox, response, Buffer.alloc(0))
      return response
    }
    let before = answer()
    gc({ type: 'major' })
    const { heapUsed } = process.memoryUsage()
    for (let number = 0; number < 10_000; number++) {
      const next = answer()
      before.destroy()
      before = next
      if (number % 1_000 === 0) gc({ type: 'minor' })
    }
    // All of them together are 80 MB.
    expect(process.memoryUsage().heapUsed - heapUsed).toBeLessThan(8e6)
  })
})
