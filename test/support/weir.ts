import { NEVER } from 'rxjs'
import type { Io } from '../../src/cli/io.js'
import { main } from '../../src/cli/main.js'

const noWorker: Io['startWorker'] = () => {
  throw new Error('no process is started here')
}

export interface Said {
  readonly code: number
  /** All that it said, in the order in which it did. */
  readonly said: string
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command in this process, as if in that folder and with these variables: its exit code, and what it said. */
export async function weirIn(
  cwd: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  startWorker = noWorker,
  stdin?: Io['stdin'],
): Promise<Said> {
  const written = { said: '', stdout: '', stderr: '' }
  const into = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written.said += text
      written[name] += text
    },
  })
  const signals$ = NEVER
  const io = { cwd, env, stdout: into('stdout'), stderr: into('stderr'), stdin, signals$, startWorker }
  const code = await main(argv, io)
  return { code, ...written }
}
