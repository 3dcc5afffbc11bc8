import { catchError, defaultIfEmpty, defer, finalize, map, type Observable, of, share } from 'rxjs'
import { type Clock, describeError, type Logger, type ViewContent, type ViewStorage } from '../../model/index.js'

/** How old content may be, ms. */
const freshMs = 250

/** The content of a view as it was a moment ago: however many ask, the storage is read a few times a second at most. */
export class Recent {
  private content: ViewContent | undefined
  private readAt = Number.NEGATIVE_INFINITY
  private reading$: Observable<ViewContent | undefined> | undefined
  private hasFailed = false

  constructor(
    private readonly storage: ViewStorage,
    private readonly view: string,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Emits once; when the storage can't be read, what was read last, or undefined when nothing was. */
  get(): Observable<ViewContent | undefined> {
    return defer(() => {
      if (this.clock.now() - this.readAt < freshMs) return of(this.content)
      return (this.reading$ ??= this.read())
    })
  }

  private read(): Observable<ViewContent | undefined> {
    return defer(() => this.storage.read(this.view, this.content?.tag)).pipe(
      map((content) => (this.content = content)),
      defaultIfEmpty(undefined),
      map(() => this.succeeded()),
      catchError((error: unknown) => of(this.failed(error))),
      finalize(() => {
        this.reading$ = undefined
      }),
      share(),
    )
  }

  private succeeded(): ViewContent | undefined {
    if (this.hasFailed) this.log.info(`view ${this.view} can be read again`)
    this.hasFailed = false
    this.readAt = this.clock.now()
    return this.content
  }

  private failed(error: unknown): ViewContent | undefined {
    if (!this.hasFailed) this.log.warn(`${describeError(error)}; what was read last is shown meanwhile`)
    this.hasFailed = true
    this.readAt = this.clock.now()
    return this.content
  }
}
