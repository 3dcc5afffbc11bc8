import { Observable } from 'rxjs'
import type { Endpoint } from './endpoint.js'

/** What was answered. */
export interface Answer {
  readonly status: number
  /** These headers, as they are. */
  readonly retryAfter: string | null
  readonly date: string | null
  /** The beginning of the body. */
  readonly text: string
}

/** Posts once, and emits the answer; leaving it gives the request up. Errors: whatever broke it. */
export type Post = (headers: Readonly<Record<string, string>>, body: Buffer) => Observable<Answer>

/** More of an answer is not read, bytes: its connection is given up then. */
const mostRead = 65_536

/** Posts over HTTP, on connections that are kept; no redirect is followed. */
export function postTo({ url, headers: common }: Pick<Endpoint, 'url' | 'headers'>): Post {
  return (headers, body) =>
    new Observable<Answer>((subscriber) => {
      const controller = new AbortController()
      subscriber.add(() => controller.abort())
      const init = { method: 'POST', headers: { ...headers, ...common }, body, redirect: 'manual' } as const
      fetch(url, { ...init, signal: controller.signal })
        .then((response) => answerOf(response))
        .then(
          (answer) => {
            subscriber.next(answer)
            subscriber.complete()
          },
          (error: unknown) => subscriber.error(error),
        )
    })
}

async function answerOf(response: Response): Promise<Answer> {
  const { status, headers } = response
  const text = await beginningOf(response).catch((error: unknown) => {
    // Who has answered with that has taken it, whatever becomes of the rest.
    if (response.ok) return ''
    throw error
  })
  return { status, retryAfter: headers.get('retry-after'), date: headers.get('date'), text }
}

async function beginningOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > mostRead) break
  }
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, mostRead))
}
