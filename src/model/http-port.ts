import type { Observable } from 'rxjs'

export interface HttpRequest {
  readonly body: unknown
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Made by the server when the caller sent none. */
  readonly correlationId: string
}

export interface HttpReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface HttpRoute {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Larger bodies are answered with 413. */
  readonly bodyLimit: number
  /** Answers with its first emission. */
  handle(request: HttpRequest): Observable<HttpReply>
}

/** The worker's HTTP server, as sources and views see it. */
export interface HttpServer {
  /** Serves the route while subscribed. Errors when the route is taken. */
  serve(route: HttpRoute): Observable<never>
}
