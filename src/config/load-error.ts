import { type SourcePlace, WeirError } from '../model/index.js'

/** The configuration could not be evaluated: its code does not parse, throws, or imports what is not there. */
export class LoadError extends WeirError {
  constructor(
    message: string,
    readonly source: SourcePlace,
    hint: string | undefined,
    cause: unknown,
  ) {
    super('WEIR_CONFIG_NOT_FOUND', message, { cause, ...(hint === undefined ? {} : { hint }) })
  }
}
