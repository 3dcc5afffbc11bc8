import { defer, from, map, Observable } from 'rxjs'
import { withoutLogin } from '../../model/url-login.js'

/** The answer to a request for a stream. */
export interface Answer {
  readonly status: number
  /** Undefined when it names none. */
  readonly contentType: string | undefined
  /** The header of that name, as it is. */
  readonly retryAfter: string | null
  /** What the server's clock says, as its header has it. */
  readonly date: string | null
  /** The next piece of the body, or null at its end. What nobody asks for is not read, and waits at the server. */
  piece(): Observable<Uint8Array | null>
}

/** Asks for the stream, and emits the answer; the connection is open while subscribed. Errors: whatever broke it. */
export type Ask = (headers: Readonly<Record<string, string>>) => Observable<Answer>

/** Asks over HTTP; redirects are followed. */
export function askOf(given: string): Ask {
  const { url, headers: login } = withoutLogin(given)
  return (own) =>
    new Observable<Answer>((subscriber) => {
      const controller = new AbortController()
      subscriber.add(() => controller.abort())
      const headers = new Headers({ ...login })
      for (const [name, value] of Object.entries(own)) headers.set(name, value)
      fetch(url, { headers, signal: controller.signal }).then(
        (response) => subscriber.next(answerOf(response)),
        (error: unknown) => subscriber.error(error),
      )
    })
}

function answerOf({ status, headers, body }: Response): Answer {
  const reader = body?.getReader()
  return {
    status,
    contentType: headers.get('content-type') ?? undefined,
    retryAfter: headers.get('retry-after'),
    date: headers.get('date'),
    piece: () =>
      defer(() => from(reader?.read() ?? Promise.resolve({ done: true, value: undefined }))).pipe(
        map(({ done, value }) => (done || value === undefined ? null : (value as Uint8Array))),
      ),
  }
}
