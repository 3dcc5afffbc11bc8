import { fileURLToPath } from 'node:url'
import { ESLint } from 'eslint'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const rules = ['no-restricted-syntax', 'no-restricted-globals', 'no-restricted-imports']

const eslint = new ESLint({
  cwd: root,
  overrideConfig: { languageOptions: { parserOptions: { projectService: false } } },
  // The rules that need types can not run on a file that does not exist.
  ruleFilter: ({ ruleId }) => rules.includes(ruleId),
})

async function complaints(code: string, file = 'src/operators/some.ts'): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath: `${root}/${file}` })
  return (result?.messages ?? []).map(({ message }) => message)
}

const forbidden = [
  ['a subject', 'new ReplaySubject()', 'Derive the observable'],
  ['subscribing', 'records$.subscribe()', 'Return the observable'],
  ['mergeMap without a concurrency', 'records$.pipe(mergeMap(write))', '`mergeMap(fn, 8)`'],
  ['mergeAll without a concurrency', 'records$.pipe(mergeAll())', '`mergeMap(fn, 8)`'],
  ['shareReplay', "import { shareReplay } from 'rxjs'", '`branch`'],
  ['switchMap', "import { switchMap } from 'rxjs'", '`concatMap`'],
  ['switchMap by another name', "import { map, switchMap as latest } from 'rxjs/operators'", '`concatMap`'],
  ['exhaustMap', "import { exhaustMap } from 'rxjs'", '`concatMap`'],
  ['debounceTime', "import { debounceTime } from 'rxjs'", '`batch`'],
  ['auditTime', "import { auditTime } from 'rxjs'", '`batch`'],
  ['sampleTime', "import { sampleTime } from 'rxjs'", '`filter`'],
  ['throttleTime', "import { throttleTime } from 'rxjs'", '`aggregate`'],
  ['rx(scan)', 'rx(scan(add, 0))', '`aggregate`'],
  ['rx(pipe(pairwise))', 'rx(pipe(map(size), pairwise()))', '`keyBy` and `aggregate`'],
  ['rx(distinct)', 'rx(distinct())', '`keyBy` and `aggregate`'],
  ['rx(bufferCount)', 'rx(bufferCount(10))', '`batch`'],
  ['rx(windowCount)', 'rx(windowCount(10))', '`aggregate` with a window'],
  ['Date.now', 'Date.now()', '`context.clock.now()`'],
  ['performance.now', 'performance.now()', '`context.clock.now()`'],
  ['new Date()', 'new Date()', '`context.clock.now()`'],
  ['a duration by the wall clock', 'context.clock.now() - began', '`clock.scheduler.now()`'],
  ['setTimeout', 'setTimeout(flush, 10)', '`timer(ms, context.clock.scheduler)`'],
  ['setInterval', 'setInterval(flush, 10)', '`timer(ms, context.clock.scheduler)`'],
] as const

describe.each(['sources', 'operators', 'sinks', 'flows'])('in src/%s', (folder) => {
  test.each(forbidden)('%s is refused, and the replacement named', async (_what, code, replacement) => {
    expect(await complaints(code, `src/${folder}/some.ts`)).toEqual([expect.stringContaining(replacement)])
  })
})

test('what stages need is allowed', async () => {
  const code = `
    import { concatMap, mergeMap, timer, type Subject } from 'rxjs'
    const at = new Date(record.timestamp)
    export const written$ = records$.pipe(mergeMap(write, 8), concatMap(() => timer(5, context.clock.scheduler)))`
  expect(await complaints(code)).toEqual([])
})

test('the engine may do what stages may not', async () => {
  expect(await complaints('new Subject().subscribe(); Date.now()', 'src/engine/some.ts')).toEqual([])
})

test('a duration by the wall clock is refused everywhere, and one by the steady clock nowhere', async () => {
  expect(await complaints('clock.now() - began', 'src/engine/some.ts')).toHaveLength(1)
  expect(await complaints('clock.scheduler.now() - began', 'src/engine/some.ts')).toEqual([])
})

test('the one file that makes operators may subscribe, and nothing else', async () => {
  const file = 'src/operators/internal/operate.ts'
  expect(await complaints('input$.subscribe(output)', file)).toEqual([])
  expect(await complaints('new Subject()', file)).toHaveLength(1)
})

test.each(['process.env.HOME', "import { env } from 'node:process'", "import process from 'process'"])(
  'only src/cli knows the process: %s',
  async (code) => {
    const expected = [expect.stringContaining('Only src/cli knows the process')]
    for (const folder of ['model', 'engine', 'operators', 'worker', 'config']) {
      expect(await complaints(code, `src/${folder}/some.ts`)).toEqual(expected)
    }
    expect(await complaints(code, 'src/cli/some.ts')).toEqual([])
  },
)
