import type { StandardSchemaV1 } from '@standard-schema/spec'
import { concatMap, defer, EMPTY, from, map, type Observable, of } from 'rxjs'
import { issuePath } from '../../codecs/issue-path.js'
import type { Clock, HttpReply, HttpRequest, HttpRoute, ViewContent } from '../../model/index.js'
import { type Answer, type AnswerOf, Answers } from './answers.js'
import { changesOf } from './changes.js'
import type { Recent } from './recent.js'

export interface RouteOptions {
  readonly path: string
  readonly answer: AnswerOf | undefined
  /** Undefined takes no parameters besides `top`. */
  readonly query: StandardSchemaV1 | undefined
  readonly everyMs: number
  readonly recent: Recent
  readonly clock: Clock
  /** What `GET /views` tells of it. */
  readonly about: object
}

/** What was asked for. */
interface Question {
  readonly text: string
  readonly query: unknown
  readonly top: number
}

type Asked = Question | { readonly faults: readonly object[] }

const json = { 'content-type': 'application/json; charset=utf-8' }
const events = { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' }

/** The routes of a view: what it has, and how that changes. Stages with the same `answer` share them. */
export function viewRoutes(options: RouteOptions): readonly HttpRoute[] {
  const { path, answer, about } = options
  const asked = new Asking(options, new Answers(answer))
  const common = { method: 'GET', bodyLimit: 0, owner: answer ?? path } as const
  return [
    { ...common, path, view: about, handle: (request) => asked.now(request) },
    { ...common, path: `${path === '/' ? '' : path}/stream`, handle: (request) => asked.changes(request) },
  ]
}

class Asking {
  private readonly replies = new Replies()

  constructor(
    private readonly options: RouteOptions,
    private readonly answers: Answers,
  ) {}

  now(request: HttpRequest): Observable<HttpReply> {
    return defer(() => {
      const known = this.known(request)
      if (known !== undefined) return of(known)
      return this.asked(request).pipe(
        concatMap((asked) => ('faults' in asked ? of(refusal(asked.faults)) : this.reply(asked, request))),
      )
    })
  }

  /** The answer to what was asked already of this content: nothing of it is made again. */
  private known(request: HttpRequest): HttpReply | undefined {
    const { fresh } = this.options.recent
    if (fresh?.isWhole !== true) return undefined
    const answer = this.answers.known(fresh.tag, questionOf(request))
    return answer && this.replies.to(answer, fresh, request)
  }

  changes(request: HttpRequest): Observable<HttpReply> {
    const { everyMs, clock, recent } = this.options
    return this.asked(request).pipe(
      map((asked): HttpReply => {
        if ('faults' in asked) return refusal(asked.faults)
        if (this.answers.isCrowded) return crowded
        const answer$ = defer(() => recent.get()).pipe(
          concatMap((content) => (content?.isWhole === true ? of(this.answerTo(asked, content)) : EMPTY)),
        )
        const headers = { ...events, 'cache-control': 'no-store' }
        const { answers } = this
        const hasRead = () => request.hasRead?.() ?? true
        const stream$ = changesOf({ answer$, answers, hasRead, everyMs, scheduler: clock.scheduler })
        return { status: 200, headers, stream$ }
      }),
    )
  }

  private reply(question: Question, request: HttpRequest): Observable<HttpReply> {
    return this.options.recent.get().pipe(
      map((content) => {
        if (content?.isWhole !== true) return loading
        return this.replies.to(this.answerTo(question, content), content, request)
      }),
    )
  }

  private answerTo({ text, query, top }: Question, content: ViewContent): Answer {
    return this.options.recent.use(() => this.answers.of(content, text, query, top))
  }

  private asked(request: HttpRequest): Observable<Asked> {
    const { query: schema } = this.options
    const { top, ...given } = request.query
    const most = top === undefined ? Number.POSITIVE_INFINITY : /^\d{1,9}$/.test(top) ? Number(top) : undefined
    if (most === undefined) return of({ faults: [{ path: 'top', message: `expected a number of keys, got '${top}'` }] })
    const text = questionOf(request)
    if (schema === undefined) {
      const [unknown] = Object.keys(given)
      const fault = { path: unknown, message: 'there is no such parameter' }
      return of(unknown === undefined ? { text, query: {}, top: most } : { faults: [fault] })
    }
    return defer(() => {
      const result = schema['~standard'].validate(given)
      return result instanceof Promise ? from(result) : of(result)
    }).pipe(
      map((result) =>
        result.issues === undefined
          ? { text, query: result.value, top: most }
          : { faults: result.issues.map((issue) => ({ path: issuePath(issue), message: issue.message })) },
      ),
    )
  }
}

const loading: HttpReply = {
  status: 503,
  headers: { 'retry-after': '1' },
  body: { error: 'the view is not complete yet' },
}

const crowded: HttpReply = {
  status: 503,
  headers: { 'retry-after': '5' },
  body: { error: 'too many different streams are open' },
  refused: 'streams',
}

function refusal(faults: readonly object[]): HttpReply {
  return { status: 400, body: { error: 'the parameters do not hold', faults } }
}

/** What tells a question apart from others: its parameters as they came, in whatever order. */
function questionOf({ query }: HttpRequest): string {
  return JSON.stringify(Object.entries(query).sort())
}

/** An answer as it goes out. */
class Reply {
  readonly plain: HttpReply
  readonly unchanged: HttpReply
  private compressed: HttpReply | undefined

  constructor(
    private readonly answer: Answer,
    /** The time of the content. */
    readonly at: number,
  ) {
    const asOf = new Date(at)
    const headers = {
      ...json,
      etag: answer.etag,
      'last-modified': asOf.toUTCString(),
      'weir-as-of': asOf.toISOString(),
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
    }
    this.plain = { status: 200, headers, body: answer.body }
    this.unchanged = { status: 304, headers }
  }

  get gzipped(): HttpReply {
    return (this.compressed ??= {
      status: 200,
      headers: { ...this.plain.headers, 'content-encoding': 'gzip' },
      body: this.answer.gzipped,
    })
  }
}

/** Makes the reply of an answer once for each content. */
class Replies {
  private readonly made = new WeakMap<Answer, Reply>()

  to(answer: Answer, { at }: ViewContent, { headers }: HttpRequest): HttpReply {
    const reply = this.of(answer, at)
    if (matches(headers['if-none-match'], answer.etag)) return reply.unchanged
    return answer.isWorthCompressing && takesGzip(headers['accept-encoding']) ? reply.gzipped : reply.plain
  }

  private of(answer: Answer, at: number): Reply {
    let reply = this.made.get(answer)
    if (reply?.at !== at) this.made.set(answer, (reply = new Reply(answer, at)))
    return reply
  }
}

/** Compares weakly, as `If-None-Match` does. */
function matches(header: string | string[] | undefined, etag: string): boolean {
  if (header === undefined) return false
  const tags = String(header ?? '').split(',')
  return tags.some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag.replace(/^W\//, ''))
}

function takesGzip(header: string | string[] | undefined): boolean {
  const codings = String(header ?? '').split(',')
  const of = (name: string) => codings.find((coding) => coding.trim().split(';')[0]?.trim().toLowerCase() === name)
  const coding = of('gzip') ?? of('*')
  return coding !== undefined && !/;\s*q=0(\.0*)?\s*$/.test(coding)
}
