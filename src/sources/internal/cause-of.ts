import { messageOf } from '../../model/index.js'

/** What broke a request: fetch itself only says that it failed, its cause says why. */
export function causeOf(error: unknown): string {
  const { cause } = error as { readonly cause?: unknown }
  return cause === undefined ? messageOf(error) : messageOf(cause)
}
