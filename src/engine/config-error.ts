import { WeirError } from '../model/index.js'

/** One mistake in a configuration. */
export interface ConfigFault {
  readonly message: string
  /** What to do about it. */
  readonly hint?: string | undefined
  /** Its stack tells where the configuration declares what is wrong. */
  readonly declaredAt?: Error | undefined
}

/** All mistakes of a configuration at once. */
export class ConfigError extends WeirError {
  constructor(readonly faults: readonly ConfigFault[]) {
    super('WEIR_CONFIG_INVALID', faults.map(({ message, hint }) => (hint ? `${message}. ${hint}` : message)).join('\n'))
  }
}
