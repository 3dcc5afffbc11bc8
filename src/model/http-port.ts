import type { Observable } from 'rxjs'

export interface HttpRequest {
  /** Parsed JSON. */
  readonly body: unknown
  /** The size of the body as it was sent. */
  readonly bytes: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Made by the server when the caller sent none. */
  readonly correlationId: string
}

export interface HttpReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text goes out as it is, anything else as JSON. */
  readonly body?: unknown
}

export interface HttpRoute {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** In bytes; larger bodies are answered with 413. */
  readonly bodyLimit: number
  /** Answers with its first emission. Stays subscribed until then, even when the caller hangs up. */
  handle(request: HttpRequest): Observable<HttpReply>
}

/** The worker's HTTP server, as sources and views see it. */
export interface HttpServer {
  /** Serves the route while subscribed, and answers 503 there afterwards. Errors when the route is taken. */
  serve(route: HttpRoute): Observable<never>
}
