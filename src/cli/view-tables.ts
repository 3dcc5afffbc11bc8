import { catchError, concatMap, defer, exhaustMap, from, map, type Observable, of, timer, toArray } from 'rxjs'

const everyMs = 1_000

/** How many rows of a table are shown. */
const rowsShown = 10

/** The beginning of a table that a view shows: keys and what they have, the largest first. */
export interface ViewTable {
  readonly view: string
  readonly name: string
  readonly rows: readonly (readonly [key: string, value: string])[]
}

/** What the views of a worker show, asked for once a second; of one that does not answer nothing. */
export function viewTables(
  base: string,
  headers: Readonly<Record<string, string>> = {},
): Observable<readonly ViewTable[]> {
  const get = (path: string) => load(`${base}${path}`, headers)
  return timer(0, everyMs).pipe(
    exhaustMap(() => get('/views').pipe(concatMap((answer) => tablesOf(get, pathsOf(answer))))),
  )
}

function tablesOf(
  get: (path: string) => Observable<unknown>,
  paths: readonly string[],
): Observable<readonly ViewTable[]> {
  return from(paths).pipe(
    concatMap((path) => get(`${path}?top=${rowsShown}`).pipe(map((answer) => tables(path, answer)))),
    toArray(),
    map((all) => all.flat()),
  )
}

function pathsOf(answer: unknown): readonly string[] {
  const { views = [] } = (answer ?? {}) as { readonly views?: readonly { readonly path: string }[] }
  return [...new Set(views.map(({ path }) => path))]
}

function tables(view: string, answer: unknown): readonly ViewTable[] {
  return Object.entries((answer ?? {}) as Record<string, object>).map(([name, table]) => ({
    view,
    name,
    // Keys that are numbers come first in an object, whatever they have.
    rows: Object.entries(table)
      .sort(([, one], [, other]) => Number(other) - Number(one))
      .map(([key, value]) => [key, cell(value)] as const),
  }))
}

function cell(value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The JSON that is there, or undefined: what goes wrong is told by the flows. */
function load(url: string, headers: Readonly<Record<string, string>>): Observable<unknown> {
  const answer = async () => {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(5_000) })
    const text = await response.text()
    return response.ok ? (JSON.parse(text) as unknown) : undefined
  }
  return defer(answer).pipe(catchError(() => of(undefined)))
}
