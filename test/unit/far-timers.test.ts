import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished, test, vi } from 'vitest'
import { consoleSink, type Duration, feed, flow, memory, type Source, sse } from '../../src/index.js'
import { compiled, config } from '../support/compiling.js'
import { runningEngine } from '../support/running-engine.js'

/** A server that answers so, and how often it was asked. */
async function serving(answer: (response: ServerResponse) => void) {
  const asked = { times: 0 }
  const server = createServer((_, response) => {
    asked.times++
    answer(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

const polled = (url: string, every: Duration): Source<unknown> =>
  feed({ url, every, items: () => [], id: String, time: () => 0 })
const streamed = (url: string): Source<unknown> => sse({ url, onError: 'skip' })

const refusing = (retryAfter: string) => (response: ServerResponse) =>
  void response.writeHead(429, { 'retry-after': retryAfter }).end()
const empty = (response: ServerResponse) => void response.writeHead(200).end('[]')
const inThirtyDays = () => new Date(Date.now() + 30 * 86_400_000).toUTCString()

test.each<[string, (url: string) => Source<unknown>, (response: ServerResponse) => void]>([
  ["a feed of every: '30d'", (url) => polled(url, '30d'), empty],
  ['a feed whose server says Retry-After: 2592000', (url) => polled(url, '5ms'), refusing('2592000')],
  ['a feed whose server names a date in 30 days', (url) => polled(url, '5ms'), refusing(inThirtyDays())],
  ['a feed whose server says Retry-After: 99999999999999999999', (url) => polled(url, '5ms'), refusing('9'.repeat(20))],
  ['a stream whose server says Retry-After: 2592000', streamed, refusing('2592000')],
  ['a stream whose server names a date in 30 days', streamed, refusing(inThirtyDays())],
])('%s is asked once, and not every ms', async (_, source, answer) => {
  const { asked, url } = await serving(answer)
  const declared = flow(source(url), consoleSink()).with({ epoch: { every: '20ms' } })
  runningEngine(compiled(config(declared, { connections: {}, checkpoints: memory() })))
  await vi.waitUntil(() => asked.times > 0, { timeout: 60_000 })
  await sleep(300)
  if (asked.times !== 1) throw new Error(`it was asked ${asked.times} times`)
})
