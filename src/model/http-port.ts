import type { Observable } from 'rxjs'
import type { ExactJson } from './exact-numbers.js'

/** Where the worker itself answers to GET. */
export const workerPaths = ['/version', '/views', '/health', '/ready', '/metrics'] as const

export interface HttpRequest {
  /** Parsed JSON, or a `Buffer` where the route takes bytes. */
  readonly body: unknown
  /** The same with the numbers that parsing has altered; undefined where it has altered none. */
  readonly exact?: ExactJson
  /** The size of the body as it was sent. */
  readonly bytes: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Names and values in turn, as they were sent: those that came twice are there twice. */
  readonly rawHeaders: readonly string[]
  /** The parameters of the URL; of one that comes several times the last value. */
  readonly query: Readonly<Record<string, string>>
  /** Made by the server when the caller sent none. */
  readonly correlationId: string
  /** Whether the caller has taken all that a stream has told it so far: what is told later can wait until then. */
  hasRead?(): boolean
  /** Is told how many records the body has, by a route that takes some. */
  readonly brought?: (records: number) => void
}

/** What a stream tells at once: text, or parts that go out one after the other, uncopied. */
export type StreamMessage = string | readonly (string | Buffer)[]

export interface HttpReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text and bytes go out as they are, anything else as JSON. */
  readonly body?: unknown
  /**
   * In place of a body: what is sent as it comes, until it completes, the caller hangs up or the route ends. A message may
   * be of any size; a caller that still has more than a MiB of earlier ones to read, or reads too slowly, is cut off.
   */
  readonly stream$?: Observable<StreamMessage>
  /** Counts as refused, for this reason. */
  readonly refused?: string
}

export interface HttpRoute {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** What a body is taken as: JSON (the default), or its bytes, of whatever content type. */
  readonly takes?: 'json' | 'bytes'
  /** In bytes; larger bodies are answered with 413. */
  readonly bodyLimit: number
  /** How deep arrays and objects may nest in a body of JSON; deeper ones are answered with 400. Default 100. */
  readonly depthLimit?: number
  /** Answers with its first emission. Stays subscribed until then, even when the caller hangs up. */
  handle(request: HttpRequest): Observable<HttpReply>
  /** Stages that serve a route for the same owner share it; it ends with the last of them. */
  readonly owner?: unknown
  /** What `GET /views` tells of it; routes without are not listed there. */
  readonly view?: object
  /** Whether it is answered without the token that the port asks for. */
  readonly isOpen?: boolean
}

/** The worker's HTTP server, as sources and views see it. */
export interface HttpServer {
  /** Serves the route while subscribed, and answers 503 there afterwards. Errors when the route is taken. */
  serve(route: HttpRoute): Observable<never>
}
