import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { exclusively, exclusivelySync, take } from '../../scripts/lock.mjs'

const script = pathToFileURL(join(import.meta.dirname, '..', '..', 'scripts', 'lock.mjs')).href

function lockHere(): string {
  const folder = mkdtempSync(join(tmpdir(), 'weir-lock-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'lock')
}

/** Another process that runs this with the lock. */
function another(lock: string, work: string): ChildProcess {
  const text = `import { exclusively, take } from '${script}'\nconst lock = '${lock}'\n${work}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

test('a lock is kept for as long as its process lives, and no longer', async () => {
  const lock = lockHere()
  const holder = another(lock, "console.log(take(lock)); process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6)")
  await once(holder.stdout!, 'data')
  expect([take(lock), take(lock)]).toEqual([false, false])
  const ended = once(holder, 'exit')
  holder.kill('SIGKILL')
  await ended
  expect(exclusivelySync(lock, () => existsSync(lock))).toBe(true)
  expect(existsSync(lock)).toBe(false)
})

test.skipIf(process.platform !== 'linux')(
  'a process id that came back holds no lock of who had it before',
  async () => {
    const lock = lockHere()
    mkdirSync(lock)
    writeFileSync(join(lock, `${process.pid}-1`), '')
    expect(await exclusively(lock, () => readdirSync(lock).length)).toBe(1)
  },
)

test('what is done alone is not done twice at once, though some are killed over it', async () => {
  const lock = lockHere()
  const count = `${lock}.count`
  writeFileSync(count, '0')
  const adding = `
    import { readFileSync, writeFileSync } from 'node:fs'
    for (let left = 20; left > 0; left--)
      await exclusively(lock, async () => {
        const before = Number(readFileSync('${count}', 'utf8'))
        await new Promise((resolve) => setTimeout(resolve, 1))
        writeFileSync('${count}', String(before + 1))
      })`
  const dying = "await exclusively(lock, () => process.kill(process.pid, 'SIGKILL'))"
  const all = [adding, dying, adding, dying, adding].map((work) => once(another(lock, work), 'exit'))
  await Promise.all(all)
  expect(Number(readFileSync(count, 'utf8'))).toBe(60)
  expect(readdirSync(join(lock, '..'))).toEqual(['lock.count'])
})
