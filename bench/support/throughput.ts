import { contest, median } from './contest.js'

export const contestants = ['loop', 'weir'] as const

interface Around {
  /** Clears away before each run what the one before has left for the servers to do. */
  readonly tidy?: () => Promise<void>
  readonly prepare?: (run: string) => Promise<void>
  /** Looks at what a run has written, and throws when it is not what it should be. */
  readonly verify?: (name: (typeof contestants)[number], run: string) => Promise<void>
  readonly wanted?: number
}

/** Lets a hand-written loop and a flow run in turn, each in a fresh process, and compares the medians of their rates. */
export async function compareThroughput(
  what: string,
  rounds: number,
  environment: (run: string) => Record<string, string>,
  { tidy, prepare, verify, wanted = 0.95 }: Around = {},
): Promise<void> {
  const rates: Record<(typeof contestants)[number], number[]> = { loop: [], weir: [] }
  for (let round = 1; round <= rounds; round++) {
    for (const name of round % 2 === 1 ? contestants : [...contestants].reverse()) {
      await tidy?.()
      const run = `${Date.now()}`
      await prepare?.(run)
      const result = await contest(`${what}-${name}`, environment(run))
      await verify?.(name, run)
      rates[name].push(Number(result['recordsPerSecond']))
      console.log(`${what}, round ${round}, ${name}:`, JSON.stringify(result))
    }
  }
  const [loop, weir] = [median(rates.loop), median(rates.weir)]
  console.log(
    `${what}, median: loop ${loop}/s, weir ${weir}/s, ratio ${(weir / loop).toFixed(3)} (at least ${wanted} is wanted)`,
  )
}
