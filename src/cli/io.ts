import type { Observable } from 'rxjs'
import type { Environment } from '../model/index.js'

export type Signal = 'SIGINT' | 'SIGTERM'

export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** What the command knows of its process, so that tests can run it inside theirs. */
export interface Io {
  readonly env: Environment
  readonly cwd: string
  readonly stdout: Output
  readonly stderr: Output
  readonly signals$: Observable<Signal>
}

/** What the process ends with; 78 is EX_CONFIG of sysexits.h, and a second signal ends with 128 and its number. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, configuration: 78, SIGINT: 130, SIGTERM: 143 } as const

/** The command line itself does not hold. */
export class UsageError extends Error {}
