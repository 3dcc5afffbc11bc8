import { isA } from './guard.js'
import { partitionName, type TopicPartition } from './partition.js'

/**
 * What to do about an error:
 * `retry` replays the epoch, `restart` builds the task anew (its source and sinks too), `stop` ends the flow.
 */
export type Remedy = 'retry' | 'restart' | 'stop'

/**
 * Whose fault an error is, and so how long it is tried again:
 * `record` of the records of an epoch, or of what a stage makes of them: the flow stops when the same records have failed
 * as often as its `attempts` say;
 * `system` of a broker, a database, a registry: for as long as it lasts, with pauses of up to 30 s;
 * `setup` of the configuration, or of something that only an operator can mend: not at all.
 */
export type Culprit = 'record' | 'system' | 'setup'

/** Every error code, its remedy, whose fault it is, and what it means. The reference page is generated from this table. */
export const errorCodes = {
  WEIR_CONFIG_INVALID: ['stop', 'setup', 'The configuration, or the options of a stage, do not hold.'],
  WEIR_CONFIG_NOT_FOUND: ['stop', 'setup', 'No configuration file was found, or it could not be loaded.'],
  WEIR_CONFIG_CONNECTION: ['stop', 'setup', 'A stage names a connection that is not declared, or of another kind.'],
  WEIR_CONFIG_ENVIRONMENT: ['stop', 'setup', 'An environment variable or secret is missing or malformed.'],
  WEIR_CONFIG_EMBEDDED: ['stop', 'setup', 'An embedded server was asked for in production.'],
  WEIR_CONFIG_FIXED: ['stop', 'setup', 'A reload would change what only a restart of the process can.'],
  WEIR_HTTP_PORT_TAKEN: ['stop', 'setup', 'The port of the HTTP server can not be listened on.'],
  WEIR_HTTP_ROUTE_TAKEN: ['stop', 'setup', 'Two sources ask for the same route.'],
  WEIR_TOPOLOGY_PARTIAL_ASSIGNMENT: [
    'stop',
    'setup',
    'An aggregate over a whole topic was assigned only some of its partitions.',
  ],
  WEIR_STAGE_FAILED: ['retry', 'record', 'The code of a stage threw, and its policy is to fail.'],
  WEIR_STAGE_TIMEOUT: ['retry', 'record', 'An asynchronous stage did not answer in time.'],
  WEIR_RECORD_MALFORMED: ['retry', 'record', 'The bytes of a record could not be decoded.'],
  WEIR_RECORD_TOO_LARGE: ['retry', 'record', 'A record is larger than its source takes.'],
  WEIR_RECORD_INVALID: ['retry', 'record', 'A record does not match its schema.'],
  WEIR_RECORD_NO_SCHEMA: ['retry', 'record', 'A record is of a type, or of a version of it, that has no schema.'],
  WEIR_RECORD_NO_CLOUDEVENT: ['retry', 'record', 'A record is no event by the words of CloudEvents 1.0.'],
  WEIR_RECORD_LATE: ['retry', 'record', 'A record came after its window had closed.'],
  WEIR_RECORD_AHEAD: ['retry', 'record', 'A record claims a time that lies too far in the future.'],
  WEIR_RECORD_NO_TIME: ['retry', 'record', 'No event time could be read from a record.'],
  WEIR_RECORD_REFUSED: ['retry', 'record', 'The system behind a sink refused a record itself (a constraint, a type).'],
  WEIR_SOURCE_UNREACHABLE: ['restart', 'system', 'The system behind a source can not be reached.'],
  WEIR_SOURCE_STALLED: ['restart', 'system', 'A source has records to read, but none came for long.'],
  WEIR_SOURCE_MISASSIGNED: [
    'restart',
    'system',
    'A consumer group has a member read what is not there, or nobody read what is; the member joins it anew.',
  ],
  WEIR_SOURCE_REFUSED: [
    'stop',
    'setup',
    'The system behind a source refuses to be read, and will not change its mind.',
  ],
  WEIR_SINK_UNREACHABLE: ['retry', 'system', 'The system behind a sink can not be reached.'],
  WEIR_SINK_FAILED: ['retry', 'system', 'A write was not acknowledged.'],
  WEIR_SOURCE_MISSING: ['restart', 'system', 'A topic that is read is not there; it is waited for.'],
  WEIR_SOURCE_RECREATED: ['stop', 'system', 'A topic was deleted and created again since it was read.'],
  WEIR_SOURCE_REPARTITIONED: [
    'stop',
    'setup',
    'A topic has another number of partitions, and the flow keeps state by its keys.',
  ],
  WEIR_SOURCE_GAP: ['stop', 'system', 'Records were deleted before they were read.'],
  WEIR_SOURCE_TRUNCATED: [
    'stop',
    'system',
    'A position lies beyond the end of its partition: records that were read are gone.',
  ],
  WEIR_CLUSTER_FOREIGN: ['stop', 'setup', 'Behind the address of a connection another cluster answers than before.'],
  WEIR_BLOB_UNREACHABLE: [
    'retry',
    'system',
    'A blob store can not be reached, is overloaded, or does not answer in time.',
  ],
  WEIR_BLOB_REFUSED: [
    'retry',
    'system',
    'A blob store refuses (a bucket, credentials, a right, a full disk): somebody has to mend that; it is tried again.',
  ],
  WEIR_BLOB_MISSING: ['retry', 'system', 'A file, or an upload that was under way, is no longer in its blob store.'],
  WEIR_BLOB_CONFLICT: [
    'stop',
    'setup',
    'Something else lies in a blob store under the name of a file that is written; it is never overwritten.',
  ],
  WEIR_BLOB_NAME: ['retry', 'record', 'A file can not have this name in every blob store.'],
  WEIR_ARCHIVE_UNREADABLE: ['stop', 'setup', 'A file of an archive is damaged, or none that Weir has written.'],
  WEIR_REGISTRY_UNREACHABLE: ['retry', 'system', 'The schema registry can not be reached.'],
  WEIR_QUERY_UNREACHABLE: ['retry', 'system', 'A database that a stage asks can not be reached, or does not answer.'],
  WEIR_QUERY_TOO_LARGE: ['retry', 'record', 'A query gives more rows, or bytes, than its stage takes.'],
  WEIR_CHECKPOINT_UNREACHABLE: ['retry', 'system', 'The checkpoint store can not be reached.'],
  WEIR_CHECKPOINT_FENCED: ['restart', 'system', 'A partition was taken over by another task of a later generation.'],
  WEIR_CHECKPOINT_CORRUPT: ['stop', 'setup', 'A chunk of state is of an unknown format, or can not be read.'],
  WEIR_CHECKPOINT_UNKNOWN_STORE: [
    'stop',
    'setup',
    'The checkpoints hold the state of a stage that the flow no longer has.',
  ],
  WEIR_STORE_UNDECLARED: ['stop', 'setup', 'A stage keeps a store that its definition does not tell of.'],
  WEIR_TASK_UNEXPECTED: ['retry', 'record', 'An error that no stage classified.'],
} as const satisfies Record<string, readonly [Remedy, Culprit, string]>

