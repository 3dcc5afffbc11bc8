import { catchError, concatMap, defer, EMPTY, exhaustMap, from, map, type Observable, timer } from 'rxjs'

export interface Activity {
  readonly user_id: string
  readonly activity_type: string
  /** ISO 8601. */
  readonly timestamp: string
  readonly metadata: { readonly page_url: string; readonly referrer: string }
}

const pages = ['/', '/pricing', '/docs', '/docs/windows', '/docs/sinks', '/blog', '/blog/epochs', '/about', '/login']
const referrers = ['https://search.example', 'https://news.example', 'https://mail.example', '']
const types = ['page_view', 'page_view', 'page_view', 'page_view', 'click', 'click', 'scroll', 'search']

const everyMs = 100

/** How far an event may be behind the one before it. */
const disorderMs = 1_500

/**
 * Posts what visitors of a small site might do, 20 to 50 events a second in waves, some of them out of order. The same
 * seed makes the same visitors. Emits how many events each request had accepted, and nothing for one that failed.
 */
export function traffic(url: string, seed = 1, headers: Readonly<Record<string, string>> = {}): Observable<number> {
  const random = mulberry32(seed)
  return timer(0, everyMs).pipe(
    exhaustMap((tick) => {
      const events = Array.from({ length: size(tick, random) }, () => visit(random, Date.now()))
      return events.length === 0 ? EMPTY : post(url, events, headers)
    }),
  )
}

function post(url: string, events: readonly Activity[], more: Readonly<Record<string, string>>): Observable<number> {
  const headers = { ...more, 'content-type': 'application/json' }
  const send = () => fetch(url, { method: 'POST', headers, body: JSON.stringify(events) })
  return defer(() => from(send())).pipe(
    concatMap(async (response) => {
      await response.arrayBuffer()
      return response.status === 202 ? events.length : 0
    }),
    // The view tells what goes wrong with the flows; visitors just come again.
    catchError(() => timer(1_000).pipe(map(() => 0))),
  )
}

/** A wave of 30 s between 20 and 50 events a second. */
function size(tick: number, random: () => number): number {
  const wave = 35 + 15 * Math.sin((tick * everyMs * 2 * Math.PI) / 30_000)
  return Math.floor((wave * everyMs) / 1_000 + random())
}

/** What one visitor does. */
export function visit(random: () => number, now: number): Activity {
  // A few visitors do most of it.
  const user = Math.floor(200 * random() ** 2)
  const delay = random() < 0.2 ? Math.floor(disorderMs * random()) : 0
  return {
    user_id: `visitor-${String(user).padStart(3, '0')}`,
    activity_type: pick(types, random),
    timestamp: new Date(now - delay).toISOString(),
    metadata: { page_url: `https://shop.example${pick(pages, random)}`, referrer: pick(referrers, random) },
  }
}

function pick(choices: readonly string[], random: () => number): string {
  return choices[Math.floor(random() * choices.length)] ?? ''
}

/** A small generator of numbers in [0, 1) that a seed repeats. */
export function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
