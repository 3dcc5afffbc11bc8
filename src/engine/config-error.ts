import { type SourcePlace, WeirError } from '../model/index.js'

/** One mistake in a configuration. */
export interface ConfigFault {
  readonly message: string
  /** What to do about it. */
  readonly hint?: string | undefined
  /** Its stack tells where the configuration declares what is wrong. */
  readonly declaredAt?: Error | undefined
  /** Where it is, if that is known already. */
  readonly place?: SourcePlace | undefined
}

/** All mistakes of a configuration at once. */
export class ConfigError extends WeirError {
  constructor(readonly faults: readonly ConfigFault[]) {
    super('WEIR_CONFIG_INVALID', faults.map(inOneLine).join('\n'))
  }
}

function inOneLine({ message, hint, place }: ConfigFault): string {
  const where = place === undefined ? '' : `${place.file}:${place.line}${place.column ? `:${place.column}` : ''}: `
  return `${where}${message}${hint ? `. ${hint}` : ''}`
}
