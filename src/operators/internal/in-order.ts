import { defer, mergeMap, type OperatorFunction } from 'rxjs'

/** The results of the call that was started as number `index`. */
export interface Answer<R> {
  readonly index: number
  readonly results: readonly R[]
}

/** Brings answers back into the order of their calls and unpacks them. Expects one answer of each call. */
export function inOrder<R>(): OperatorFunction<Answer<R>, R> {
  return (answers$) =>
    defer(() => {
      const early = new Map<number, readonly R[]>()
      let next = 0
      return answers$.pipe(
        mergeMap(function* ({ index, results }) {
          early.set(index, results)
          for (let ready = early.get(next); ready !== undefined; ready = early.get(next)) {
            early.delete(next++)
            yield* ready
          }
        }, 1),
      )
    })
}