export type ErrorCode = keyof typeof errorCodes

export interface ErrorPlace {
  readonly flow?: string
  readonly stage?: string
  readonly partition?: TopicPartition
  readonly offset?: number
}

export interface ErrorDetails extends ErrorPlace {
  /** What to do next, as a sentence. */
  readonly hint?: string
  readonly cause?: unknown
  /** Overrides the remedy of the code. */
  readonly remedy?: Remedy
  /** Whether the next try goes another way about it, and need not wait for anything to get better. */
  readonly atOnce?: boolean
  /** Whether it is the size of a record that is at fault. */
  readonly isTooLarge?: boolean
  /** Whether the epoch took longer than a server lets it: a smaller one need not. */
  readonly isTooLong?: boolean
}

/** Every error that Weir raises: a code, what was being done and what went wrong, where, and what to do next. */
export class WeirError extends Error {
  override readonly name = 'WeirError'
  readonly remedy: Remedy
  readonly hint: string | undefined
  readonly place: ErrorPlace
  /** Whether the next try goes another way about it, and need not wait for anything to get better. */
  readonly atOnce: boolean
  /** Whether it is the size of a record that is at fault. */
  readonly isTooLarge: boolean
  /** Whether the epoch took longer than a server lets it: a smaller one need not. */
  readonly isTooLong: boolean

