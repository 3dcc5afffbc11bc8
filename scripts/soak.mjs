/**
 * `npm run soak [-- --minutes 30 --seed 7]`: all systems at once on real servers, so long under load, faults and bad input;
 * then says what was lost, doubled or late. Ends with 1 when anything is not accounted for. The same seed deals the same
 * faults; without one a fresh seed is printed.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exitWith, root } from './process.mjs'
import { setup } from './setup.mjs'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '30' }, seed: { type: 'string' } } })
const settings = { SOAK_SECONDS: String(Number(values.minutes) * 60), SOAK_SEED: values.seed }

await setup().catch(exitWith)
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const { status } = spawnSync(process.execPath, [vitest, 'run', 'test/servers/soak.test.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) },
})
process.exitCode = status ?? 1
