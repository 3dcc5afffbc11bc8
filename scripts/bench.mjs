/** `npm run bench [-- windows rows latency]`: the benchmarks that are named, or all, one after the other. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { exitWith, root } from './process.mjs'
import { setup } from './setup.mjs'

const all = [
  'windows',
  'rows',
  'pipeline',
  'archive',
  'latency',
  'exactly-once',
  'streams',
  'workers',
  'restore',
  'rebalance',
  'log-size',
  'sse',
  'stats',
  'long-tail',
]
const named = process.argv.slice(2)

await setup().catch(exitWith)
for (const name of named.length > 0 ? named : all) {
  const file = join(root, 'bench', `${name}.ts`)
  const { status } = spawnSync(process.execPath, ['--import', 'jiti/register', file], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