  constructor(
    readonly code: ErrorCode,
    message: string,
    {
      hint,
      cause,
      remedy,
      atOnce = false,
      isTooLarge = code === 'WEIR_RECORD_TOO_LARGE',
      isTooLong = false,
      ...place
    }: ErrorDetails = {},
  ) {
    super(message, cause === undefined ? undefined : { cause: tellable(cause) })
    this.remedy = remedy ?? errorCodes[code][0]
    this.atOnce = atOnce
    this.isTooLarge = isTooLarge
    this.isTooLong = isTooLong
    this.hint = hint
    this.place = place
  }

  get culprit(): Culprit {
    return errorCodes[this.code][1]
  }

  /** The same error, with what it did not know of its place. */
  within(place: ErrorPlace): WeirError {
    const located = new WeirError(this.code, this.message, {
      ...place,
      ...this.place,
      remedy: this.remedy,
      atOnce: this.atOnce,
      isTooLarge: this.isTooLarge,
      isTooLong: this.isTooLong,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.cause === undefined ? {} : { cause: this.cause }),
    })
    if (this.stack !== undefined) located.stack = this.stack
    return located
  }
}

/** A cause that whoever tells of it can read: an error may have a `message` or a `name` that throws, or is no text. */
function tellable(cause: unknown): unknown {
  try {
    if (!(cause instanceof Error)) return cause
    const { name, message } = cause
    if (typeof name === 'string' && typeof message === 'string') return cause
  } catch {
    // As below.
  }
  return new Error(messageOf(cause))
}

/** Whether that is one of Weir's, whatever was thrown. */
export function isWeirError(error: unknown): error is WeirError {
  return isA(WeirError, error)
}

/** Makes a `WeirError` of anything thrown. */
export function asWeirError(
  error: unknown,
  code: ErrorCode = 'WEIR_TASK_UNEXPECTED',
  place: ErrorPlace = {},
): WeirError {
  if (isWeirError(error)) return error.within(place)
  return new WeirError(code, messageOf(error), { ...place, cause: error })
}

/**
 * The text of anything thrown; of an aggregate (a refused connection on every address) the first of its causes. What is
 * thrown may be made of a record, and have no text at all.
 */
export function messageOf(error: unknown): string {
  try {
    if (error instanceof AggregateError && error.message === '') return messageOf(error.errors[0])
    return String(error instanceof Error ? error.message : error)
  } catch {
    return `something thrown that has no text (${typeof error})`
  }
}

/** The stack of an error, and of anything else its text. */
export function stackOf(error: unknown): string {
  try {
    if (error instanceof Error && typeof error.stack === 'string') return error.stack
  } catch {
    // As below.
  }
  return messageOf(error)
}

/** One line: what failed, where, and what to do. */
export function describeError(error: unknown): string {
  if (!(error instanceof WeirError)) return messageOf(error)
  const { flow, stage, partition, offset } = error.place
  const where = [
    flow && `flow '${flow}'`,
    stage && `stage '${stage}'`,
    partition && `${partitionName(partition)}${offset === undefined ? '' : `@${offset}`}`,
  ].filter(Boolean)
  const suffix = where.length > 0 ? ` (${where.join(', ')})` : ''
  const told = `${error.message}${suffix}`
  if (!error.hint) return told
  return `${told}${told.endsWith('.') ? '' : '.'} ${error.hint}`
}
