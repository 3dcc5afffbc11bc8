import { expect, test } from 'vitest'
import type { Change } from '../../src/flows/wikimedia.js'
import { wikimediaStats } from '../../src/flows/wikimedia-stats.js'
import { type FlowRun, marbles } from '../../src/testing/index.js'

const began = Date.parse('2026-05-05T12:00:00Z')

/** A change so many seconds after the beginning. */
const change = (domain: string, user: string | undefined, second: number, bot = false): Change => ({
  meta: { domain, dt: new Date(began + second * 1_000).toISOString() },
  ...(user === undefined ? {} : { user }),
  bot,
})

const total = (table: string, key: string, all: number, people: number) => ({
  key: `${table}\0${key}`,
  value: { all, people },
})
const epoch = { maxRecords: 100, everyMs: 4 }

/** What the windows of one size told, as `second: key=all/people …`, by when they ended. */
function windows(run: FlowRun, sink: string): string[] {
  const told = run.virtual.written.filter((written) => written.sink === sink)
  const lines = new Map<number, string[]>()
  for (const { value } of told) {
    const { key, window, value: counts } = value as never as Told
    const end = (window.end.getTime() - began) / 1_000
    lines.set(end, [...(lines.get(end) ?? []), `${key.replace('\0', ' ')}=${counts.all}/${counts.people}`])
  }
  return [...lines].map(([end, results]) => `${end}: ${results.sort().join(', ')}`)
}

interface Told {
  readonly key: string
  readonly window: { readonly end: Date }
  readonly value: { readonly all: number; readonly people: number }
}

test(
  'a change counts for its site, its user and both; what bots did is told apart',
  marbles(({ flow }) => {
    const run = flow(wikimediaStats, { epoch })
    run.source('ab------', {
      a: change('en.wikipedia.org', 'Ann', 0),
      b: change('en.wikipedia.org', 'Bot', 1, true),
    })
    const shown = {
      a: total('by_user', 'Ann', 1, 1),
      b: total('by_domain_user', 'en.wikipedia.org\0Ann', 1, 1),
      c: total('by_domain', 'en.wikipedia.org', 2, 1),
      d: total('by_user', 'Bot', 1, 0),
      e: total('by_domain_user', 'en.wikipedia.org\0Bot', 1, 0),
    }
    run.sink('  ----(abcde)', shown, 'stats')
  }),
)

test(
  'a change without a user counts for its site; what is no change goes to the dead letters',
  marbles(({ flow }) => {
    const run = flow(wikimediaStats, { epoch })
    run.source('     abcd----', {
      a: change('en.wikipedia.org', undefined, 0),
      b: '{"meta":',
      c: { user: 'Ann', meta: {} },
      d: { meta: { domain: 'de.wikipedia.org', dt: 'yesterday' }, user: '', bot: 'no' },
    })
    run.deadLetters('-bc', { b: 'WEIR_RECORD_MALFORMED', c: 'WEIR_RECORD_INVALID' })
    const shown = { a: total('by_domain', 'en.wikipedia.org', 1, 1), b: total('by_domain', 'de.wikipedia.org', 1, 1) }
    run.sink('       ----(ab)', shown, 'stats')
  }),
)

test(
  'the last minute moves by ten seconds; a change that comes late counts for all time',
  marbles(({ flow }) => {
    const run = flow(wikimediaStats, { epoch })
    run.source('a---b---c---', {
      a: change('en.wikipedia.org', undefined, 5),
      b: change('en.wikipedia.org', undefined, 33, true),
      c: change('en.wikipedia.org', undefined, 1),
    })
    const shown = (all: number, people: number) => total('by_domain', 'en.wikipedia.org', all, people)
    run.sink('  ----a---b---c', { a: shown(1, 1), b: shown(2, 1), c: shown(3, 2) }, 'stats')
    run.finally(() => {
      // Up to 33 s, less the two that events may come out of order.
      const domain = 'by_domain en.wikipedia.org'
      expect(windows(run, 'stats-1m')).toEqual([10, 20, 30].map((end) => `${end}: ${domain}=1/1`))
      expect(windows(run, 'stats-1h')).toEqual([])
    })
  }),
)

test(
  'the last hour moves by a minute',
  marbles(({ flow }) => {
    const run = flow(wikimediaStats, { epoch })
    run.source('a---b---c---', {
      a: change('en.wikipedia.org', undefined, 5),
      b: change('de.wikipedia.org', undefined, 65),
      c: change('de.wikipedia.org', undefined, 125),
    })
    const [en, de] = ['by_domain en.wikipedia.org=1/1', 'by_domain de.wikipedia.org=1/1']
    const shown = (domain: string, all: number) => total('by_domain', `${domain}.wikipedia.org`, all, all)
    run.sink('  ----a---b---c', { a: shown('en', 1), b: shown('de', 1), c: shown('de', 2) }, 'stats')
    run.finally(() => expect(windows(run, 'stats-1h')).toEqual([`60: ${en}`, `120: ${de}, ${en}`]))
  }),
)

test(
  'counts live through a crash, exactly',
  marbles(({ flow }) => {
    const run = flow(wikimediaStats, { epoch, repartition: true })
    const en = (second: number) => change('en.wikipedia.org', undefined, second)
    run.source('a----bc---------', { a: en(0), b: en(1), c: en(2) })
    run.crash(' ------x---------')
    const shown = (all: number) => total('by_domain', 'en.wikipedia.org', all, all)
    run.sink('  ----a-----b------', { a: shown(1), b: shown(3) }, 'stats')
  }),
)
