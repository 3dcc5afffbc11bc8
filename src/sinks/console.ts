import { ignoreElements, tap } from 'rxjs'
import { z } from 'zod'
import {
  Batch,
  defineSink,
  fn,
  jsonOf,
  printableLine,
  type RejectionPolicy,
  recordFault,
  rejectionPolicy,
  type Sink,
  type StreamRecord,
} from '../model/index.js'

export interface ConsoleOptions {
  /** Takes each line, without its end. Default: the flow's log. */
  readonly write?: (line: string) => void
  /**
   * What becomes of a record that can't be printed. Default `dead-letter`, or `skip` where no connection takes dead letters.
   */
  readonly onError?: RejectionPolicy
  /** Names the stage in graphs, logs and metrics. Default `console`. */
  readonly name?: string
}

export const consoleDefinition = defineSink({
  name: 'console',
  summary: 'Prints values as lines of JSON.',
  options: z.strictObject({
    write: fn<(line: string) => void>()
      .optional()
      .describe("Takes each line, without its end; the flow's log if not given."),
    onError: rejectionPolicy
      .optional()
      .describe(
        'What becomes of a record that can not be printed: `fail`, `dead-letter` or `skip`. Default `dead-letter`, or `skip` where no connection takes dead letters.',
      ),
    name: z
      .string()
      .min(1)
      .optional()
      .describe("Names the stage in graphs, logs and metrics; the sink's name if not given."),
  }),
  onError: 'dead-letter',
  onErrorAlone: 'skip',
  guarantee: () => 'at-least-once',
  build: ({ write }, context) => {
    const print = write ?? ((line: string) => context.log.info(line))
    const printOne = (record: StreamRecord): void => {
      try {
        print(printableLine(record.value === undefined ? 'null' : jsonOf(record.value)))
      } catch (error) {
        context.reject(record, recordFault(error, 'printing a record'))
      }
    }
    const printAll = (record: StreamRecord): void =>
      record.value instanceof Batch ? record.value.records.forEach(printOne) : printOne(record)
    return { write: (records$) => records$.pipe(tap(printAll), ignoreElements()) }
  },
})

/** Prints values as lines of JSON, at least once: a replayed epoch prints again. */
export function consoleSink(options: ConsoleOptions = {}): Sink<unknown> {
  return consoleDefinition.declare(options)
}
