import { printableLine, timeText } from '../../model/index.js'
import { exitCodes, type Io } from '../io.js'
import { countOption } from '../number-option.js'
import { painter, shownJson, table } from '../paint.js'
import { countText } from '../stored.js'
import { type FilterOptions, filterOf, type LetterFilter } from './filter.js'
import { allLetters, type Letter, originText } from './letters.js'
import { atDesk, type WhereOptions } from './where.js'

export interface LsOptions extends WhereOptions, FilterOptions {
  readonly all?: boolean
  readonly limit?: string
  readonly json?: boolean
}

/** Letters that failed alike. */
interface Group {
  readonly topic: string
  readonly flow: string | undefined
  readonly stage: string | undefined
  readonly code: string | undefined
  letters: number
  oldest: number
  newest: number
}

/** What is listed. */
interface Listed {
  readonly isMeant: LetterFilter
  /** Those that were replayed or dropped as well. */
  readonly all: boolean
  /** How many of the newest are kept. */
  readonly limit: number
}

/** What a listing has: all letters in groups, and the newest as they are. */
interface Listing {
  readonly waiting: number
  readonly replayed: number
  readonly dropped: number
  readonly groups: readonly Group[]
  readonly newest: readonly Letter[]
}

const usualLimit = '20'

/** `weir dlq ls`: how many letters there are of each kind, and the newest of them. */
export async function ls(options: LsOptions, io: Io): Promise<number> {
  const limit = countOption('--limit', options.limit ?? usualLimit, 'letters')
  const meant = { isMeant: filterOf(options), all: options.all ?? false, limit }
  return atDesk(options, io, async ({ topics, prepared }) => {
    const listing = await listed(allLetters(topics), meant)
    const text = options.json ? shownJson(asJson(listing)) : lines(listing, options, io).join('\n')
    io.stdout.write(prepared.redact(`${text}\n`))
    return exitCodes.ok
  })
}

/** Counts all letters that are meant, and keeps the newest. */
export async function listed(
  letters: AsyncIterable<readonly Letter[]>,
  { isMeant, all: withMarked, limit }: Listed,
): Promise<Listing> {
  const counts = { waiting: 0, replayed: 0, dropped: 0 }
  const groups = new Map<string, Group>()
  let newest: Letter[] = []
  for await (const some of letters) {
    for (const letter of some) {
      if (!isMeant(letter)) continue
      counts[letter.mark?.state ?? 'waiting']++
      if (letter.mark !== undefined && !withMarked) continue
      grouped(letter, groups)
      newest.push(letter)
    }
    if (newest.length > limit) newest = newest.sort(byAge).slice(0, limit)
  }
  const all = [...groups.values()].sort((one, other) => other.letters - one.letters || other.newest - one.newest)
  return { ...counts, groups: all, newest: newest.sort(byAge) }
}

function grouped({ topic, facts: { flow, stage, code }, timestamp }: Letter, groups: Map<string, Group>): void {
  const name = JSON.stringify([topic, flow, stage, code])
  const group = groups.get(name)
  if (group === undefined) {
    groups.set(name, { topic, flow, stage, code, letters: 1, oldest: timestamp, newest: timestamp })
    return
  }
  group.letters++
  group.oldest = Math.min(group.oldest, timestamp)
  group.newest = Math.max(group.newest, timestamp)
}

/** Newest first; where times are the same, the one that was written last. */
function byAge(one: Letter, other: Letter): number {
  return other.timestamp - one.timestamp || other.offset - one.offset
}

function asJson({ newest, ...listing }: Listing) {
  const groups = listing.groups.map(({ oldest, newest: latest, ...group }) => {
    return { ...group, oldest: timeText(oldest), newest: timeText(latest) }
  })
  const letters = newest.map((letter, index) => {
    const { at, key, timestamp, facts, mark } = letter
    const { flow, stage, code, message, replays } = facts
    return {
      number: index + 1,
      at,
      time: timeText(timestamp),
      from: originText(facts),
      key: key === null ? null : key.toString(),
      ...{ flow, stage, code, message, replays, mark },
    }
  })
  return { ...listing, groups, letters }
}

function lines({ groups, newest, ...counts }: Listing, { all = false }: LsOptions, io: Io): string[] {
  const paint = painter(io.stdout, io)
  const headed = ([heading = '', ...rest]: readonly string[]) => [paint('dim', heading), ...rest]
  const told = ([state, count]: readonly [string, number]) =>
    count > 0 ? [`${countText(count, 'letter')} ${state}`] : []
  const states = [
    ...told(['waiting', counts.waiting]),
    ...told([all ? 'replayed' : 'replayed (--all shows them)', counts.replayed]),
    ...told([all ? 'dropped' : 'dropped (--all shows them)', counts.dropped]),
  ]
  if (groups.length === 0) return [states.length === 0 ? 'no dead letters' : states.join(', ')]
  const width = io.stdout.columns ?? Number.POSITIVE_INFINITY
  const kinds = groups.map((group) => [
    group.letters.toLocaleString('en'),
    ...[group.flow, group.stage, group.code].map(orDash),
    timeText(group.newest),
    group.topic,
  ])
  const some = newest.map((letter, index) => {
    const { key, timestamp, at, facts, mark } = letter
    const shown = [facts.code, key?.toString()].map(orDash)
    return [String(index + 1), at, timeText(timestamp), ...shown, mark?.state ?? '', firstLine(facts.message)]
  })
  return [
    states.join(', '),
    '',
    ...headed(table([['letters', 'flow', 'stage', 'code', 'newest', 'topic'], ...kinds], width)),
    '',
    ...headed(table([['#', 'letter', 'time', 'code', 'key', '', 'error'], ...some], width)),
  ]
}

function orDash(text: string | undefined): string {
  return text === undefined ? '–' : printableLine(text)
}

const messageLength = 80

function firstLine(message: string | undefined): string {
  const [line = ''] = (message ?? '').split('\n')
  return line.length > messageLength ? `${line.slice(0, messageLength)}…` : line
}
