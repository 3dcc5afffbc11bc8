import { NEVER } from 'rxjs'
import { main } from '../../src/cli/main.js'

/** Runs a command in this process, as if in that folder and with these variables: its exit code, and all that it said. */
export async function weirIn(
  cwd: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; said: string }> {
  let said = ''
  const into = { write: (text: string) => void (said += text) }
  const startWorker = () => {
    throw new Error('no process is started here')
  }
  const code = await main(argv, { cwd, env, stdout: into, stderr: into, signals$: NEVER, startWorker })
  return { code, said }
}
