/**
 * `npm run chaos [-- --minutes 10 --seed 7]`: real servers and replicas under load, with faults at random times, so long
 * for each of the two systems. The same seed deals the same faults; without one a fresh seed is printed.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exitWith, root } from './process.mjs'
import { setup } from './setup.mjs'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } } })
const settings = { CHAOS_SECONDS: String(Number(values.minutes) * 60), CHAOS_SEED: values.seed }

await setup().catch(exitWith)
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const { status } = spawnSync(process.execPath, [vitest, 'run', 'test/servers/chaos.test.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) },
})
process.exitCode = status ?? 1
