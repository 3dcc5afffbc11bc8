import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { pause } from './stopwatch.js'

/** A contestant that shares its work with others and tells of it meanwhile. */
export abstract class Member<T> {
  private readonly process: ChildProcess

  constructor(script: string, environment: Readonly<Record<string, string>>) {
    const file = fileURLToPath(new URL(`../contestants/${script}.ts`, import.meta.url))
    this.process = fork(file, { execArgv: ['--import', 'jiti/register'], env: { ...process.env, ...environment } })
    this.process.on('message', (told: T) => this.hear(told))
  }

  protected abstract hear(told: T): void

  /** Lets it drain and leave the group. */
  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    this.process.kill('SIGTERM')
    await once(this.process, 'exit')
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }
}

/** Waits until a condition holds and what is looked at has not changed for so long, ms. Errors after five minutes. */
export async function quiet(isSo: () => boolean, seen: () => string, quietMs = 2_000): Promise<void> {
  let last = ''
  let since = performance.now()
  const deadline = since + 300_000
  for (;;) {
    const now = performance.now()
    const present = seen()
    if (present !== last) since = now
    last = present
    if (isSo() && now - since >= quietMs) return
    if (now > deadline) throw new Error(`nothing came to rest; the last that was seen: ${present}`)
    await pause(50)
  }
}

/** The same clock in every process of this machine, ms. */
export const sharedNow = () => performance.timeOrigin + performance.now()
