import { type DestinationStream, pino } from 'pino'
import { PinoPretty } from 'pino-pretty'
import { type Logger, messageOf, printableIn, printableLine, stackOf, WeirError } from '../model/index.js'

export interface LogOptions {
  /** pino's: trace, debug, info, warn, error, fatal, silent. */
  readonly level: string
  /** `pretty` is for people, `json` for everything else. */
  readonly format: 'json' | 'pretty'
  readonly colors?: boolean
  readonly destination: { write(text: string): unknown }
  /** Which of several workers logs; on each of its lines. */
  readonly worker?: number | undefined
  /** Takes secrets out of each line. */
  readonly redact: (text: string) => string
}

export const logLevels: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** The log of a worker: a line an event, with `flow`, `stage` and `correlationId` wherever they are known. */
export function createLog({ level, format, colors = false, destination, worker, redact }: LogOptions): Logger {
  // JSON escapes some control characters and not others; its meaning stays.
  const guarded: DestinationStream = {
    write: (line) => void destination.write(`${printableLine(redact(line).trimEnd())}\n`),
  }
  const raw: DestinationStream = { write: (line) => void destination.write(redact(line)) }
  return pino(
    {
      level,
      base: worker === undefined ? null : { worker },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describe, err: describe },
      // Field names that hold secrets in any library's errors and options.
      redact: {
        paths: ['password', '*.password', '*.authorization', '*.cookie', '*["sasl.password"]'],
        censor: '[secret]',
      },
    },
    format === 'json' ? guarded : prettyStream(raw, colors),
  )
}

function prettyStream(destination: DestinationStream, colorize: boolean): DestinationStream {
  const pretty = PinoPretty.prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'worker,flow,stage,error',
    messageFormat: (log, messageKey) =>
      [origin(log), indented(String(log[messageKey])), reason(log['error'])].filter(Boolean).join(' '),
    singleLine: true,
  })
  return { write: (line) => destination.write(pretty(printableIn(JSON.parse(line)))) }
}

function origin({ worker, flow, stage }: Record<string, unknown>): string {
  const numbered = typeof worker === 'number' ? `worker ${worker}` : undefined
  const names = [numbered, flow, stage].filter((name) => typeof name === 'string')
  return names.length === 0 ? '' : `[${names.join(' ')}]`
}

function reason(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  const { message, hint, stack } = error as { message?: string; hint?: string; stack?: string }
  const text = printableLine(`(${message}${hint === undefined ? '' : `. ${hint}`})`)
  return stack === undefined ? text : `${text}\n    ${indented(stack)}`
}

/** It may quote a record, of which no line begins as a line of the log does. */
function indented(text: string): string {
  return text.replaceAll('\n', '\n    ')
}

/** Errors that Weir classified need no stack; it is the others' only clue. */
function describe(error: unknown): unknown {
  if (!(error instanceof WeirError))
    return { message: messageOf(error), ...(error instanceof Error ? { stack: stackOf(error) } : {}) }
  const { code, message, hint, place, remedy, cause } = error
  const unclassified = code === 'WEIR_TASK_UNEXPECTED' || code === 'WEIR_STAGE_FAILED'
  return {
    code,
    message,
    remedy,
    ...(hint === undefined ? {} : { hint }),
    ...place,
    ...(cause === undefined ? {} : { cause: messageOf(cause) }),
    ...(unclassified && cause instanceof Error ? { stack: stackOf(cause) } : {}),
  }
}
