import type { Observable } from 'rxjs'

export interface HttpRequest {
  /** Parsed JSON. */
  readonly body: unknown
  /** The size of the body as it was sent. */
  readonly bytes: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The parameters of the URL; of one that comes several times the last value. */
  readonly query: Readonly<Record<string, string>>
  /** Made by the server when the caller sent none. */
  readonly correlationId: string
}

export interface HttpReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text and bytes go out as they are, anything else as JSON. */
  readonly body?: unknown
  /**
   * In place of a body: text that is sent as it comes, until it completes, the caller hangs up or the route ends. A
   * caller that is so slow that more than a MiB waits for it is cut off.
   */
  readonly stream$?: Observable<string>
}

export interface HttpRoute {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** In bytes; larger bodies are answered with 413. */
  readonly bodyLimit: number
  /** Answers with its first emission. Stays subscribed until then, even when the caller hangs up. */
  handle(request: HttpRequest): Observable<HttpReply>
  /** Stages that serve a route for the same owner share it; it ends with the last of them. */
  readonly owner?: unknown
  /** What `GET /views` tells of it; routes without are not listed there. */
  readonly view?: object
}

/** The worker's HTTP server, as sources and views see it. */
export interface HttpServer {
  /** Serves the route while subscribed, and answers 503 there afterwards. Errors when the route is taken. */
  serve(route: HttpRoute): Observable<never>
}
