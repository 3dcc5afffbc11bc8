import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { python } from '../../test/servers/python-install.js'

/** What a contestant reports; `rssMiB` is the most memory that it had. */
export type Result = { readonly rssMiB: number } & Readonly<Record<string, unknown>>

/** Starts a contestant in a process of its own, whose output is to be read. Scripts of Python have names that end so. */
export function startContestant(script: string, environment: Readonly<Record<string, string>>) {
  const [program, ...args] = script.endsWith('.py')
    ? [python, fileOf(script)]
    : [process.execPath, '--import', 'jiti/register', fileOf(`${script}.ts`)]
  return spawn(program, args, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** Runs a contestant in a process of its own and returns what it reports. */
export async function contest(script: string, environment: Readonly<Record<string, string>>): Promise<Result> {
  const child = startContestant(script, environment)
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  const last = output.trim().split('\n').at(-1) ?? ''
  if (code !== 0 || !last.startsWith('{')) throw new Error(`contestant ${script} ended with ${code}: ${output}`)
  return JSON.parse(last) as Result
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [below, above] = [sorted[middle - 1] ?? 0, sorted[middle] ?? 0]
  return sorted.length % 2 === 1 ? above : (below + above) / 2
}

/** The value below which `fraction` of the values lie. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN
}

function fileOf(script: string): string {
  return fileURLToPath(new URL(`../contestants/${script}`, import.meta.url))
}
