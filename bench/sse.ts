/**
 * From the bytes of a stream of server-sent events to committed counts by site and by user: a hand-written loop over
 * eventsource-parser and a Map, and a Weir flow, in turn, each in a fresh process that reads from this one.
 */
import { serveChanges } from './support/changes.js'
import { compareThroughput } from './support/throughput.js'

const events = Number(process.env['EVENTS'] ?? 200_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)

const server = await serveChanges(events)
await compareThroughput('sse', rounds, () => ({ URL: server.url, EVENTS: String(events) }), { against: { loop: 0.5 } })
await server.close()
