import {
  concat,
  concatMap,
  defaultIfEmpty,
  defer,
  EMPTY,
  finalize,
  type Observable,
  of,
  repeat,
  type SchedulerLike,
  takeWhile,
  timer,
} from 'rxjs'
import type { StreamMessage } from '../../model/index.js'
import { type Answer, type Answers, textOf } from './answers.js'

type Shown = Answer['tables']

/** How long a stream that has nothing to say stays silent, ms: proxies end what says nothing for a minute. */
const silentMs = 15_000

export interface StreamOptions {
  /** The answer as of now; emits nothing when there is none yet. */
  readonly answer$: Observable<Answer>
  /** Where it is noted what the stream compares with. */
  readonly answers: Answers
  /** Whether the caller has taken what it was told. */
  readonly hasRead: () => boolean
  /** How long from one event to the next at least, ms. */
  readonly everyMs: number
  readonly scheduler: SchedulerLike
}

/**
 * Server-sent events: `view` with all that is shown, then `changes` with the keys that are new or different, and those
 * that are no more as null. A caller who reads slowly is told less often. Completes when there is no room for what this
 * stream would have to compare with.
 */
export function changesOf(options: StreamOptions): Observable<StreamMessage> {
  const { answer$, answers, hasRead, everyMs, scheduler } = options
  return defer(() => {
    const told: Told = { answer: undefined, at: scheduler.now() }
    const step$ = defer(() => (hasRead() ? answer$.pipe(defaultIfEmpty(undefined)) : EMPTY)).pipe(
      concatMap((answer) => tell(told, answer, answers, scheduler.now())),
    )
    return concat(of('retry: 1000\n\n'), step$.pipe(repeat({ delay: () => timer(everyMs, scheduler) }))).pipe(
      takeWhile((message) => message !== full),
      finalize(() => answers.untell(told.answer)),
    )
  })
}

/** What a caller was told last, and when. */
interface Told {
  answer: Answer | undefined
  at: number
}

/** There is no room. */
const full = ''

function tell(told: Told, answer: Answer | undefined, answers: Answers, now: number): readonly StreamMessage[] {
  const isNews = answer !== undefined && answer.etag !== told.answer?.etag
  if (!isNews && now - told.at < silentMs) return []
  if (isNews && !answers.tell(answer, told.answer)) return [full]
  const message = isNews ? eventOf(told.answer, answer) : ': nothing has changed\n\n'
  if (isNews) told.answer = answer
  told.at = now
  return [message]
}

function eventOf(before: Answer | undefined, { tables, body, etag }: Answer): StreamMessage {
  if (before === undefined) return [`event: view\nid: ${etag}\ndata: `, body, '\n\n']
  return `event: changes\nid: ${etag}\ndata: ${textOf(differences(before.tables, tables))}\n\n`
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
