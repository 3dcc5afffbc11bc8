/** The floor: the parser over fetch and two Maps. It keeps nothing, and knows no repeats. */
import { createParser } from 'eventsource-parser'
import { report } from '../support/report.js'

const { URL: url = '', EVENTS = '0' } = process.env
const total = Number(EVENTS)
const byDomain = new Map<string, number>()
const byUser = new Map<string, number>()
let read = 0
let began = 0
let cpu = process.cpuUsage()

const parser = createParser({
  onEvent: ({ data }) => {
    const { meta, user } = JSON.parse(data) as { readonly meta: { readonly domain: string }; readonly user: string }
    byDomain.set(meta.domain, (byDomain.get(meta.domain) ?? 0) + 1)
    byUser.set(user, (byUser.get(user) ?? 0) + 1)
    read++
  },
})
const { body } = await fetch(url)
const decoder = new TextDecoder()
for await (const bytes of body as unknown as AsyncIterable<Uint8Array>) {
  if (began === 0) {
    began = performance.now()
    cpu = process.cpuUsage()
  }
  parser.feed(decoder.decode(bytes, { stream: true }))
  if (read >= total) break
}
const ms = performance.now() - began
const { user, system } = process.cpuUsage(cpu)
report({
  recordsPerSecond: Math.round((total / ms) * 1_000),
  cpuMicrosPerEvent: Number(((user + system) / total).toFixed(1)),
  sites: byDomain.size,
  users: byUser.size,
  counted: [...byUser.values()].reduce((sum, count) => sum + count, 0),
})
process.exit(0)
