import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const usualUpMs = 120_000

interface ServerHome {
  /** Where it runs, and keeps its log. Goes when the server does for good. */
  readonly directory: string
  /** Whom it runs as; the test's own user if nobody is named. */
  readonly owner?: { readonly uid?: number; readonly gid?: number }
  /** How long it may take to start. */
  readonly upMs?: number
}

/** A server that a test starts and ends, as often as it likes. None outlives the test process. */
export class ServerProcess {
  private child: ChildProcess | undefined

  constructor(private readonly home: ServerHome) {}

  get directory(): string {
    return this.home.directory
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.isRunning ? this.child?.pid : undefined
  }

  /** What it has said since it was started last. */
  get said(): string {
    return readFileSync(this.log, 'utf8')
  }

  /** Starts the program. Resolves when `ask` does: false when the program exited instead, or its time is up. */
  async start(program: string, args: readonly string[], ask: () => Promise<unknown>): Promise<boolean> {
    const log = openSync(this.log, 'w')
    const { owner = {}, directory, upMs = usualUpMs } = this.home
    this.child = spawn(program, args, { ...owner, cwd: directory, stdio: ['ignore', log, log] })
    closeSync(log)
    running.add(this)
    for (const deadline = Date.now() + upMs; this.isRunning && Date.now() < deadline; await sleep(20)) {
      const asked = ask().then(
        () => true,
        () => false,
      )
      // One that takes the question and never answers is not up.
      const isUp = await Promise.race([asked, sleep(deadline - Date.now(), false, { ref: false })])
      if (isUp) return true
    }
    return false
  }

  /** Resolves when the process is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    }
    running.delete(this)
  }

  /** Removes its files, and ends it at once if it still runs. */
  remove(): void {
    this.child?.kill('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }

  private get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  private get log(): string {
    return join(this.directory, 'log')
  }
}

const running = new Set<ServerProcess>()
process.once('exit', () => {
  for (const server of running) server.remove()
})
