import { contest, median } from './contest.js'

export const contestants = ['loop', 'weir'] as const

/**
 * Lets a hand-written loop and a flow run in turn, each in a fresh process, and compares the medians of their rates.
 * `tidy` clears away before each run what the one before has left for the servers to do.
 */
export async function compareThroughput(
  what: string,
  rounds: number,
  environment: (run: string) => Record<string, string>,
  tidy: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const rates: Record<(typeof contestants)[number], number[]> = { loop: [], weir: [] }
  for (let round = 1; round <= rounds; round++) {
    for (const name of round % 2 === 1 ? contestants : [...contestants].reverse()) {
      await tidy()
      const result = await contest(`${what}-${name}`, environment(`${Date.now()}`))
      rates[name].push(Number(result['recordsPerSecond']))
      console.log(`${what}, round ${round}, ${name}:`, JSON.stringify(result))
    }
  }
  const [loop, weir] = [median(rates.loop), median(rates.weir)]
  console.log(
    `${what}, median: loop ${loop}/s, weir ${weir}/s, ratio ${(weir / loop).toFixed(3)} (at least 0.95 is wanted)`,
  )
}
