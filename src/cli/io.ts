import type { Observable } from 'rxjs'
import type { Environment } from '../model/index.js'
import type { Crew } from '../worker/crew.js'
import type { WorkerProcess } from '../worker/supervisor.js'

export type Signal = 'SIGINT' | 'SIGTERM'

type OutputEvent = 'drain' | 'close' | 'error'

export interface Output {
  /** False is that what was written waits to be taken, and that it is told when it was. */
  write(text: string): unknown
  on?(event: OutputEvent, told: () => void): unknown
  off?(event: OutputEvent, told: () => void): unknown
  /** False is that nobody reads any more. */
  readonly writable?: boolean | undefined
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** What is typed, or piped in. */
export interface Input extends AsyncIterable<unknown> {
  readonly isTTY?: boolean | undefined
}

/** What the command knows of its process, so that tests can run it inside theirs. */
export interface Io {
  readonly env: Environment
  readonly cwd: string
  readonly stdout: Output
  readonly stderr: Output
  readonly stdin?: Input | undefined
  readonly signals$: Observable<Signal>
  /** Emits when the configuration is to be loaded again. */
  readonly reload$?: Observable<unknown> | undefined
  /** What takes secrets out of texts, once a configuration has told what they are. */
  readonly secrets?: { redact: (text: string) => string }
  /** Asks whoever sits at the terminal, where somebody does. */
  readonly ask?: ((question: string) => Promise<string>) | undefined
  /** Where this process is one of several workers. */
  readonly worker?: OwnWorker | undefined
  /** Starts the same command again, as the worker of that number. */
  startWorker(worker: number): WorkerProcess
}

/** What a worker process knows of itself and the others. */
export interface OwnWorker {
  /** From 1. */
  readonly number: number
  readonly crew: Crew
}

/** What the process ends with; 78 is EX_CONFIG of sysexits.h, and a second signal ends with 128 and its number. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, configuration: 78, SIGINT: 130, SIGTERM: 143 } as const

/** The command line itself does not hold. */
export class UsageError extends Error {}

/** Whether somebody at the terminal says yes. Errors: `UsageError` where nobody is there. */
export async function agreed(question: string, io: Io): Promise<boolean> {
  if (io.ask === undefined) throw new UsageError('nobody is here to ask: say it with --yes')
  return /^y(es)?$/i.test((await io.ask(`${question} [y/N] `)).trim())
}

/** What an option has that may be given several times. */
export function gathered(one: string, before: readonly string[] = []): readonly string[] {
  return [...before, one]
}
