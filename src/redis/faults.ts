import { catchError, type Observable, throwError } from 'rxjs'
import { messageOf, WeirError } from '../model/index.js'

/** Answers that no retry mends, by their first word, and what to do about each. */
const setupHints: Readonly<Record<string, string | undefined>> = {
  NOAUTH: 'Give the connection a password.',
  WRONGPASS: 'Check user and password.',
  NOPERM: 'Grant this user the commands EVAL, HGET, HSET, HINCRBY, XADD, XTRIM, XRANGE, SCAN and INFO on keys weir:*.',
  WRONGTYPE: 'A key that begins with weir: is used by something else: give that, or this app, another name.',
  NOPROTO: 'Use Redis 6.2 or later.',
}

/** Answers that time, or somebody at the server, will mend. */
const hints: Readonly<Record<string, string | undefined>> = {
  OOM: 'Redis is at its maxmemory: give it more. It is tried again.',
  MISCONF: "Redis can't write to its disk: see its log. It is tried again.",
  READONLY: 'This server is a replica: it is tried again, on a new connection.',
  LOADING: 'Redis is starting. It is tried again.',
}

/** Turns what fails in doing something into the error that says what to do. */
export function failing<T>(doing: string) {
  return catchError<T, Observable<never>>((error: unknown) => throwError(() => asCheckpointFault(error, doing)))
}

function asCheckpointFault(error: unknown, doing: string): WeirError {
  if (error instanceof WeirError) return error
  const text = messageOf(error)
  const word = /^-?([A-Z]+) /.exec(text)?.[1] ?? ''
  const setup = setupHints[word]
  if (setup !== undefined)
    return new WeirError('WEIR_CONFIG_INVALID', `${doing}: ${text}`, { hint: setup, cause: error })
  const hint = hints[word] ?? 'Check that Redis runs and can be reached. It is tried again.'
  return new WeirError('WEIR_CHECKPOINT_UNREACHABLE', `${doing}: ${text}`, { hint, cause: error })
}
