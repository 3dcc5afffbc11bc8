import { catchError, defaultIfEmpty, defer, finalize, map, type Observable, of, share } from 'rxjs'
import { type Clock, describeError, type Logger, type ViewContent, type ViewStorage } from '../../model/index.js'

/** How old content may be, ms. */
const freshMs = 250
/** How much longer content is shown than it took to read it and to make answers of it. */
const patience = 4

/** The content of a view as it was a moment ago: however many ask, the storage is read a few times a second at most. */
export class Recent {
  private content: ViewContent | undefined
  private isOpen = false
  private readAt = Number.NEGATIVE_INFINITY
  private tookMs = 0
  private reading$: Observable<ViewContent | undefined> | undefined
  private hasFailed = false

  constructor(
    private readonly storage: ViewStorage,
    private readonly view: string,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** The storage can be read. */
  opened(): void {
    this.isOpen = true
  }

  /** What was read, as long as it need not be read again. */
  get fresh(): ViewContent | undefined {
    const isFresh = this.clock.scheduler.now() - this.readAt < Math.max(freshMs, patience * this.tookMs)
    return isFresh || !this.isOpen ? this.content : undefined
  }

  /** Emits once; when the storage can't be read, what was read last, or undefined when nothing was. */
  get(): Observable<ViewContent | undefined> {
    return defer(() => {
      const { fresh } = this
      if (fresh !== undefined || !this.isOpen) return of(fresh)
      return (this.reading$ ??= this.read())
    })
  }

  /** Does work on the content; what takes long makes it be read less often, so that large views leave time for others. */
  use<T>(work: () => T): T {
    const began = this.clock.scheduler.now()
    const result = work()
    this.tookMs += this.clock.scheduler.now() - began
    return result
  }

  private read(): Observable<ViewContent | undefined> {
    return defer(() => {
      const began = this.clock.scheduler.now()
      return this.storage.read(this.view, this.content?.tag).pipe(
        map((content) => (this.content = content)),
        defaultIfEmpty(undefined),
        map(() => this.succeeded(began)),
        catchError((error: unknown) => of(this.failed(began, error))),
      )
    }).pipe(
      finalize(() => {
        this.reading$ = undefined
      }),
      share(),
    )
  }

  private succeeded(began: number): ViewContent | undefined {
    if (this.hasFailed) this.log.info(`view ${this.view} can be read again`)
    this.hasFailed = false
    return this.settled(began)
  }

  private failed(began: number, error: unknown): ViewContent | undefined {
    if (!this.hasFailed) this.log.warn(`${describeError(error)}; what was read last is shown meanwhile`)
    this.hasFailed = true
    return this.settled(began)
  }

  private settled(began: number): ViewContent | undefined {
    this.readAt = this.clock.scheduler.now()
    this.tookMs = this.readAt - began
    return this.content
  }
}
