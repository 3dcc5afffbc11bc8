/** `npm run simulate -- --seeds 2000 [--seed S]`: flows in simulated worlds; with only `--seed`, one, with its trace. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { exitWith, root } from './process.mjs'
import { setup } from './setup.mjs'

await setup().catch(exitWith)
const file = join(root, 'test', 'simulation', 'run.ts')
const run = ['--import', 'jiti/register', file, ...process.argv.slice(2)]
const { status } = spawnSync(process.execPath, run, { cwd: root, stdio: 'inherit' })
process.exitCode = status ?? 1
