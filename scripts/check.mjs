/**
 * `npm run check`: everything that has to hold before a change goes in, the tests last (not with `--static`).
 * All steps run, even after one that fails, so that one run shows all there is to mend.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { exitWith, root } from './process.mjs'
import { setup } from './setup.mjs'

const tool = (path, ...args) => [join(root, 'node_modules', path), ...args]
const script = (name, ...args) => [join(root, 'scripts', name), ...args]

const steps = [
  ['format', tool('@biomejs/biome/bin/biome', 'check', '--max-diagnostics=20')],
  ['types', tool('typescript/bin/tsc', '-p', '.')],
  ['lint', tool('eslint/bin/eslint.js')],
  ['import rules', tool('dependency-cruiser/bin/dependency-cruise.mjs', 'src', 'flows.config.ts')],
  ['dead code', tool('knip/bin/knip.js')],
  ['build', script('build.mjs')],
  ['package', tool('publint/src/cli.js', '--strict')],
  ['API report', script('api-report.mjs')],
  ['reference pages', script('reference.mjs')],
]

await setup().catch(exitWith)
const failed = steps.filter(([name, command]) => !holds(name, command)).map(([name]) => name)
console.log(failed.length === 0 ? '\nall checks hold' : `\nfailed: ${failed.join(', ')}`)
const tests = process.argv.includes('--static') || runs(script('test.mjs'))
process.exitCode = failed.length === 0 && tests ? 0 : 1

function holds(name, command) {
  console.log(`\n── ${name}`)
  return runs(command)
}

function runs(command) {
  return spawnSync(process.execPath, command, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
}
