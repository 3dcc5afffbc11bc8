/** Whether something thrown is of a class: a proxy may throw again where it is looked at. */
export function isA<E>(kind: abstract new (...given: never[]) => E, thrown: unknown): thrown is E {
  try {
    return thrown instanceof kind
  } catch {
    return false
  }
}
