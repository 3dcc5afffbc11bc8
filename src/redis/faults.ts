import { catchError, type Observable, throwError } from 'rxjs'
import { type Fault, messageOf, WeirError } from '../model/index.js'
import { Faults } from '../sql/index.js'

interface Answer {
  readonly fault: Fault
  readonly hint: string
}

const again = 'It is tried again.'

/** What the answers of the server mean, by their first word. */
const answers: Readonly<Record<string, Answer | undefined>> = {
  NOAUTH: { fault: 'setup', hint: 'Give the connection a password.' },
  WRONGPASS: { fault: 'setup', hint: 'Check user and password.' },
  NOPERM: {
    fault: 'setup',
    hint: 'Grant this user the commands that sinks write with, and on keys weir:* EVAL, HGET, HSET, HINCRBY, XADD, XTRIM, XRANGE, SCAN and INFO.',
  },
  NOPROTO: { fault: 'setup', hint: 'Use Redis 6.2 or later.' },
  CROSSSLOT: { fault: 'setup', hint: 'This server is part of a cluster: declare the connection with `cluster`.' },
  OOM: { fault: 'system', hint: `Redis is at its maxmemory: give it more. ${again}` },
  MISCONF: { fault: 'system', hint: `Redis can't write to its disk: see its log. ${again}` },
  READONLY: { fault: 'system', hint: 'This server is a replica: it is tried again, on a new connection.' },
  LOADING: { fault: 'system', hint: `Redis is starting. ${again}` },
  BUSY: { fault: 'system', hint: `Redis is busy with a script. ${again}` },
  NOREPLICAS: { fault: 'system', hint: `Redis has too few replicas in reach. ${again}` },
  MASTERDOWN: { fault: 'system', hint: `The primary of this replica is not in reach. ${again}` },
  CLUSTERDOWN: { fault: 'system', hint: `The cluster is not complete. ${again}` },
  TRYAGAIN: { fault: 'system', hint: `The cluster moves these keys. ${again}` },
  MOVED: { fault: 'system', hint: 'If this server is part of a cluster, declare the connection with `cluster`.' },
  ASK: { fault: 'system', hint: `The cluster moves these keys. ${again}` },
}

/** Answers without a word of their own that say nothing of what was written. */
const general: readonly (readonly [RegExp, Fault])[] = [
  [/unknown command|wrong number of arguments|syntax error/i, 'setup'],
  [/max number of clients/i, 'connection'],
]

/** What a write to keys of the user's has run into. */
export const redisFaults = new Faults({
  faultOf: (error) => (isAnswer(error) ? faultOf(messageOf(error)) : undefined),
  textOf: messageOf,
  hintOf: (error) => answers[wordOf(error)]?.hint,
})

/** Turns what fails in doing something with checkpoints into the error that says what to do. */
export function failing<T>(doing: string) {
  return catchError<T, Observable<never>>((error: unknown) => throwError(() => asCheckpointFault(error, doing)))
}

function asCheckpointFault(error: unknown, doing: string): WeirError {
  // The keys are this program's own: what is wrong with them is nothing that another try mends.
  if (isAnswer(error) && wordOf(error) === 'WRONGTYPE') {
    const hint = 'A key that begins with weir: is used by something else: give that, or this app, another name.'
    return new WeirError('WEIR_CONFIG_INVALID', `${doing}: ${messageOf(error)}`, { hint, cause: error })
  }
  if (isAnswer(error) && wordOf(error) === 'NOPERM') {
    const { hint } = answers['NOPERM'] as Answer
    return new WeirError('WEIR_CONFIG_INVALID', `${doing}: ${messageOf(error)}`, { hint, cause: error })
  }
  return redisFaults.asCheckpointFault(error, doing)
}

/** Whether it is for keys that this user may not use: those are named by records. */
export function isOfKeys(error: unknown): boolean {
  return isAnswer(error) && ofKeys.test(messageOf(error))
}

const ofKeys = /^NOPERM .*(access a key|keys used as arguments)/i

/** What is left is the fault of a record: a key of another type, a value too long. */
function faultOf(text: string): Fault {
  if (ofKeys.test(text)) return 'record'
  return answers[wordOf(text)]?.fault ?? general.find(([pattern]) => pattern.test(text))?.[1] ?? 'record'
}

/** What a server that loads its data would answer; the client asks it by itself, and keeps that. */
export function notReady(): Error {
  return Object.assign(new Error('LOADING the server is connected to and not ready: it loads its data'), {
    name: 'ReplyError',
  })
}

/** Whether the server is a replica: a new connection may lead to the primary. */
export function isReadOnly(error: unknown): boolean {
  return wordOf(error) === 'READONLY'
}

/** Before version 7, what a command in a script was answered with stands behind an ERR of the script's own. */
function wordOf(error: unknown): string {
  const text = messageOf(error)
  return /^-?ERR Error running script.*? -([A-Z]+) /s.exec(text)?.[1] ?? /^-?([A-Z]+) /.exec(text)?.[1] ?? ''
}

function isAnswer(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}
