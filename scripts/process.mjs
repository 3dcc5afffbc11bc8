/** What the set-up scripts share: progress for people, child processes, errors of one line. */
import { spawn, spawnSync } from 'node:child_process'
import { createWriteStream, existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Something that only the reader can mend, in one line. */
export class SetupError extends Error {}

/** Progress goes to stderr, so that a command's output stays what it printed. */
export function tell(line) {
  process.stderr.write(`weir setup: ${line}\n`)
}

export function exitWith(error) {
  process.stderr.write(`weir setup: ${error instanceof SetupError ? error.message : error.stack}\n`)
  process.exit(1)
}

/** The npm that runs us, or else the one on the path. */
export function npm() {
  const running = process.env.npm_execpath
  if (running?.endsWith('npm-cli.js')) return [process.execPath, running]
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm']
}

/** Whether a command can be run and says yes. */
export function succeeds(command, args, input) {
  return spawnSync(command, args, { input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0
}

/**
 * Runs a command quietly, telling what it is about and, every quarter of a minute, that it is still at it.
 * Throws a `SetupError` with what it complained of.
 */
export async function run(what, [command, ...args], { cwd = root, env = process.env, timeoutMs } = {}) {
  tell(`${what} …`)
  const started = Date.now()
  const logFile = join(tmpdir(), `weir-setup-${process.pid}.log`)
  const still = setInterval(() => tell(`… ${Math.round((Date.now() - started) / 1000)} s`), 15_000)
  const failure = await outcome(command, args, { cwd, env, timeout: timeoutMs }, logFile)
  clearInterval(still)
  if (failure === undefined) return
  throw new SetupError(`${what} failed: ${failure} (all of it in ${logFile})`)
}

function outcome(command, args, options, logFile) {
  const log = createWriteStream(logFile)
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code) => log.end(() => resolve(code === 0 ? undefined : complaintIn(logFile))))
  })
}

/** The first complaint: what comes after it is mostly its consequence. */
function complaintIn(logFile) {
  const lines = existsSync(logFile) ? readFileSync(logFile, 'utf8').split('\n') : []
  const complaint = lines.find((line) => /Error: |ERR! |\b(error|fatal)\b[: ]/.test(line))
  return (complaint ?? lines.findLast((line) => line.trim() !== '') ?? 'no output').trim()
}
