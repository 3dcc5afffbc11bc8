import { Observable, type Subscriber } from 'rxjs'
import type { Clock } from '../../src/model/index.js'
import type { Answer, Ask } from '../../src/sources/sse/client.js'

type Piece = string | Uint8Array

/** What a request is answered with; the body comes from when it is asked for. */
export interface Script {
  readonly status?: number
  readonly contentType?: string
  readonly retryAfter?: string
  readonly date?: string
  readonly body?: Observable<Piece>
  /** Breaks the request itself. */
  readonly error?: unknown
  /** No answer at all. */
  readonly silent?: boolean
}

export interface Request {
  readonly at: number
  readonly lastEventId: string | undefined
  /** How many pieces of the body were read. */
  pieces: number
  isOpen: boolean
}

/** A server for tests in virtual time: each request gets the next script, the last one again and again. */
export class ScriptedStream {
  readonly requests: Request[] = []

  constructor(
    private readonly now: () => number,
    private readonly scripts: readonly Script[],
  ) {}

  readonly ask: Ask = (headers) =>
    new Observable<Answer>((subscriber) => {
      const script = this.scripts[Math.min(this.requests.length, this.scripts.length - 1)] as Script
      const request: Request = { at: this.now(), lastEventId: headers['last-event-id'], pieces: 0, isOpen: true }
      this.requests.push(request)
      subscriber.add(() => {
        request.isOpen = false
      })
      if (script.error !== undefined) return subscriber.error(script.error)
      if (script.silent === true) return
      const body = new PulledBody(request)
      subscriber.add(script.body?.subscribe(body))
      subscriber.next({
        status: script.status ?? 200,
        contentType: script.contentType ?? 'text/event-stream',
        retryAfter: script.retryAfter ?? null,
        date: script.date ?? null,
        piece: () => body.piece(),
      })
    })
}

/** Holds what has come until it is asked for, as a socket does. */
class PulledBody {
  private readonly held: Uint8Array[] = []
  private waiting: Subscriber<Uint8Array | null> | undefined
  private isOver = false
  private broken: { readonly error: unknown } | undefined

  constructor(private readonly request: Request) {}

  next(piece: Piece): void {
    this.held.push(typeof piece === 'string' ? Buffer.from(piece) : piece)
    this.give()
  }

  complete(): void {
    this.isOver = true
    this.give()
  }

  error(error: unknown): void {
    this.broken = { error }
    this.give()
  }

  piece(): Observable<Uint8Array | null> {
    return new Observable((subscriber) => {
      this.waiting = subscriber
      this.give()
      return () => {
        this.waiting = undefined
      }
    })
  }

  private give(): void {
    const { waiting } = this
    if (waiting === undefined) return
    const piece = this.held.shift()
    if (piece !== undefined) this.request.pieces++
    else if (this.broken !== undefined) return waiting.error(this.broken.error)
    else if (!this.isOver) return
    this.waiting = undefined
    waiting.next(piece ?? null)
    waiting.complete()
  }
}

/** One event, as a stream has it. */
export function frame(data: string, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`
}

/**
 * A body drawn as a diagram of 1 ms a character: letters are pieces, by default an event with the letter as data and id;
 * `|` is the end of the response, `#` a connection that breaks. It begins with the request.
 */
export function bodyOf(
  diagram: string,
  { scheduler }: Clock,
  pieceOf: (letter: string) => Piece = (letter) => frame(letter, letter),
): Observable<Piece> {
  return new Observable((subscriber) => {
    for (const [at, letter] of [...diagram].entries()) {
      if (letter === '-') continue
      const happen = () => {
        if (letter === '|') subscriber.complete()
        else if (letter === '#') subscriber.error(new TypeError('terminated', { cause: new Error('read ECONNRESET') }))
        else subscriber.next(pieceOf(letter))
      }
      subscriber.add(scheduler.schedule(happen, at))
    }
  })
}
