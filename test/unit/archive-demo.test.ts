import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, type TestContext, test, vi } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const command = [process.execPath, 'bin/weir.js', 'start', 'archive']

/** The system as somebody tries it who has set nothing, but for where the files go. */
function demo({ onTestFinished }: TestContext, argv: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'weir-demo-'))
  const [program = '', ...args] = argv
  const { PATH, HOME } = process.env
  const child: ChildProcess = spawn(program, args, {
    cwd: root,
    env: { PATH, HOME, SERVER_PORT: '0', ARCHIVE_PATH: folder, TERM: 'xterm', ...more },
    detached: true,
  })
  let said = ''
  for (const output of [child.stdout, child.stderr])
    output?.setEncoding('utf8').on('data', (text: string) => void (said += text))
  const ended = new Promise<unknown>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), 'SIGKILL')
    await ended
    rmSync(folder, { recursive: true })
  })
  const files = () =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.parquet'))
  return { child, ended, files, folder, text: () => stripVTControlCharacters(said) }
}

const patience = { timeout: 90_000, interval: 200 }

/** The command that is told at the end, as a shell takes it. */
function told(text: string, folder: string): string {
  const [, line = ''] = /what event-archive has written:\s+(duckdb -c .*)/.exec(text) ?? []
  const argv = execFileSync('sh', ['-c', `duckdb() { printf '%s|' "$@"; }; ${line.trim()}`], { encoding: 'utf8' })
  expect(argv).toBe(`-c|select type, count(*) from '${folder}/**/*.parquet' group by 1|`)
  return line
}

describe.concurrent('the archive', () => {
  test('on a terminal: files appear within a minute, and at the end how to look at them', async (context) => {
    const line = `stty cols 100 rows 40; exec ${command.join(' ')}`
    const { child, ended, files, folder, text } = demo(context, ['script', '-qefc', line, '/dev/null'], {
      NO_COLOR: '1',
    })
    await vi.waitFor(() => expect(files().length).toBeGreaterThan(0), patience)
    await vi.waitFor(
      () => expect(text()).toMatch(/last files in .*\s+file +records +bytes\s+events\/v[12]\/dt=.*\.parquet +\d+ +\d+/),
      patience,
    )
    expect(text()).toMatch(/event-archive running {2}events → .*\/\*\*\/\*\.parquet · exactly once/)
    // As a terminal does.
    child.stdin?.write('\u0003')
    expect(await ended).toBe(0)
    told(text(), folder)
    // What ended with the terminal is the end of the view.
    expect(text().trimEnd()).toMatch(/group by 1"\s+npx weir archive verify$/)
  })

  test('without a terminal: a line for each file, and at the end how to look at them', async (context) => {
    const { child, ended, files, folder, text } = demo(context, command, { ARCHIVE_EVERY_SEC: '2' })
    await vi.waitFor(() => expect(text()).toMatch(/\[event-archive\] \d+ in, \d+\/s, lag \d+, files [1-9]/), patience)
    child.kill('SIGINT')
    expect(await ended).toBe(0)
    const logged = [...text().matchAll(/\[event-archive\] file (\S+), records \d+, bytes \d+\n/g)].map(
      ([, name]) => name,
    )
    expect(logged.length).toBeGreaterThan(0)
    expect(files()).toEqual(expect.arrayContaining(logged))
    told(text(), folder)
  })
})
