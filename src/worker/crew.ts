import {
  catchError,
  defer,
  EMPTY,
  filter,
  finalize,
  forkJoin,
  ignoreElements,
  map,
  merge,
  mergeMap,
  type Observable,
  of,
  Subject,
  take,
  tap,
  timeout,
} from 'rxjs'
import type { Clock } from '../model/index.js'

/** What all workers of a command are asked, so that one of them can answer for all. */
export type Topic = 'health' | 'ready' | 'metrics'

/** Why a worker has no answer. */
export interface Absence {
  readonly state: 'starting' | 'silent' | 'down' | 'ended'
  readonly reason: string
}

/** What one worker said, or why it said nothing. */
export type Statement = { readonly worker: number } & (
  | { readonly says: unknown; readonly absent?: undefined }
  | { readonly absent: Absence }
)

export type ToSupervisor =
  | { readonly kind: 'joined' }
  | { readonly kind: 'ask'; readonly id: number; readonly topic: Topic }
  | { readonly kind: 'answer'; readonly id: number; readonly says: unknown }

export type ToWorker =
  | { readonly kind: 'stop' }
  | { readonly kind: 'reload' }
  | { readonly kind: 'question'; readonly id: number; readonly topic: Topic }
  | { readonly kind: 'statements'; readonly id: number; readonly statements: readonly Statement[] }

/** One end of the line between the supervisor and a worker. `messages$` completes when the other process has ended. */
export interface Link<Out, In> {
  send(message: Out): void
  readonly messages$: Observable<In>
}

/** The workers of a command, as one of them sees them. */
export class Crew {
  private asked = 0

  constructor(private readonly link: Link<ToSupervisor, ToWorker>) {}

  /** Answers for this worker while subscribed. */
  answer(says: (topic: Topic) => Observable<unknown>): Observable<never> {
    const answers$ = this.link.messages$.pipe(
      filter((message) => message.kind === 'question'),
      mergeMap(({ id, topic }) => {
        // Who says nothing is told of as silent.
        const answer$ = says(topic).pipe(catchError(() => EMPTY))
        return answer$.pipe(tap((answer) => this.link.send({ kind: 'answer', id, says: answer })))
      }, 16),
    )
    const joined$ = defer(() => {
      this.link.send({ kind: 'joined' })
      return EMPTY
    })
    return merge(answers$, joined$).pipe(ignoreElements())
  }

  /** What every worker says, this one included, by number. */
  ask(topic: Topic): Observable<readonly Statement[]> {
    return defer(() => {
      const id = this.asked++
      const statements$ = this.link.messages$.pipe(
        filter((message) => message.kind === 'statements'),
        filter((message) => message.id === id),
        map(({ statements }) => statements),
      )
      const asked$ = defer(() => {
        this.link.send({ kind: 'ask', id, topic })
        return EMPTY
      })
      return merge(statements$, asked$).pipe(take(1))
    })
  }
}

const patienceMs = 2_000

/** The supervisor's end of all lines: passes questions around. */
export class Switchboard {
  private readonly members = new Map<number, Link<ToWorker, ToSupervisor>>()
  private readonly answers = new Subject<{ readonly worker: number; readonly id: number; readonly says: unknown }>()
  private readonly left = new Subject<number>()
  private asked = 0

  /** @param absence Why a worker that is not on the line is absent. */
  constructor(
    private readonly workers: readonly number[],
    private readonly clock: Clock,
    private readonly absence: (worker: number) => Absence,
  ) {}

  /** Serves a worker as long as its process lives. */
  serve(worker: number, link: Link<ToWorker, ToSupervisor>): Observable<never> {
    return link.messages$.pipe(
      mergeMap((message) => {
        switch (message.kind) {
          case 'joined':
            this.members.set(worker, link)
            return EMPTY
          case 'answer':
            this.answers.next({ worker, id: message.id, says: message.says })
            return EMPTY
          case 'ask':
            return this.gather(message.topic).pipe(
              tap((statements) => link.send({ kind: 'statements', id: message.id, statements })),
            )
        }
      }, 64),
      ignoreElements(),
      finalize(() => {
        this.members.delete(worker)
        this.left.next(worker)
      }),
    )
  }

  private gather(topic: Topic): Observable<readonly Statement[]> {
    return defer(() => forkJoin(this.workers.map((worker) => this.question(worker, topic))))
  }

  private question(worker: number, topic: Topic): Observable<Statement> {
    const link = this.members.get(worker)
    const absent$ = defer(() => of({ worker, absent: this.absence(worker) }))
    if (link === undefined) return absent$
    const id = this.asked++
    const silent: Absence = { state: 'silent', reason: `it has not answered for ${patienceMs / 1_000} s` }
    const answer$ = this.answers.pipe(
      filter((answer) => answer.id === id),
      map(({ says }): Statement => ({ worker, says })),
      take(1),
    )
    const asked$ = defer(() => {
      link.send({ kind: 'question', id, topic })
      return EMPTY
    })
    const left$ = this.left.pipe(
      filter((one) => one === worker),
      mergeMap(() => absent$, 1),
    )
    return merge(answer$, left$, asked$).pipe(
      take(1),
      timeout({ first: patienceMs, scheduler: this.clock.scheduler, with: () => of({ worker, absent: silent }) }),
    )
  }
}
