import { type ErrorCode, type Fault, messageOf, type Remedy, UnencodableError, WeirError } from '../model/index.js'

/** What a database's own errors mean. */
export interface ServerErrors {
  /** Undefined when the error did not come from the server: then the connection is lost. */
  faultOf(error: unknown): Fault | undefined
  /** The server's text, with what it knows of columns and constraints. */
  textOf(error: unknown): string
  /** What to do about it, where that is known. */
  hintOf(error: unknown): string | undefined
}

/** Sorts the errors of a database, and makes of them errors that say what to do. */
export class Faults {
  constructor(private readonly server: ServerErrors) {}

  of(error: unknown): Fault {
    if (error instanceof UnencodableError) return 'record'
    // A fault of our own says nothing of the connection.
    if (error instanceof WeirError || error instanceof TypeError || error instanceof RangeError) return 'system'
    return this.server.faultOf(error) ?? 'connection'
  }

  text(error: unknown): string {
    if (error instanceof UnencodableError)
      return `${error.message}${error.column === undefined ? '' : ` (column ${error.column})`}`
    return this.server.faultOf(error) === undefined ? messageOf(error) : this.server.textOf(error)
  }

  /** What failed in doing something. `unreachable` is the code for lost connections. */
  as(error: unknown, doing: string, unreachable: ErrorCode, otherwise: ErrorCode): WeirError {
    if (error instanceof WeirError) return error
    const fault = this.of(error)
    const code = fault === 'setup' ? 'WEIR_CONFIG_INVALID' : fault === 'connection' ? unreachable : otherwise
    const remedy: Remedy = fault === 'setup' ? 'stop' : 'retry'
    const hint = this.hint(error, fault)
    return new WeirError(code, `${doing}: ${this.text(error)}`, { remedy, hint, cause: error })
  }

  asCheckpointFault(error: unknown, doing: string): WeirError {
    return this.as(error, doing, 'WEIR_CHECKPOINT_UNREACHABLE', 'WEIR_CHECKPOINT_UNREACHABLE')
  }

  private hint(error: unknown, fault: Fault): string {
    if (this.server.faultOf(error) === undefined) return 'Check that the database runs and can be reached.'
    const hint = this.server.hintOf(error)
    if (hint !== undefined) return hint
    return fault === 'setup'
      ? 'Mend the database or the configuration, then start the flow again.'
      : 'It is tried again.'
  }
}
