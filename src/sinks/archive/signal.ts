import { Observable, type Subscriber } from 'rxjs'

/** Tells whoever listens at that moment that something has happened. */
export class Signal<T = void> {
  private readonly listening = new Set<Subscriber<T>>()

  readonly happens$ = new Observable<T>((output) => {
    this.listening.add(output)
    return () => this.listening.delete(output)
  })

  tell(what: T): void {
    for (const output of [...this.listening]) output.next(what)
  }
}
