import type { Fault } from './chaos.js'
import type { Worker } from './job.js'

/** What became of all that a system was given. */
export interface Balance {
  /** One line: how much there was, and where it went. */
  readonly summary: string
  /** What is neither in the results nor in the dead letters. */
  readonly lost: readonly string[]
  /** What counts more than once, or is in the results and in the dead letters. */
  readonly doubled: readonly string[]
  /** Everything else that is not as it should be. */
  readonly odd: readonly string[]
  /** How many records were dead-lettered as late: accounted for, and still to be told. */
  readonly late: number
}

/** A system under load, until it is settled. */
export interface Soaked {
  readonly name: string
  /** Its processes, those that are down too. */
  readonly workers: readonly Worker[]
  /** What goes wrong with it, by the hands that deal at the same time. */
  readonly hands: readonly (readonly Fault[])[]
  /** Ends the load, waits for what is on its way, ends all processes, and says what became of it. */
  settle(): Promise<Balance>
}

/** The report of a soak, and whether everything is accounted for. */
export function reportOf(balances: ReadonlyMap<string, Balance>): { readonly text: string; readonly isExact: boolean } {
  const lines = [...balances].flatMap(([name, { summary, lost, doubled, odd, late }]) => [
    `${name}: ${summary}`,
    `${name}: ${lost.length} lost, ${doubled.length} doubled, ${late} late, ${odd.length} otherwise wrong`,
    ...some('lost', lost),
    ...some('doubled', doubled),
    ...some('odd', odd),
  ])
  const isExact = [...balances.values()].every(
    ({ lost, doubled, odd }) => lost.length + doubled.length + odd.length === 0,
  )
  return { text: lines.join('\n'), isExact }
}

function some(how: string, what: readonly string[]): string[] {
  return what.slice(0, 20).map((each) => `    ${how}: ${each}`)
}

/** Of two lists of ids what one has more often than the other. */
export function compared(found: Iterable<string>, expected: Iterable<string>): { lost: string[]; doubled: string[] } {
  const counts = new Map<string, number>()
  for (const id of found) counts.set(id, (counts.get(id) ?? 0) + 1)
  for (const id of expected) counts.set(id, (counts.get(id) ?? 0) - 1)
  const all = [...counts]
  return {
    lost: all.filter(([, count]) => count < 0).map(([id]) => id),
    doubled: all.filter(([, count]) => count > 0).map(([id]) => id),
  }
}
