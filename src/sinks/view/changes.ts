import { concat, concatMap, defaultIfEmpty, defer, type Observable, of, repeat, type SchedulerLike, timer } from 'rxjs'
import { type Answer, textOf } from './answers.js'

type Shown = Answer['tables']

/** How long a stream that has nothing to say stays silent, ms: proxies end what says nothing for a minute. */
const silentMs = 15_000

export interface StreamOptions {
  /** The answer as of now; emits nothing when there is none yet. */
  readonly answer$: Observable<Answer>
  /** How long from one event to the next at least, ms. */
  readonly everyMs: number
  readonly scheduler: SchedulerLike
}

/**
 * Server-sent events: `view` with all that is shown, then `changes` with the keys that are new or different, and those
 * that are no more as null.
 */
export function changesOf({ answer$, everyMs, scheduler }: StreamOptions): Observable<string> {
  return defer(() => {
    const told: Told = { answer: undefined, at: scheduler.now() }
    const step$ = answer$.pipe(
      defaultIfEmpty(undefined),
      concatMap((answer) => tell(told, answer, scheduler.now())),
    )
    return concat(of('retry: 1000\n\n'), step$.pipe(repeat({ delay: () => timer(everyMs, scheduler) })))
  })
}

/** What a caller was told last, and when. */
interface Told {
  answer: Answer | undefined
  at: number
}

function tell(told: Told, answer: Answer | undefined, now: number): readonly string[] {
  const isNews = answer !== undefined && answer.etag !== told.answer?.etag
  if (!isNews && now - told.at < silentMs) return []
  const text = isNews ? eventOf(told.answer, answer) : ': nothing has changed\n\n'
  told.answer = answer ?? told.answer
  told.at = now
  return [text]
}

function eventOf(before: Answer | undefined, { tables, text, etag }: Answer): string {
  const [kind, data] = before === undefined ? ['view', text] : ['changes', textOf(differences(before.tables, tables))]
  return `event: ${kind}\nid: ${etag}\ndata: ${data}\n\n`
}

/** What of each table is new, different, or no more; tables in which nothing changed are left out. */
function differences(before: Shown, now: Shown): Shown {
  const all = new Map<string, ReadonlyMap<string, string>>()
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [old, rows] = [before.get(name), now.get(name)]
    const changed = new Map<string, string>()
    for (const [key, value] of rows ?? []) if (old?.get(key) !== value) changed.set(key, value)
    for (const key of old?.keys() ?? []) if (rows?.has(key) !== true) changed.set(key, 'null')
    if (changed.size > 0) all.set(name, changed)
  }
  return all
}
