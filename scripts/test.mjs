/**
 * `npm test`: makes the clone ready, runs every suite, and says first what that is, and last how many tests passed, failed and
 * were skipped.
 * Arguments go to vitest; those that name files below test/types choose type tests.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitWith, root } from './process.mjs'
import { setup } from './setup.mjs'

const vitest = ['vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=./scripts/count-tests.mjs']
const tstyche = ['tstyche/build/bin.js', '--reporters', 'list,summary,./scripts/count-type-tests.mjs']

await setup().catch(exitWith)
const args = process.argv.slice(2)
const announcing = args.some(isPath) ? {} : announced()
const counts = [vitestCounts(args), typeCounts(args)].filter((count) => count !== undefined)
const sum = (key) => counts.reduce((total, count) => total + count[key], 0)
const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map(sum)
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1

function vitestCounts(args) {
  const named = args.filter(isPath)
  if (named.length > 0 && named.every(isTypeTest)) return undefined
  return runOf([...vitest, ...args.filter((arg) => !isTypeTest(arg))])
}

/** Says what is run where that is everything; which servers are not there the first runner says. */
function announced() {
  const files = readdirSync(join(root, 'test'), { recursive: true }).filter((file) => file.endsWith('.test.ts')).length
  console.log(
    `weir test: ${files} files of test/, two at a time, and the type tests: with all servers half an hour on two cores, ` +
      'without any ten minutes; `npm test -- test/marbles` runs some of them',
  )
  return { WEIR_TEST_ANNOUNCE: 'true' }
}

/** All type tests when no file is named; vitest's options mean nothing to them. */
function typeCounts(args) {
  const named = args.filter(isPath)
  if (named.length === 0 && args.length > 0) return undefined
  if (named.length > 0 && !named.some(isTypeTest)) return undefined
  return runOf([...tstyche, ...named])
}

/** A runner that failed without a failed test (it could not start, say) counts as one failure. */
function runOf([script, ...rest]) {
  const folder = mkdtempSync(join(tmpdir(), 'weir-test-'))
  const file = join(folder, 'counts.json')
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules', script), ...rest], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...announcing, WEIR_TEST_COUNTS: file },
  })
  const count = read(file)
  rmSync(folder, { recursive: true })
  return status !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }
  }
}

function isPath(arg) {
  return !arg.startsWith('-')
}

function isTypeTest(arg) {
  return /^(\.\/)?test\/types(\/|$)/.test(arg)
}
