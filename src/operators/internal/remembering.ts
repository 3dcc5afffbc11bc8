import { Observable, type OperatorFunction } from 'rxjs'

/** Operators of RxJS that remember records, by the files in which they subscribe, and what keeps that memory instead. */
const stages: readonly (readonly [files: RegExp, operators: string, instead: string])[] = [
  [/^scanInternals$/, 'scan (or reduce, count, min, max)', "aggregate('name', { of: … })"],
  [/^mergeScan$|^switchScan$/, 'mergeScan', "aggregate('name', { of: … })"],
  [/^toArray$/, 'toArray', "batch({ size: … }), or aggregate('name', { of: collect(…), window: … })"],
  [/^groupBy$/, 'groupBy', "keyBy(…) and aggregate('name', { of: … })"],
  [
    /^distinct$/,
    'distinct',
    "keyBy(…) and aggregate('name', { of: count(), ttl: … }), whose first result of a key is 1",
  ],
  [/^distinctUntilChanged$/, 'distinctUntilChanged', "keyBy(…) and aggregate('name', { of: collect(…, { max: 2 }) })"],
  [/^pairwise$/, 'pairwise', "keyBy(…) and aggregate('name', { of: collect(…, { max: 2 }) })"],
  [/^buffer\w*$/, 'buffer', 'batch({ size: …, every: … })'],
  [/^window\w*$/, 'window', "aggregate('name', { of: …, window: tumbling(…) })"],
  [/^(take|skip)(Last|While)?$|^find$|^single$/, 'take or skip', 'filter(…)'],
]

/** What an RxJS operator remembers by, and what to use instead. */
export interface Remembering {
  readonly operators: string
  readonly instead: string
}

/**
 * The operators with memory in an RxJS operator, which is a function that tells nothing of itself: it is subscribed to a
 * source that gives nothing, and those that it is made of are on the stack then, whatever they were called and wherever
 * they were put together. No record passes, so no function of records runs. It can't see into an RxJS that was bundled
 * into another file, nor an operator that somebody wrote without RxJS.
 */
export function remembering(operator: OperatorFunction<unknown, unknown>): readonly Remembering[] {
  const files = new Set(filesSubscribing(operator))
  return stages
    .filter(([names]) => [...files].some((file) => names.test(file)))
    .map(([, operators, instead]) => ({ operators, instead }))
}

function filesSubscribing(operator: OperatorFunction<unknown, unknown>): string[] {
  const limit = Error.stackTraceLimit
  let stack = ''
  const probe$ = new Observable<never>(() => {
    stack += new Error('who subscribes').stack ?? ''
  })
  try {
    Error.stackTraceLimit = 500
    // eslint-disable-next-line no-restricted-syntax -- nothing comes, and it is left at once
    operator(probe$)
      .subscribe({ error: () => undefined })
      .unsubscribe()
  } catch {
    // What can't be subscribed to fails where it runs.
  } finally {
    Error.stackTraceLimit = limit
  }
  return [...stack.matchAll(/[/\\]rxjs[/\\][^\n]*[/\\]operators[/\\](\w+)\.[cm]?[jt]s/g)].map(([, file = '']) => file)
}
