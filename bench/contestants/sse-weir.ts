/** The same counts as a flow: repeats are known, and ids, counts and position commit together. */
import { aggregate, count, defineConfig, flatMap, flow, json, sse } from 'weirflow'
import { countingSink } from '../support/counting-sink.js'
import { report } from '../support/report.js'
import { runFlow } from '../support/run-flow.js'

const { URL: url = '', EVENTS = '0' } = process.env
const total = Number(EVENTS)

interface Change {
  readonly meta: { readonly domain: string }
  readonly user: string
}

const counts = new Map<string, number>()
/** From the first event on, as the loop measures. */
let cpu: NodeJS.CpuUsage | undefined

function keysOf(domain: string, user: string): string[] {
  cpu ??= process.cpuUsage()
  return [`domain ${domain}`, `user ${user}`]
}

const config = defineConfig({
  app: 'bench',
  flows: {
    changes: flow(
      sse({ url, onError: 'skip' }),
      json<Change>(undefined, { onError: 'skip' }),
      flatMap(({ meta, user }) => keysOf(meta.domain, user)),
      aggregate('counts', { by: (key) => key, of: { total: count() }, emit: 'epoch' }),
      countingSink(({ key, value }) => counts.set(String(key), value.total)),
    ),
  },
})

const ms = await runFlow(config, total)
const { user, system } = process.cpuUsage(cpu)
const keys = [...counts.keys()]
report({
  recordsPerSecond: Math.round((total / ms) * 1_000),
  cpuMicrosPerEvent: Number(((user + system) / total).toFixed(1)),
  sites: keys.filter((key) => key.startsWith('domain ')).length,
  users: keys.filter((key) => key.startsWith('user ')).length,
  counted: [...counts].reduce((sum, [key, count]) => (key.startsWith('user ') ? sum + count : sum), 0),
})
process.exit(0)
