import { contest, median } from './contest.js'

interface Around {
  /** Whom a flow is compared with. Default: a hand-written loop. */
  readonly against?: string
  /** Clears away before each run what the one before has left for the servers to do. */
  readonly tidy?: () => Promise<void>
  readonly prepare?: (run: string) => Promise<void>
  /** Looks at what a run has written, and throws when it is not what it should be. */
  readonly verify?: (name: string, run: string) => Promise<void>
  readonly wanted?: number
}

/** Lets a flow and another run in turn, each in a fresh process, and compares the medians of their rates. */
export async function compareThroughput(
  what: string,
  rounds: number,
  environment: (run: string) => Record<string, string>,
  { against = 'loop', tidy, prepare, verify, wanted = 0.95 }: Around = {},
): Promise<void> {
  const contestants = [against, 'weir']
  const rates = new Map<string, number[]>(contestants.map((name) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const name of round % 2 === 1 ? contestants : [...contestants].reverse()) {
      await tidy?.()
      const run = `${Date.now()}`
      await prepare?.(run)
      const result = await contest(`${what}-${name}`, environment(run))
      await verify?.(name, run)
      rates.get(name)?.push(Number(result['recordsPerSecond']))
      console.log(`${what}, round ${round}, ${name}:`, JSON.stringify(result))
    }
  }
  const [other, weir] = contestants.map((name) => median(rates.get(name) ?? [])) as [number, number]
  console.log(
    `${what}, median: ${against} ${other}/s, weir ${weir}/s, ratio ${(weir / other).toFixed(3)} (at least ${wanted} is wanted)`,
  )
}
