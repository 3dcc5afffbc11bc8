import { contest, median, type Result } from './contest.js'

interface Contestant {
  readonly name: string
  readonly script: string
}

interface Around {
  /** Clears away before each run what the one before has left for the servers to do. */
  readonly tidy?: () => Promise<void>
  readonly prepare?: (run: string) => Promise<void>
  /** Looks at what a run has written, and throws when it is not what it should be. */
  readonly verify?: (name: string, run: string) => Promise<void>
}

/** Lets contestants run in turn, each in a fresh process. Returns what each has reported. */
export async function takeTurns(
  what: string,
  rounds: number,
  contestants: readonly Contestant[],
  environment: (run: string, name: string) => Record<string, string>,
  { tidy, prepare, verify }: Around = {},
): Promise<(name: string) => readonly Result[]> {
  const results = new Map(contestants.map(({ name }) => [name, [] as Result[]]))
  for (let round = 1; round <= rounds; round++) {
    for (const { name, script } of round % 2 === 1 ? contestants : [...contestants].reverse()) {
      await tidy?.()
      const run = `${Date.now()}`
      await prepare?.(run)
      const result = await contest(script, environment(run, name))
      await verify?.(name, run)
      results.get(name)?.push(result)
      console.log(`${what}, round ${round}, ${name}:`, JSON.stringify(result))
    }
  }
  return (name) => results.get(name) ?? []
}

/** The median of what contestants have reported, records a second. */
export function medianRate(results: readonly Result[]): number {
  return median(results.map(({ recordsPerSecond }) => Number(recordsPerSecond)))
}

/** Lets a flow and others (default: a hand-written loop) run in turn, and compares the medians of their rates. */
export async function compareThroughput(
  what: string,
  rounds: number,
  environment: (run: string) => Record<string, string>,
  {
    against = { loop: 0.95 },
    ...around
  }: Around & {
    /** The others, and how many times as fast as each the flow shall be. */
    readonly against?: Readonly<Record<string, number>>
  } = {},
): Promise<void> {
  const contestants = [...Object.keys(against), 'weir'].map((name) => ({ name, script: `${what}-${name}` }))
  const resultsOf = await takeTurns(what, rounds, contestants, environment, around)
  const weir = medianRate(resultsOf('weir'))
  for (const [name, wanted] of Object.entries(against)) {
    const other = medianRate(resultsOf(name))
    console.log(
      `${what}, median: ${name} ${other}/s, weir ${weir}/s, ratio ${(weir / other).toFixed(3)} (at least ${wanted} is wanted)`,
    )
  }
}
