import {
  type Aggregated,
  aggregate,
  branch,
  count,
  env,
  eventTime,
  flatMap,
  flow,
  hopping,
  isoReader,
  json,
  type Key,
  kafka,
  keyBy,
  type ReadTable,
  time,
  to,
  type ViewEntry,
  view,
  type Windowed,
} from 'weirflow'
import { z } from 'zod'
import { Change, changesTopic } from './wikimedia.js'

const storage = env('STORAGE').oneOf('memory', 'redis', 'cassandra', 'postgres').default('memory')

const tables = ['by_domain', 'by_user', 'by_domain_user'] as const
const spans = ['all', '1m', '1h'] as const
type Span = (typeof spans)[number]

/** A change as it counts for one key of one table, over one span of time. */
interface Counted {
  readonly span: Span
  /** The table and the key in it: what is counted together. */
  readonly group: string
  readonly isBot: boolean
}

const separator = '\0'

/** A change counts for its site, and where it tells its user for that, too: those that were hidden have none. */
function countedOf({ meta: { domain }, user, bot = false }: Change): Counted[] {
  const keys = user === undefined || user === '' ? [domain] : [domain, user, domain + separator + user]
  const groups = keys.map((key, index) => `${tables[index]}${separator}${key}`)
  return spans.flatMap((span) => groups.map((group) => ({ span, group, isBot: bot })))
}

/** All changes, those of people, and from when on they are counted (ms). */
type Counts = readonly [all: number, people: number, from: number]
const counts = { all: count<Counted>(), people: count<Counted>(({ isBot }) => !isBot) }
const by = ({ group }: Counted) => group

interface Totals {
  readonly all: number
  readonly people: number
}

function entryOf(span: Span, group: string, value: Totals | undefined, from = 0): ViewEntry<Counts> {
  const end = group.indexOf(separator)
  const place = { table: `${span} ${group.slice(0, end)}`, key: group.slice(end + 1) }
  return { ...place, value: value && [value.all, value.people, from] }
}

const total = ({ key, value }: Aggregated<Totals | undefined, Key>) => entryOf('all', String(key), value)

/** The last closed window is shown until the next one closes. */
function windowed(span: Span, advanceMs: number) {
  return ({ window, key, value }: Windowed<Totals, string>) => ({
    ...entryOf(span, key, value, window.start.getTime()),
    expires: window.end.getTime() + advanceMs,
  })
}

const Query = z.strictObject({
  domain: z.string().optional().describe('only changes of this site'),
  bots: z.enum(['0', '1']).default('1').describe('0 leaves out what bots did'),
  since: z
    .union([z.enum(['1m', '1h']), time(), z.stringFormat('ms', /^\d{1,15}$/)])
    .optional()
    .describe('1m or 1h: the last minute or hour; or a time: the shortest of these spans that reaches back to it'),
})

type Query = z.output<typeof Query>

function answer(table: ReadTable<Counts>, { domain, bots, since }: Query) {
  const span = spanOf(table, since)
  const shown = ([all, people]: Counts) => (bots === '1' ? all : people || undefined)
  const users = domain === undefined ? table(`${span} by_user`) : usersOf(domain, table(`${span} by_domain_user`))
  return {
    by_domain: pairs(table(`${span} by_domain`), shown, (key) => domain === undefined || key === domain),
    by_user: pairs(users, shown),
  }
}

function* pairs(
  rows: Iterable<readonly [string, Counts]>,
  shown: (counts: Counts) => unknown,
  takes = (_: string) => true,
) {
  for (const [key, counts] of rows) if (takes(key)) yield [key, shown(counts)] as const
}

function* usersOf(domain: string, rows: Iterable<readonly [string, Counts]>) {
  const prefix = domain + separator
  for (const [key, counts] of rows) if (key.startsWith(prefix)) yield [key.slice(prefix.length), counts] as const
}

/** The shortest span that holds all since then. */
function spanOf(table: ReadTable<Counts>, since: string | undefined): Span {
  if (since === undefined) return 'all'
  if (since === '1m' || since === '1h') return since
  const at = /^\d+$/.test(since) ? Number(since) : isoReader()(since)
  const reaches = (span: Span) => {
    const [first] = table(`${span} by_domain`).values()
    return first !== undefined && first[2] <= at
  }
  return (['1m', '1h'] as const).find(reaches) ?? 'all'
}

/** Without a bound, what is kept of all time would grow for ever: most users are seen once. A key takes 0.8 KB. */
const maxKeys = env('STATS_MAX_KEYS').int().default(2_000_000)

/** What the views of all spans are one view by. */
const stats = { path: '/stats', query: Query, answer, storage }

/**
 * Counts changes by site and by user: all of them, and those of the last minute and hour.
 *
 *   wikipedia.changes ──┬─► all time ──┬─► GET /stats
 *                       ├─► 1m by 10s ─┤
 *                       └─► 1h by 1m ──┘
 *
 * `?bots=0` leaves out what bots did, `?domain=` shows one site and its users, `?since=1m` (or `1h`, or a time) a shorter
 * span: the last window of event time that has closed. What is no change goes to the dead letters; a change that comes
 * after its windows have closed still counts for all time. Of all time so many sites, users, and users of a site are kept
 * in each partition as STATS_MAX_KEYS says, those that changed last; one that had to go is shown no longer, and begins
 * anew. With STORAGE=postgres or redis counts and positions commit together there; else in Kafka, and the counts are shown
 * after the commit.
 */
export const wikimediaStats = flow(
  kafka.source({
    topic: changesTopic,
    group: env('WIKIPEDIA_GROUP_ID').default('wikimedia-stats'),
    partitions: 3,
    // Whichever flow of the system comes first makes the topic.
    create: true,
  }),
  json(Change),
  eventTime(({ meta }, { timestamp }) => meta.dt ?? timestamp, { outOfOrder: '2s', idleAfter: '5s' }),
  flatMap(countedOf, { name: 'counted' }),
  branch(
    to(
      'all-time',
      ({ span }: Counted) => span === 'all',
      keyBy(by),
      aggregate('all-time', { of: counts, emit: 'epoch', maxKeys, gone: 'emit' }),
      view({ ...stats, name: 'stats', entries: total }),
    ),
    to(
      'last-minute',
      ({ span }: Counted) => span === '1m',
      aggregate('last-minute', { by, of: counts, window: hopping('1m', { advance: '10s' }) }),
      view({ ...stats, name: 'stats-1m', entries: windowed('1m', 10_000) }),
    ),
    to(
      'last-hour',
      ({ span }: Counted) => span === '1h',
      aggregate('last-hour', { by, of: counts, window: hopping('1h', { advance: '1m' }) }),
      view({ ...stats, name: 'stats-1h', entries: windowed('1h', 60_000) }),
    ),
  ),
).with({
  checkpoints: storage.map((name) => (name === 'postgres' || name === 'redis' ? name : 'kafka')),
})
