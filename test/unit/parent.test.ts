import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TestScheduler } from 'rxjs/testing'
import { describe, expect, test } from 'vitest'
import { type Ancestry, orphaned } from '../../src/cli/parent.js'
import { privateFolder } from '../../src/config/private-folder.js'

const command = fileURLToPath(new URL('../../bin/weir.js', import.meta.url))

describe('a process that npm has started', () => {
  const underNpm = { npm_lifecycle_event: 'start' }
  /** Its parent is 20, a process of that name, whose own is 10; both are gone when told so. */
  function ancestry(env: Ancestry['env'], name: string) {
    const gone = { parent: false, beyond: false }
    const about = (pid: number) => (pid === 20 ? { name, parent: gone.beyond ? 1 : 10 } : undefined)
    return { gone, env, parent: () => (gone.parent ? 1 : 20), about }
  }

  test.each([
    ['its parent has gone', underNpm, 'npm', 'parent', true],
    ['npm has gone and the shell between them has not', underNpm, 'sh', 'beyond', true],
    ['what started npm has gone', underNpm, 'npm', 'beyond', false],
    ['its parent has gone, which was no npm', {}, 'bash', 'parent', false],
  ] as const)('when %s', (_, env, name, which, ends) => {
    new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(({ expectObservable, cold }) => {
      const around = ancestry(env, name)
      cold('1500ms x').subscribe(() => Object.assign(around.gone, { [which]: true }))
      expectObservable(orphaned(around), '5s !').toBe(ends ? '2s (x|)' : '-', { x: undefined })
    })
  })

  test('drains and ends when npm is killed, and keeps its files to itself', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'weir-parent-'))
    writeFileSync(
      join(cwd, 'flows.config.ts'),
      `import { consoleSink, defineConfig, flow, http } from 'weirflow'
       const Event = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const
       export default defineConfig({ app: 'x', flows: { orders: flow(http.post('/orders', { body: Event }), consoleSink()) } })`,
    )
    writeFileSync(
      join(cwd, 'package.json'),
      JSON.stringify({ name: 'x', private: true, scripts: { start: `umask 000 && node ${command} run --port 0` } }),
    )
    const npm = spawn('npm', ['start'], { cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let text = ''
    for (const output of [npm.stdout, npm.stderr]) output.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const said = (what: string) => expect.poll(() => text, { timeout: 90_000, interval: 50 }).toContain(what)
    try {
      await said('listening on')
      npm.kill('SIGKILL')
      await said('what started this process has ended')
      await said('"msg":"stopped"')
      const own = readdirSync(join(cwd, '.weir'), { recursive: true, encoding: 'utf8' }).map((name) =>
        join(cwd, '.weir', name),
      )
      expect(own.length).toBeGreaterThan(1)
      for (const path of [join(cwd, '.weir'), ...own]) {
        const found = statSync(path)
        expect([path, found.mode & 0o777]).toEqual([path, found.isDirectory() ? 0o700 : 0o600])
      }
    } finally {
      if (npm.pid !== undefined) {
        try {
          process.kill(-npm.pid, 'SIGKILL')
        } catch {
          // All have ended.
        }
      }
      rmSync(cwd, { recursive: true })
    }
  })
})

describe('a private folder', () => {
  test('is made for this user alone, and made so where it was not', () => {
    const home = mkdtempSync(join(tmpdir(), 'weir-private-'))
    expect(privateFolder(join(home, 'a', 'b'))).toBe(join(home, 'a', 'b'))
    expect(statSync(join(home, 'a', 'b')).mode & 0o777).toBe(0o700)
    writeFileSync(join(home, 'file'), 'x')
    expect(privateFolder(join(home, 'file'))).toBeUndefined()
    expect(privateFolder(join(home, 'file', 'below'))).toBeUndefined()
    expect(readFileSync(join(home, 'file'), 'utf8')).toBe('x')
    rmSync(home, { recursive: true })
  })
})
